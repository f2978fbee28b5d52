"""What the demo does with a collection of encoded shapes: search, duplicates, a morph, a scan, bytes."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from ..core.names import class_of
from ..fitting.direct_solve import solve_scan
from ..fitting.fitted_field import Fitted
from ..inference.packing import pack_shape
from ..inference.rate_search import Target
from ..mesh.duplicates import Item, find_duplicates
from ..mesh.metrics import compare
from ..mesh.record import record_of_mesh
from ..plot.sheet import ORIGINAL, Cell, class_colours, row_frames
from ..reconstruction.reconstruction import ReconstructConfig, Reconstruction, reconstruct
from ..reconstruction.refinement import RefineConfig
from ..reconstruction.scan_fitting import ScanFitConfig
from ..scan.virtual import virtual_scan
from ..space.file_info import space_info
from ..space.index import Index
from ..space.morph import Morph
from ..space.shape import Shape
from ..space.shape_records import shape_records
from ..space.space import LatentSpace
from .arguments import write_mesh
from .progress import Bar

RESOLUTION = 112
STEPS = 8
"""Pictures of the morph, both ends counted."""
QUERIES = ("chair/antique", "cup/teapot")
MORPH = ("vase/amphora", "cup/teapot")
SCANNED = "toy/teddy"
PACKED = ("chair/windsor", "bone/skull")
BYTES = (300, 600)
"""Shapes that are shown, and bytes that those of `PACKED` are packed to; where a collection lacks one, its first."""
COPIES = 6
"""Copies that are planted for `duplicates`."""
POINTS, NOISE, VIEWS = 4000, 0.005, 2
"""Of the scan; the noise in units of the bounding-sphere radius."""


@dataclass(frozen=True)
class Stage:
    """What the parts of the demo work on.

    Attributes:
        space: of the collection.
        base: that comes with the library.
        meshes: by name.
        out: folder for files.
        options: of the command line.
    """

    space: LatentSpace
    base: LatentSpace
    meshes: dict[str, trimesh.Trimesh]
    out: Path
    options: Namespace

    def name(self, wanted: str, other_than: str = "") -> str:
        """The wanted name, or the first that there is, other than another one if possible."""
        if wanted in self.meshes:
            return wanted
        return next((name for name in self.meshes if name != other_than), other_than)

    def generator(self, number: int) -> np.random.Generator:
        """Random numbers of one part."""
        return np.random.default_rng([self.options.seed, number])


def search_moved(stage: Stage) -> tuple[dict[str, Any], list[Cell]]:
    """Search by a copy of each mesh in another pose and size; pictures of two queries and of their nearest shapes."""
    index, generator, colours = Index(stage.space), stage.generator(0), class_colours(list(stage.meshes))
    right, same_class, classes, cells = 0, 0, 0, dict[str, list[Cell]]()
    shown = [stage.name(name) for name in QUERIES]
    with Bar("search", stage.options.quiet, len(stage.meshes)) as bar:
        for done, (name, mesh) in enumerate(stage.meshes.items(), 1):
            query = moved(mesh, generator)
            matches = index.search(query, k=4)
            right += matches[0].name == name
            others = [match.name for match in matches if match.name != name]
            if sum(class_of(other) == class_of(name) for other in stage.meshes) > 1:
                classes += 1
                same_class += class_of(others[0]) == class_of(name)
            if name in shown:
                cells[name] = [Cell(query, ("query: turned, scaled",), ORIGINAL)]
                for match in matches[:3]:
                    surface = _surface(stage.space[match.name])
                    lines = (match.name, f"distance {match.distance:.2f}")
                    cells[name].append(Cell(surface, lines, colours[class_of(match.name)]))
            bar.update(done, name)
    figures = {"queries": len(stage.meshes), "right": right, "neighbours": classes, "neighbours_of_class": same_class}
    return figures, [cell for name in shown for cell in cells[name]]


def duplicates_of(stage: Stage) -> tuple[dict[str, Any], list[Cell]]:
    """Find copies that are planted among the meshes: turned and scaled, mirrored, or with other triangles."""
    generator, items, copies = stage.generator(1), [], dict[str, tuple[str, trimesh.Trimesh]]()
    records = shape_records(stage.space.values())
    for name, mesh in stage.meshes.items():
        if name in records:
            items.append(Item(name, records[name], lambda mesh=mesh: mesh))
    names = [name for name in stage.meshes if name in records]
    with Bar("duplicates", stage.options.quiet) as bar:
        planted = min(COPIES, len(names))
        for number in range(planted):
            name = names[number * len(names) // planted]
            copy = moved(stage.meshes[name], generator)
            if number % 3 == 1:
                copy.vertices = np.asarray(copy.vertices) * [-1, 1, 1]
                copy.invert()
            if number % 3 == 2:
                copy = copy.subdivide()
            copies[f"copy/{number}"] = (name, copy)
            items.append(Item(f"copy/{number}", record_of_mesh(copy), lambda copy=copy: copy))

        def on_row(share: float) -> bool:
            bar.update(share)
            return True

        found = find_duplicates(items, on_row=on_row)
    pairs = {frozenset((one, other)) for group in found.groups for one in group for other in group if one != other}
    wanted = {frozenset((name, copy)) for copy, (name, _) in copies.items()}
    kinds = {frozenset((item.a, item.b)): str(item) for item in found.relations}
    cells = []
    for copy, (name, mesh) in list(copies.items())[:2]:
        cells.append(Cell(stage.meshes[name], (name,), ORIGINAL))
        cells.append(Cell(mesh, (kinds.get(frozenset((name, copy)), "not found"),), ORIGINAL))
    figures = {"planted": planted, "found": len(pairs & wanted), "others": len(pairs - wanted)}
    return {**figures, "relations": list(kinds.values())}, cells


def morph(stage: Stage) -> list[tuple[str, trimesh.Trimesh | None]]:
    """Surfaces of a morph, each with the name of the end that is nearer; they are written as files too."""
    first = stage.name(MORPH[0])
    last = stage.name(MORPH[1], first)
    found, path = [], Morph(stage.space[first], stage.space[last])
    with Bar("morph", stage.options.quiet, STEPS) as bar:
        for number in range(STEPS):
            surface = _surface(path.at(number / (STEPS - 1)))
            if surface is not None:
                write_mesh(surface, stage.out / "morph" / f"{number:03d}.ply")
            found.append((first if 2 * number < STEPS else last, surface))
            bar.update(number + 1)
    return found


def scan(stage: Stage) -> tuple[dict[str, Any], list[Cell]]:
    """Reconstruct a noisy scan from two views, with the space and by the points alone."""
    name, seed = stage.name(SCANNED), stage.options.seed
    truth = stage.meshes[name]
    radius = float(np.linalg.norm(np.ptp(np.asarray(truth.vertices), axis=0))) / 2
    seen = virtual_scan(truth, count=POINTS, noise=NOISE * radius, views=VIEWS, seed=seed)
    trimesh.PointCloud(seen.points).export(str(stage.out / "scan.ply"))
    bare = replace(seen, normals=None)
    config = ReconstructConfig(fit=ScanFitConfig(seed=seed), refinement=RefineConfig(seed=seed))
    with Bar("scan", stage.options.quiet) as bar:
        result = reconstruct(
            _together(stage), bare, config=config, on_step=lambda step: bar.update(0.6 * step.progress)
        )
        surface = result.mesh(RESOLUTION)
        bar.update(0.8, "by the points alone")
        alone = _surface(solve_scan(bare, seed=seed))
        bar.update(1.0)
    if surface is not None:
        write_mesh(surface, stage.out / "scan_reconstructed.ply")
    figures, without = (None if item is None else compare(item, truth, seed=seed) for item in (surface, alone))
    report = {
        "name": name,
        "points": len(seen),
        "views": VIEWS,
        "noise": NOISE,
        "residual_mean": result.residual_mean,
        "chamfer_l1": None if figures is None else figures.chamfer_l1,
        "f_0.02": 0.0 if figures is None else figures.f_scores[0.02],
        "f_0.02_alone": 0.0 if without is None else without.f_scores[0.02],
    }
    frames = row_frames([np.asarray(truth.vertices)] * 4)
    pictures = (_dots(seen.points, 0.008 * radius), alone, surface, truth)
    lines = (
        (f"scan: {len(seen):,} points, {VIEWS} views",),
        ("the points alone", f"F at 0.02 {report['f_0.02_alone']:.2f}"),
        ("with the space; orange: unseen", f"F at 0.02 {report['f_0.02']:.2f}"),
        ("original",),
    )
    colour = class_colours(list(stage.meshes))[class_of(name)]
    colours = (ORIGINAL, ORIGINAL, colour, ORIGINAL)
    return report, [Cell(*each) for each in zip(pictures, lines, colours, frames, strict=True)]


def bytes_of_shapes(stage: Stage) -> tuple[dict[str, Any], list[Cell]]:
    """Bytes of the file by part; pictures of two shapes in more and more bytes."""
    info, file = space_info(stage.out / "space.h5"), (stage.out / "space.h5").stat().st_size
    meshes = sum((stage.out / "meshes" / f"{name}.ply").stat().st_size for name in stage.meshes)
    count, sizes = len(info.names), info.sizes
    figures = {
        "file": file,
        "decoder": sizes.decoder,
        "codes": sizes.code * count,
        "corrections": sizes.corrections,
        "records": sizes.records,
        "frames": sizes.frames,
        "texts": sizes.texts,
        "per_shape": (file - sizes.decoder) / count,
        "meshes": meshes,
        "residuals": len(info.residuals),
        "stored_meshes": len(info.meshes),
        "codes_alone": count - len(info.residuals) - len(info.meshes),
    }
    cells, packed_count, colours = [], 0, class_colours(list(stage.meshes))
    names = [stage.name(PACKED[0])]
    names.append(stage.name(PACKED[1], names[0]))
    with Bar("bytes", stage.options.quiet, len(names) * len(BYTES)) as bar:
        for name in names:
            shape, colour = stage.space[name], colours[class_of(name)]
            code = shape.metadata.get("code_bytes", sizes.code)
            cells.append(Cell(_surface(shape.without_correction()), ("its code alone", f"{code:,} bytes"), colour))
            for limit in BYTES:
                packed = pack_shape(stage.base, shape, stage.meshes[name], Target(max_bytes=limit), stage.options.seed)
                cells.append(Cell(_surface(packed), (f"{limit:,} bytes", _score(packed)), colour))
                packed_count += 1
                bar.update(packed_count, name)
            size = (stage.out / "meshes" / f"{name}.ply").stat().st_size
            cells.append(Cell(stage.meshes[name], ("original", f"{size:,} bytes"), ORIGINAL))
    return figures, cells


def moved(mesh: trimesh.Trimesh, generator: np.random.Generator) -> trimesh.Trimesh:
    """A copy in a random rotation, of half to twice the size."""
    turn, scale = Rotation.random(random_state=generator).as_matrix(), float(np.exp(generator.uniform(-0.7, 0.7)))
    return trimesh.Trimesh(scale * np.asarray(mesh.vertices) @ turn.T, mesh.faces, process=False)


def _together(stage: Stage) -> LatentSpace:
    """The shapes of the base and those of the collection."""
    both = LatentSpace(stage.base.decoder, history=stage.base.history)
    for number, shape in enumerate(stage.base.values()):
        both.add(replace(shape, name=f"base/{number}"))
    for shape in stage.space.values():
        both.add(shape)
    return both


def _score(shape: Shape) -> str:
    return f"F at 0.01 {shape.metadata['f_score']:.2f}"


def _surface(shape: Shape | Reconstruction | Fitted) -> trimesh.Trimesh | None:
    """The mesh of a field; None where it has no surface."""
    try:
        return shape.mesh(RESOLUTION)
    except ValueError:
        return None


def _dots(points: np.ndarray, radius: float) -> trimesh.Trimesh:
    """Small octahedra at points (M, 3)."""
    ball = trimesh.creation.icosphere(subdivisions=0, radius=radius)
    count, corners = len(points), np.asarray(ball.vertices)
    vertices = (points[:, None] + corners).reshape(-1, 3)
    faces = (np.asarray(ball.faces)[None] + len(corners) * np.arange(count)[:, None, None]).reshape(-1, 3)
    return trimesh.Trimesh(vertices, faces, process=False)
