"""Latent spaces in HDF5 files: written whole, read whole, and appended to. The format is docs/format.md.

Every write goes to a temporary file beside the target, is flushed to the disk, and replaces the target in one rename,
so that a reader sees the old file or the new one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from ..codec.mesh_stream import KIND as MESH
from ..codec.residual import KIND, Residual
from ..core.hdf5 import atomic_write, copy_contents, library_version, one_line, open_checked
from ..decoder.kinds import build_decoder, decoder_from_dict, decoder_to_dict
from ..mesh.search_record import SEARCH_BYTES, SearchRecord, stored_search_record
from ..solver.correction import Correction
from .code_columns import CodePrecision, create_codes, read_code_format, read_codes, write_codes
from .code_format import CodeFormat
from .file_info import (
    CODE_STREAMS,
    FORMAT,
    VERSION,
    WEIGHT_STREAMS,
    check_finished,
    read_history,
    space_info,
    write_history,
)
from .frame_columns import create_frames, frame_count, read_frames, write_frames
from .morph_field import MorphField
from .shape import Shape
from .space import LatentSpace
from .stored_mesh import StoredMesh
from .text_columns import create_texts, read_texts, write_texts
from .weight_columns import Precision, read_weight_format, read_weights, write_weights

_BYTES = h5py.vlen_dtype(np.uint8)


@dataclass(frozen=True)
class ResumeState:
    """State of an unfinished training run: plain JSON values, and named tensors."""

    facts: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def save(
    space: LatentSpace,
    path: str | Path,
    *,
    resume: ResumeState | None = None,
    precision: Precision | None = None,
    codes: CodePrecision | None = None,
) -> None:
    """Write a space to one file, replacing an earlier file in one step.

    Args:
        space: decoder, shapes and history.
        path: of the file.
        resume: state of an unfinished training run, stored beside the space.
        precision: of the decoder's weights in the file: float16 halves it, int8 quarters it (one scale a row; small
            tensors stay float16), and a `WeightFormat` stores streams of rounded weights. None is that of the file the
            space was loaded from where those were streams, int8 where its codes are streams, else float32.
        codes: form of the codes: float32; int8, one byte a number and four a shape; or a `CodeFormat`, streams of its
            own size. None is that of the file the space was loaded from where those were streams, else float32.

    Raises:
        OSError: the disk refused (full, read-only, no such folder); the file that was there is untouched.
    """
    with atomic_write(path) as file:
        file.attrs["format"] = FORMAT
        precision = precision or space.weight_format or ("float32" if space.code_format is None else "int8")
        codes = codes or space.code_format or "float32"
        compact = isinstance(precision, Mapping)
        file.attrs["version"] = _version(precision, codes)
        file.attrs["library"] = library_version()
        file.attrs["decoder"] = json.dumps(decoder_to_dict(space.decoder.config))
        write_history(file, space.history, compact)
        weights = file.create_group("decoder")
        for name, tensor in space.decoder.state_dict().items():
            write_weights(weights, name, tensor, precision)
        group = file.create_group("shapes")
        create_codes(group, space.codes(), codes)
        create_frames(group, compact)
        create_texts(group, compact)
        _append_rows(file, space.values())
        if resume is not None:
            group = file.create_group("resume")
            group.attrs["facts"] = json.dumps(dict(resume.facts))
            for name, tensor in resume.tensors.items():
                group.create_dataset(name, data=tensor.detach().cpu().numpy())


def _version(precision: Precision, codes: CodePrecision) -> int:
    """The lowest version that reads a file of these forms, corrections left out."""
    if isinstance(precision, Mapping):
        return WEIGHT_STREAMS
    return CODE_STREAMS if isinstance(codes, CodeFormat) else 2 if "int8" in (precision, codes) else 1


def load(path: str | Path, device: str | torch.device = "cpu") -> LatentSpace:
    """Read a space.

    Args:
        path: a file that `save` wrote, by this or an earlier version.
        device: of decoder and codes.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not HDF5, not a space, of a later version, or damaged; the text says which.
    """
    with open_checked(path, FORMAT, VERSION) as file:
        try:
            decoder = build_decoder(decoder_from_dict(json.loads(file.attrs["decoder"])))
            weights = {
                name: read_weights(file["decoder"], name, own.shape) for name, own in decoder.state_dict().items()
            }
            decoder.load_state_dict(weights)
            decoder.to(device).eval().requires_grad_(False)
            space = LatentSpace(decoder, history=read_history(file))
            space.source, space.code_format = Path(path).name, read_code_format(file["shapes"])
            space.weight_format = read_weight_format(file["decoder"])
            for shape in _read_shapes(file, decoder, device):
                space.add(shape)
        except (KeyError, IndexError, TypeError, ValueError, OSError, RuntimeError) as error:
            raise ValueError(f"{path} is a damaged latentsdf space: {one_line(error)}") from error
    return space


def append(path: str | Path, shapes: Iterable[Shape], *, replace: bool = False) -> None:
    """Add encoded shapes to a space file; decoder and earlier shapes keep their bytes.

    The contents are copied to a new file, which leaves out what earlier writes freed, the rows are added to the copy,
    and the copy replaces the file.

    Args:
        path: of the space file.
        shapes: with codes of the space's size.
        replace: overwrite the row of a name that is taken.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a name is taken and replace is False, a code is not of the space's size, or the file is no space or
            holds an unfinished training run.
        OSError: the disk refused; the file is untouched.
    """
    shapes, info = list(shapes), space_info(path)
    check_finished(path, info)
    rows = {name: row for row, name in enumerate(info.names)}
    for shape in shapes:
        if shape.code.shape != (info.code_size,):
            raise ValueError(f"the code of {shape.name!r} has {len(shape.code)} numbers, {path} holds {info.code_size}")
        if shape.name in rows and not replace:
            raise ValueError(f"{path} already holds a shape named {shape.name!r}; use --replace or another name")
    fresh = [shape for shape in shapes if shape.name not in rows]
    with atomic_write(path) as file:
        copy_contents(path, file)
        for shape in shapes:
            if shape.name in rows:
                row = rows[shape.name]
                _write_rows(file["shapes"], row, [shape])
        _append_rows(file, fresh)


def load_resume(path: str | Path) -> ResumeState | None:
    """State of an unfinished training run in a space file; None where training is finished.

    Raises:
        FileNotFoundError, ValueError: as `load`.
    """
    with open_checked(path, FORMAT, VERSION) as file:
        if "resume" not in file:
            return None
        group = file["resume"]
        tensors: dict[str, Tensor] = {}

        def visit(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                tensors[name] = torch.from_numpy(np.asarray(item[()]))

        group.visititems(visit)
        return ResumeState(json.loads(group.attrs["facts"]), tensors)


def _append_rows(file: Any, shapes: Iterable[Shape]) -> None:
    group, shapes = file["shapes"], list(shapes)
    start = frame_count(group)
    for key in ("correction", "record"):
        if key in group:
            group[key].resize(start + len(shapes), axis=0)
    if shapes:
        _write_rows(group, start, shapes)


def _write_rows(group: Any, start: int, shapes: list[Shape]) -> None:
    rows = slice(start, start + len(shapes))
    write_codes(group, rows, torch.stack([shape.code for shape in shapes]))
    write_frames(group, start, [shape.frame for shape in shapes])
    write_texts(group, "name", start, [shape.name for shape in shapes])
    write_texts(group, "info", start, [json.dumps(dict(shape.metadata)) for shape in shapes])
    _write_corrections(group, rows, [shape.correction for shape in shapes])
    _write_records(group, rows, [shape.record for shape in shapes])


def _write_corrections(
    group: Any, rows: slice, corrections: list[Correction | Residual | StoredMesh | MorphField | None]
) -> None:
    """Write corrections; the first one adds their column, and raises the version to 3, 4 (residual) or 5 (mesh)."""
    if "correction" not in group:
        if not any(corrections):
            return
        group.create_dataset("correction", (frame_count(group),), _BYTES, maxshape=(None,), chunks=(64,))
    needed = max(5 if isinstance(c, StoredMesh) else 4 if isinstance(c, Residual) else 3 for c in corrections)
    group.file.attrs["version"] = max(int(group.file.attrs["version"]), needed)
    for row, correction in zip(range(rows.start, rows.stop), corrections, strict=True):
        group["correction"][row] = np.frombuffer(b"" if correction is None else correction.packed, np.uint8)


def _write_records(group: Any, rows: slice, records: list[SearchRecord | None]) -> None:
    """Write search records, zeros where a shape has none; the first one adds their column."""
    if "record" not in group:
        if all(record is None for record in records):
            return
        size = (frame_count(group), SEARCH_BYTES)
        limits = {"maxshape": (None, SEARCH_BYTES), "chunks": (64, SEARCH_BYTES)}
        group.create_dataset("record", size, "i1", compression="gzip", compression_opts=9, **limits)
    none = np.zeros(SEARCH_BYTES, np.int8)
    group["record"][rows] = np.stack([none if record is None else record for record in records])


def _read_shapes(file: Any, decoder: Any, device: Any) -> Iterator[Shape]:
    group = file["shapes"]
    codes = read_codes(group).to(device)
    frames, names, infos = read_frames(group), read_texts(group, "name"), read_texts(group, "info")
    packed = group["correction"][:] if "correction" in group else [b""] * len(codes)
    records = group["record"][:] if "record" in group else [None] * len(codes)
    rows = zip(names, codes, frames, infos, packed, records, strict=True)
    for name, code, frame, info, correction, record in rows:
        unpacked = _unpack_correction(bytes(correction))
        yield Shape(name, code, frame, decoder, json.loads(info), unpacked, stored_search_record(record))


def _unpack_correction(packed: bytes) -> Correction | Residual | StoredMesh | None:
    if not packed:
        return None
    if packed[0] == MESH:
        return StoredMesh(packed)
    return Residual(packed) if packed[0] == KIND else Correction(packed)
