"""Causes of a shape not being close to its mesh, from figures that are stored or measured, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from shlex import quote
from typing import Any, NamedTuple

import numpy as np

GOOD_F = 0.8
"""F-score at 0.01 below which a shape that is stored as a code counts as bad."""
ASKED_F = 0.95
"""F-score that `encode --tolerance` and `pack` aim at."""
GOOD_FIT = 0.003
"""Mean truncated distance error of a fit above which a code counts as bad: eight held-out meshes, encoded into a
space of 312 shapes: the six above it have an F-score at 0.01 of 0.41 to 0.77, the two below it 0.89 and 0.91."""
FAR = 1.4
"""Distance to the nearest stored code, in medians of such distances among the stored ones, from which a shape is of an
unseen kind: five of those six bad ones have 1.5 to 1.7, the other one 1.0."""
FEW_VISITS = 150.0
"""Batches a shape below which training was short: 89 leave 2.3 times the error of 900, 244 leave 1.5 times."""
THIN = 0.004
"""Volume over the cube of the longest extent below which a mesh is a sheet or a wire."""
DOUBT = 0.02
"""Share of points on whose side two tests disagree from which the inside of a mesh is uncertain."""


class Cause(Enum):
    """Why a shape is bad, in the order in which to mend it."""

    TRAINING = "too little training"
    INSIDE = "uncertain inside"
    SHEET = "sheet or thin parts"
    KIND = "unseen kind"
    BYTES = "too few bytes"
    UNKNOWN = "not measured"


class Figures(NamedTuple):
    """What is known of a shape; None where it is not.

    Attributes:
        metadata: of the shape: `fit_error`, `audit`, and `f_score` at `tolerance` where it was stored for one.
        mode: `code`, or with a `residual`, `mesh` or `correction`.
        nbytes: of code and correction as stored.
        f_score: measured at 0.01 against the mesh.
        code_ratio: distance to the nearest other code, in medians of such distances (`code_ratio`).
        class_known: whether another shape of its class is stored.
        visits: batches of training a shape (`visits`).
    """

    metadata: Mapping[str, Any]
    mode: str = "code"
    nbytes: int | None = None
    f_score: float | None = None
    code_ratio: float | None = None
    class_known: bool | None = None
    visits: float | None = None


class Diagnosis(NamedTuple):
    """One cause, the figures that speak for it, and the command to run next.

    Attributes:
        cause: of the error.
        why: figures, a sentence.
        command: to run next.
    """

    cause: Cause
    why: str
    command: str

    def to_dict(self) -> dict[str, str]:
        """JSON-ready values."""
        return {"cause": self.cause.value, "why": self.why, "command": self.command}


def is_bad(figures: Figures) -> bool | None:
    """Whether a shape is not close to its mesh; None where nothing was measured."""
    stored = figures.metadata.get("f_score")
    if figures.f_score is not None:
        return figures.f_score < GOOD_F
    if stored is not None:
        return stored < ASKED_F
    if figures.mode == "code" and figures.metadata.get("fit_error") is not None:
        return figures.metadata["fit_error"] > GOOD_FIT
    return None


def diagnose(figures: Figures, space: str, mesh: str = "MESH") -> list[Diagnosis]:
    """Find the causes of a bad shape, the first to mend first; none where it is good.

    Args:
        figures: what is known of it.
        space: path of the space, for the commands.
        mesh: path of its mesh.
    """
    bad, audit = is_bad(figures), figures.metadata.get("audit") or {}
    space, mesh = quote(space), quote(mesh)
    closer = f"latentsdf encode {space} {mesh} --replace --tolerance 0.01"
    if bad is None:
        why = "neither an F-score nor the error of a fit is stored with it"
        return [Diagnosis(Cause.UNKNOWN, why, f"latentsdf evaluate {space} MESH_DIR --known")]
    if not bad:
        return []
    found: list[Diagnosis] = []
    if figures.visits is not None and figures.visits < FEW_VISITS and figures.mode == "code":
        found.append(short_training(figures.visits, space))
    if audit.get("sign_disagreement", 0.0) > DOUBT:
        why = f"two tests disagree about the side of {audit['sign_disagreement']:.0%} of the points: faces are missing"
        found.append(Diagnosis(Cause.INSIDE, why, f"close its holes, then latentsdf encode {space} {mesh} --replace"))
    sheet = _sheet(audit)
    if sheet:
        found.append(Diagnosis(Cause.SHEET, sheet, closer))
    if figures.mode == "code" and not sheet:
        kind = _unseen_kind(figures)
        if kind:
            found.append(Diagnosis(Cause.KIND, kind, closer))
    if not found or figures.metadata.get("f_score") is not None:
        found.append(_few_bytes(figures, space, closer))
    return found


def short_training(count: float, space: str) -> Diagnosis:
    """The cause of a space whose shapes were in few batches."""
    why = f"each shape was in {count:.0f} batches of training, {FEW_VISITS:.0f} or more are usual"
    return Diagnosis(Cause.TRAINING, why, f"latentsdf train DATASET.h5 NEW.h5 --start {space} --minutes 20")


def visits(history: Mapping[str, Any], shapes: int) -> float | None:
    """Batches of training that each shape was in; None where the history does not tell."""
    log, batch = history.get("log") or [], history.get("config", {}).get("shapes_per_batch")
    if not log or not batch or not shapes:
        return None
    return log[-1]["step"] * min(batch, shapes) / shapes


def code_ratio(codes: np.ndarray, code: np.ndarray, row: int | None = None) -> float | None:
    """Distance of a code to the nearest stored one, over the median of such distances among the stored ones.

    Args:
        codes: (S, D) stored.
        code: (D,).
        row: of this code, where it is one of them.

    Returns:
        The ratio; None where fewer than four others are stored.
    """
    codes = codes.astype(np.float64)
    if len(codes) < 4 + (row is not None):
        return None
    chosen = np.linspace(0, len(codes) - 1, min(len(codes), 400)).astype(int)
    squares = np.einsum("sd,sd->s", codes, codes)
    between = squares[chosen, None] + squares - 2 * codes[chosen] @ codes.T
    between[np.arange(len(chosen)), chosen] = np.inf
    usual = float(np.median(np.sqrt(between.min(axis=1).clip(0))))
    own = np.linalg.norm(codes - code.astype(np.float64), axis=1)
    if row is not None:
        own[row] = np.inf
    return float(own.min()) / max(usual, 1e-12)


def _sheet(audit: Mapping[str, Any]) -> str:
    """What in an audit speaks for a sheet or thin parts; empty where nothing does."""
    extents = audit.get("extents")
    if not extents:
        return ""
    share = abs(audit.get("volume", 0.0)) / max(max(extents) ** 3, 1e-300)
    if not audit.get("watertight", True) and audit.get("boundary_edges", 0) and share < 5 * THIN:
        return (
            f"its mesh is open ({audit['boundary_edges']:,} boundary edges) and holds no volume that a field could keep"
        )
    if share < THIN:
        return f"its volume is {share:.2%} of the cube of its length: parts are thinner than a code holds"
    return ""


def _unseen_kind(figures: Figures) -> str:
    if figures.code_ratio is not None and figures.code_ratio > FAR:
        text = (
            f"its code lies {figures.code_ratio:.1f} times as far from the nearest one as codes of the space usually do"
        )
        return text + (", and no other shape of its class is stored" if figures.class_known is False else "")
    if figures.class_known is False:
        return "no other shape of its class is stored"
    return ""


def _few_bytes(figures: Figures, space: str, closer: str) -> Diagnosis:
    stored, taken = figures.metadata.get("f_score"), "" if figures.nbytes is None else f" in {figures.nbytes:,} bytes"
    if stored is not None:
        tolerance = figures.metadata.get("tolerance", 0.01)
        why = f"it was stored{taken} with an F-score of {stored:.2f} at {tolerance:g}, {ASKED_F} is usual"
        return Diagnosis(Cause.BYTES, why, closer)
    error = figures.metadata.get("fit_error")
    measured = f"the error of its fit is {error:.4f}" if error is not None else "it is stored as a code alone"
    if figures.f_score is not None:
        measured = f"its F-score at 0.01 is {figures.f_score:.2f}"
    pack = f"latentsdf pack {space} packed.h5 --meshes MESH_DIR --tolerance 0.01"
    return Diagnosis(Cause.BYTES, f"{measured}, more than a code{taken} holds, without a sign of another cause", pack)
