"""Fidelity against bytes a shape: codes of latent spaces beside decimated meshes in Draco's format.

    python benchmarks/rate_distortion.py MESH_DIR OUT_DIR                      # the Draco curve
    python benchmarks/rate_distortion.py MESH_DIR OUT_DIR --spaces A.h5 B.h5   # the codes of spaces
    python benchmarks/rate_distortion.py MESH_DIR OUT_DIR --residuals A.h5     # its codes with residuals
    python benchmarks/rate_distortion.py MESH_DIR OUT_DIR --table --figure docs/rate_distortion.png
    python benchmarks/rate_distortion.py MESH_DIR OUT_DIR --residuals A.h5 --figure docs/bytes.png

Meshes are the held-out side of the fixed split (or `--side seen`). Every shape judged goes to a file in OUT_DIR at
once, one for Draco and one a space, and finished ones are not judged again. An operating point FACES/BITS is a mesh
decimated to so many faces (fast-simplification), its positions quantised to so many bits, in the smallest file that any
of Draco's compression levels gives. Codes are 4 bytes a number, or one byte a number and a step of 4; a prefix of a
code is its first numbers, the rest zero.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import DracoPy
import fast_simplification
import numpy as np
import torch
import trimesh
from judging import (
    NOTHING,
    code_bytes,
    encode_in_chunks,
    judge_mesh,
    judge_shape,
    quantize_codes_of,
    read_json,
    true_mesh,
    truncate_codes,
    write_json,
)
from rate_distortion_table import draw, draw_rates, table
from residual_rates import measure_residuals, residual_table
from split import split

from latentsdf.core.frame import Frame
from latentsdf.inference.code_fitting import EncodeConfig
from latentsdf.mesh.folder import find_meshes
from latentsdf.space.file_info import space_info
from latentsdf.space.quantize import code_unit
from latentsdf.space.shape import Shape
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load

OPERATING_POINTS = ("4/4", "12/4", "24/5", "40/5", "60/6", "90/6", "120/6", "180/6", "250/7", "350/7", "500/7", "700/8")
OPERATING_POINTS += ("1000/8", "2000/8", "4000/9")


def main() -> None:
    """Measure what is missing, then print and draw."""
    options = parse_options()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.threads:
        torch.set_num_threads(options.threads)
    files = files_to_judge(options)
    if options.residuals:
        path = options.out / f"{options.side}.residuals.{options.residuals.stem}.json"
        if not (options.table or options.figure):
            measure_residuals(path, load(options.residuals), files, options.shift, options.fit_steps)
        results = read_json(path, {"shapes": {}})
        print(residual_table(results, set(files)))
        if options.figure:
            draw_rates(results, read_rows(options.out, options.side), options.figure)
        return
    if not (options.table or options.figure):
        if not options.spaces:
            measure_draco(options.out / f"{options.side}.draco.json", files, options.points)
        for space in options.spaces:
            measure_space(options.out / f"{options.side}.space.{space.stem}.json", space, files, options)
    rows = read_rows(options.out, options.side)
    print(table(rows))
    if options.figure:
        draw(rows, options.figure, options.side)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mesh_dir", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", choices=["unseen", "seen"], default="unseen")
    parser.add_argument("--shapes", type=int, default=65, help="shapes judged, a fixed random subset")
    parser.add_argument("--points", nargs="+", default=OPERATING_POINTS, metavar="FACES/BITS")
    parser.add_argument("--spaces", nargs="+", type=Path, default=[])
    parser.add_argument("--residuals", type=Path, metavar="SPACE.h5", help="judge codes of this space with residuals")
    parser.add_argument("--shift", nargs="+", type=int, default=[0, 1, 2], help="roundings of codes under residuals")
    parser.add_argument("--prefix", nargs="+", type=int, default=[16, 32, 0], help="numbers of the code; 0 is all")
    parser.add_argument("--resolution", type=int, default=128, help="cells per axis of decoded shapes")
    parser.add_argument("--fit-steps", type=int, default=40)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="only print what is there")
    parser.add_argument("--figure", type=Path, help="only print, and draw here")
    return parser.parse_args()


def files_to_judge(options: argparse.Namespace) -> dict[str, Path]:
    """Names and files of the shapes judged: those of one side of the split."""
    files = dict(find_meshes(options.mesh_dir)[0])
    names = split(list(files))[options.side == "unseen"]
    order = np.random.default_rng(1 if options.side == "unseen" else 0).permutation(len(names))[: options.shapes]
    return {names[i]: files[names[i]] for i in sorted(order)}


def read_rows(out: Path, side: str) -> dict[str, Any]:
    """All measured rows: figures by mesh and operating point, and by space."""
    files = sorted(out.glob(f"{side}.space.*.json"))
    spaces = {file.name.removeprefix(f"{side}.space.").removesuffix(".json"): read_json(file, {}) for file in files}
    return {"draco": read_json(out / f"{side}.draco.json", {}), "spaces": spaces}


def measure_draco(path: Path, files: dict[str, Path], points: list[str]) -> None:
    """Judge every shape at every operating point, one after another."""
    for number, (name, file) in enumerate(files.items(), 1):
        rows = read_json(path, {})
        done = rows.setdefault(name, {})
        missing = [point for point in points if point not in done]
        if not missing:
            continue
        truth = true_mesh(file)
        frame = Frame.around(truth.vertices)
        unit = trimesh.Trimesh(frame.to_unit(truth.vertices), truth.faces, process=False)
        for point in missing:
            done[point] = draco_row(unit, *(int(part) for part in point.split("/")))
        write_json(path, rows)
        print(f"{number}/{len(files)} {name} {[(p, done[p]['bytes'], round(done[p]['f_0.01'], 3)) for p in missing]}")


def draco_row(unit: trimesh.Trimesh, faces: int, bits: int) -> dict[str, Any]:
    """Bytes and figures of a mesh of the unit frame at one operating point; a failure where nothing is left of it."""
    vertices, triangles = decimate(np.asarray(unit.vertices), np.asarray(unit.faces), faces, bits)
    file = smallest_file(vertices, triangles, bits) if len(triangles) else None
    made = None if file is None else decode_file(file)
    if file is None or made is None:
        return {"bytes": 0 if file is None else len(file), "faces": 0, **NOTHING, "reason": "nothing left"}
    same = Frame(np.eye(3), 1.0, np.zeros(3))
    return {"bytes": len(file), "faces": len(made.faces), **judge_mesh(made, unit, same)}


def decimate(vertices: np.ndarray, triangles: np.ndarray, faces: int, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """A mesh of about so many faces on the lattice that Draco will quantise it to.

    Slivers stop the decimation early; where more than half as many faces again are left, those that the lattice left
    over are decimated again, a few times.
    """
    for _ in range(4):
        if len(triangles) > faces:
            vertices, triangles = fast_simplification.simplify(vertices, triangles, target_count=faces)[:2]
        if len(triangles) == 0:
            break
        vertices, triangles = snap(vertices, triangles, bits)
        if len(triangles) <= 1.5 * faces:
            break
    return vertices, triangles


def snap(vertices: np.ndarray, triangles: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions rounded to a lattice; vertices that fall together are one, faces without area or seen before go."""
    low = vertices.min(0)
    step = float((vertices - low).max()) / (2**bits - 1)
    positions, owner = np.unique(np.round((vertices - low) / step).astype(np.int64), axis=0, return_inverse=True)
    triangles = owner.ravel()[triangles]
    corners = positions[triangles]
    triangles = triangles[np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).any(axis=1)]
    _, first = np.unique(np.sort(triangles, axis=1), axis=0, return_index=True)
    used, triangles = np.unique(triangles[np.sort(first)], return_inverse=True)
    return low + positions[used] * step, triangles.reshape(-1, 3)


def smallest_file(vertices: np.ndarray, triangles: np.ndarray, bits: int) -> bytes:
    """The shortest of the files that Draco's compression levels give."""
    files = [
        DracoPy.encode(
            np.ascontiguousarray(vertices, dtype=np.float64),
            np.ascontiguousarray(triangles, dtype=np.uint32),
            quantization_bits=bits,
            compression_level=level,
        )
        for level in range(11)
    ]
    return min(files, key=len)


def decode_file(file: bytes) -> trimesh.Trimesh | None:
    """The mesh in a Draco file, without faces that quantisation made lines or points; None where none is left."""
    mesh = DracoPy.decode(file)
    vertices, faces = np.asarray(mesh.points, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64).reshape(-1, 3)
    corners = vertices[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return trimesh.Trimesh(vertices, faces[area > 1e-12], process=False) if (area > 1e-12).any() else None


def measure_space(path: Path, file: Path, files: dict[str, Path], options: argparse.Namespace) -> None:
    """Judge every shape by its code, at every prefix and in 32 and 8 bits a number."""
    space = load(file)
    sizes = sorted({size or space.code_size for size in options.prefix if size <= space.code_size})
    wanted = [f"{size}/{bits}" for size in sizes for bits in (32, 8)]
    results = read_json(path, {"shapes": {}})
    results.update(training_shapes=len(space), decoder_bytes=space_info(file).sizes.decoder, code_size=space.code_size)
    results["code_bytes"] = {key: code_bytes(*(int(part) for part in key.split("/"))) for key in wanted}
    missing = [name for name in files if not set(wanted) <= set(results["shapes"].get(name, {}))]
    for number, shape in enumerate(shapes_of(space, missing, files, options), 1):
        truth = true_mesh(files[shape.name])
        row = results["shapes"].setdefault(shape.name, {})
        for key in wanted:
            row[key] = judge_shape(variant(space, shape, key), truth, None, options.resolution)
        write_json(path, results)
        print(f"{file.stem} {number}/{len(missing)} {shape.name} {[(k, round(row[k]['f_0.01'], 3)) for k in wanted]}")


def shapes_of(space: LatentSpace, names: list[str], files: dict[str, Path], options: argparse.Namespace) -> list[Shape]:
    """The shapes that are stored, and codes inferred for those that are not."""
    unknown = [(name, files[name]) for name in names if name not in space]
    encoded = encode_in_chunks(space, unknown, EncodeConfig(steps=options.fit_steps)).shapes
    return [space[name] for name in names if name in space] + encoded


def variant(space: LatentSpace, shape: Shape, key: str) -> Shape:
    """The shape as it comes back from NUMBERS/BITS of its code."""
    size, bits = (int(part) for part in key.split("/"))
    (cut,) = truncate_codes([shape], size)
    return quantize_codes_of([cut], code_unit(space.codes()))[0] if bits == 8 else cut


if __name__ == "__main__":
    main()
