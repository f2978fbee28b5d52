"""Facts of one shape for the page: size in source units, bytes, fit error, audit."""

from __future__ import annotations

from typing import Any

from ..codec.residual import Residual
from ..space.code_format import CodeFormat, code_bytes
from ..space.morph_field import MorphField
from ..space.shape import Shape


def tags_of(shape: Shape) -> list[str]:
    """Tags that are stored with a shape."""
    tags = shape.metadata.get("tags", [])
    return [str(tag) for tag in tags] if isinstance(tags, list) else []


def shape_facts(shape: Shape, code_format: CodeFormat | None) -> dict[str, Any]:
    """Facts of a shape as JSON values; what is not known is None.

    Args:
        shape: of a space, a mixture, or one just encoded.
        code_format: of the space.
    """
    correction = shape.correction
    extra = 0 if correction is None or isinstance(correction, MorphField) else correction.nbytes
    stored = None if shape.mode == "morph" else code_bytes(shape.code, code_format) + extra
    metadata, audit = shape.metadata, shape.metadata.get("audit")
    error = metadata.get("fit_error")
    return {
        "name": shape.name,
        "class": shape.class_name,
        "tags": tags_of(shape),
        "mode": shape.mode,
        "bytes": stored,
        "correction": _correction_kind(shape),
        "correction_bytes": extra,
        "fit_error": None if error is None else float(error),
        "fit_error_source": None if error is None else float(error) * shape.frame.scale,
        "f_score": metadata.get("f_score"),
        "tolerance": metadata.get("tolerance"),
        "scan_points": metadata.get("scan_points"),
        "scale": shape.frame.scale,
        "source": metadata.get("source"),
        "audit": dict(audit) if isinstance(audit, dict) else None,
    }


def _correction_kind(shape: Shape) -> str | None:
    if shape.correction is None or shape.mode == "morph":
        return None
    return "residual" if isinstance(shape.correction, Residual) else shape.mode
