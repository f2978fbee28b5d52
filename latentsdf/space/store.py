"""Latent spaces in HDF5 files: written whole, opened lazily, and added to. The format is docs/format.md.

A file is written whole to a temporary file beside the target, which is flushed to the disk and replaces the target in
one rename. Shapes are added as a segment behind it (`core.segments`). Either way a reader sees the old file or the new
one, whenever the writer is killed, and one process writes at a time (`core.file_lock`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from ..core.file_lock import exclusive_writer
from ..core.hdf5 import atomic_write, copy_contents, library_version, one_line, open_checked
from ..core.interrupt import delay_interrupt
from ..core.segments import add_segment
from ..decoder.kinds import build_decoder, decoder_from_dict, decoder_to_dict
from .code_columns import CodeForm, CodePrecision
from .earlier_versions import read_earlier_rows
from .file_info import FORMAT, SEGMENTS, VERSION, check_finished, read_history, write_history
from .row_places import RowPlaces
from .shape import Shape
from .shape_columns import ShapeColumns
from .space import LatentSpace
from .stored_rows import AddedRows, StoredRows, write_base
from .stored_shapes import StoredShapes, stored_columns
from .weight_columns import Precision, read_weight_format, read_weights, write_weights

MOST_SEGMENTS = 1024
"""Segments of a file after which the next write makes one whole of them."""
LEAST_TAIL = 1 << 16
"""Bytes of segments below which they stay; above, those of half the rest of the file are made one whole with it."""


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
        OSError: the disk refused (full, read-only, no such folder), or another process is writing the file; the file
            that was there is untouched.
    """
    precision = precision or space.weight_format or ("float32" if space.code_format is None else "int8")
    columns = _columns_of(space, codes or space.code_format or "float32")
    with exclusive_writer(path), atomic_write(path) as file:
        file.attrs["format"] = FORMAT
        file.attrs["decoder"] = json.dumps(decoder_to_dict(space.decoder.config))
        write_history(file, space.history)
        weights = file.create_group("decoder")
        for name, tensor in space.decoder.state_dict().items():
            write_weights(weights, name, tensor, precision)
        if resume is not None:
            group = file.create_group("resume")
            group.attrs["facts"] = json.dumps(dict(resume.facts))
            for name, tensor in resume.tensors.items():
                group.create_dataset(name, data=tensor.detach().cpu().numpy())
        _finish(file, columns)


def load(path: str | Path, device: str | torch.device = "cpu") -> LatentSpace:
    """Open a space: the decoder is read, and a shape is made when it is asked for.

    Args:
        path: a file that `save` wrote, by this or an earlier version. A large one is mapped, and what it held when it
            was opened stays readable when it is added to or replaced.
        device: of decoder and codes.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not HDF5, not a space, of a later version, or damaged; the text says which. Damage to a shape of a
            space of more than `stored_rows.AT_ONCE` is an error of the same kind when the shape is asked for.
    """
    with open_checked(path, FORMAT, VERSION) as file:
        try:
            decoder = build_decoder(decoder_from_dict(json.loads(file.attrs["decoder"])))
            weights = {
                name: read_weights(file["decoder"], name, own.shape) for name, own in decoder.state_dict().items()
            }
            decoder.load_state_dict(weights)
            decoder.to(device).eval().requires_grad_(False)
            columns, places, rows = _columns(file)
            shapes = StoredShapes(columns, places, decoder, str(path), rows)
            space = LatentSpace(decoder, history=read_history(file), stored=shapes)
            space.source, space.code_format = Path(path).name, shapes.form.streams
            space.path, space.weight_format = Path(path), read_weight_format(file["decoder"])
        except (KeyError, IndexError, TypeError, ValueError, OSError, RuntimeError) as error:
            raise ValueError(f"{path} is a damaged latentsdf space: {one_line(error)}") from error
    return space


def append(path: str | Path, shapes: Iterable[Shape], *, replace: bool = False) -> None:
    """Add encoded shapes to a space file; decoder and earlier shapes keep their bytes.

    The rows are added behind what the file holds. A file of an earlier version, or with many segments, is written as a
    whole instead.

    Args:
        path: of the space file.
        shapes: with codes of the space's size.
        replace: overwrite the row of a name that is taken.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a name is taken and replace is False, a code is not of the space's size, or the file is no space or
            holds an unfinished training run.
        OSError: the disk refused, or another process is writing the file (`TimeoutError`); the file is untouched.
    """
    shapes = list(shapes)
    names = [shape.name for shape in shapes]
    with open_checked(path, FORMAT, VERSION):
        pass
    with exclusive_writer(path), delay_interrupt():
        with open_checked(path, FORMAT, VERSION) as file:
            check_finished(path, "resume" in file)
            try:
                held = _held(file, names)
            except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
                raise ValueError(f"{path} is a damaged latentsdf space: {one_line(error)}") from error
        rows, count = held.known, held.count
        for shape in shapes:
            if shape.code.shape != (held.form.size,):
                size = held.form.size
                raise ValueError(f"the code of {shape.name!r} has {len(shape.code)} numbers, {path} holds {size}")
            if shape.name in rows and not replace:
                raise ValueError(f"{path} already holds a shape named {shape.name!r}; use --replace or another name")
            if shape.name not in rows:
                rows[shape.name], count = count, count + 1
        shapes = list({shape.name: shape for shape in shapes}.values())
        if not shapes:
            return
        added, places = ShapeColumns.of(shapes, held.form), [rows[shape.name] for shape in shapes]
        if held.segments is None:
            _rewrite(path, added, places)
        else:
            segment = AddedRows.of(places, added.stored())
            add_segment(path, held.segments.end, segment.payload, SEGMENTS)


def compact(path: str | Path) -> None:
    """Write a space file that shapes were added to as a whole, in the fewest bytes; others stay as they are.

    Raises:
        FileNotFoundError, ValueError, OSError: as `append`.
    """
    with open_checked(path, FORMAT, VERSION) as file:
        if int(file.attrs["version"]) >= SEGMENTS and not StoredRows.of_file(file, VERSION).added:
            return
    with exclusive_writer(path), delay_interrupt():
        _rewrite(path)


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


@dataclass(frozen=True)
class _Held:
    """Form of codes, number of shapes, rows of the names that are taken, and the rows that a segment is added to; None
    where the file is to be written as a whole."""

    form: CodeForm
    count: int
    known: dict[str, int]
    segments: StoredRows | None


def _held(file: Any, names: Sequence[str]) -> _Held:
    if int(file.attrs["version"]) < SEGMENTS:
        columns = read_earlier_rows(file)
        rows = {name: row for row, name in enumerate(columns.names)}
        known = {name: rows[name] for name in names if name in rows}
        return _Held(columns.codes.form, len(columns), known, None)
    rows = StoredRows.of_file(file, VERSION)
    tail = rows.end - rows.start
    crowded = len(rows.added) >= MOST_SEGMENTS or tail > max(LEAST_TAIL, rows.start // 2)
    return _Held(CodeForm.of_stored(rows.base), len(rows), rows.rows_of(names), None if crowded else rows)


def _columns(file: Any) -> tuple[list[ShapeColumns], RowPlaces, StoredRows | None]:
    """Columns of a file, the places of its rows in them, and the rows as they are stored."""
    if int(file.attrs["version"]) < SEGMENTS:
        columns = read_earlier_rows(file)
        return [columns], RowPlaces(len(columns)), None
    rows = StoredRows.of_file(file, VERSION)
    return stored_columns(rows, CodeForm.of_stored(rows.base)), rows.places, rows


def _columns_of(space: LatentSpace, precision: CodePrecision) -> ShapeColumns:
    """Columns of a space, those that it was loaded with as they are."""
    stored = space.stored
    if not isinstance(stored, StoredShapes):
        return ShapeColumns.of(list(space.values()), CodeForm.of(precision, space.codes()))
    form = stored.form if precision is stored.form.streams else CodeForm.of(precision, space.codes())
    columns = [*stored.columns, ShapeColumns.of(list(space.changes.values()), form)]
    return ShapeColumns.joined(columns, stored.places.and_rows(list(space.changes)).pieces(), form)


def _rewrite(path: str | Path, added: ShapeColumns | None = None, rows: Sequence[int] = ()) -> None:
    """Write a file as a whole, with rows added or replaced; the caller holds its lock."""
    with open_checked(path, FORMAT, VERSION) as source:
        columns, places, _ = _columns(source)
        if added is not None:
            columns, places = [*columns, added], places.and_rows(rows)
        joined = ShapeColumns.joined(columns, places.pieces(), columns[0].codes.form)
        with atomic_write(path) as file:
            copy_contents(source, file, without=("shapes",))
            _finish(file, joined)


def _finish(file: Any, columns: ShapeColumns) -> None:
    """Write the columns of shapes, and the version, to a new file."""
    file.attrs["version"] = VERSION
    file.attrs["library"] = library_version()
    write_base(file, len(columns), columns.stored(), columns.codes.form.stored())
