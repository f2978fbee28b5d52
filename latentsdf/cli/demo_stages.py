"""Parts of the demo on a collection of encoded shapes: search, duplicates, a morph, bytes."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from ..core.names import class_of
from ..inference.packing import pack_shape
from ..inference.rate_search import Target
from ..mesh.duplicates import Item, find_duplicates
from ..mesh.record import record_of_mesh
from ..mesh.relation import Relation
from ..plot.sheet import ORIGINAL, Cell, class_colours
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
QUERIES = ("chair/bentwood", "cup/teapot")
MORPH = ("vase/jar", "cup/teapot")
PACKED = ("chair/windsor", "bone/skull")
BYTES = (300, 600)
"""Shapes that are shown, and bytes that those of `PACKED` are packed to; where a collection lacks one, its first."""
COPIES = 6
"""Copies that are planted for `duplicates`."""


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
                    surface = surface_of(stage.space[match.name])
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
    kinds = {frozenset((item.a, item.b)): item for item in found.relations}
    cells = []
    for copy, (name, mesh) in list(copies.items())[:2]:
        cells.append(Cell(stage.meshes[name], (name,), ORIGINAL))
        cells.append(Cell(mesh, (_related(kinds.get(frozenset((name, copy)))),), ORIGINAL))
    figures = {"planted": planted, "found": len(pairs & wanted), "others": len(pairs - wanted)}
    return {**figures, "relations": [str(item) for item in found.relations]}, cells


def morph(stage: Stage) -> list[tuple[str, trimesh.Trimesh | None]]:
    """Surfaces of a morph, each with the name of the end that is nearer; they are written as files too."""
    first = stage.name(MORPH[0])
    last = stage.name(MORPH[1], first)
    found, path = [], Morph(stage.space[first], stage.space[last])
    with Bar("morph", stage.options.quiet, STEPS) as bar:
        for number in range(STEPS):
            surface = surface_of(path.at(number / (STEPS - 1)))
            if surface is not None:
                write_mesh(surface, stage.out / "morph" / f"{number:03d}.ply")
            found.append((first if 2 * number < STEPS else last, surface))
            bar.update(number + 1)
    return found


def bytes_of_shapes(stage: Stage) -> tuple[dict[str, Any], list[Cell]]:
    """Bytes of the file by part; pictures of two shapes in more and more bytes."""
    info, file = space_info(stage.out / "space.h5"), (stage.out / "space.h5").stat().st_size
    meshes = sum((stage.out / "meshes" / f"{name}.ply").stat().st_size for name in stage.meshes)
    count, sizes = len(info.names), info.sizes
    own = sizes.code * count + sizes.corrections + sizes.records + sizes.frames + sizes.texts
    figures = {
        "file": file,
        "decoder": sizes.decoder,
        "codes": sizes.code * count,
        "corrections": sizes.corrections,
        "records": sizes.records,
        "frames": sizes.frames,
        "texts": sizes.texts,
        "shapes": own,
        "per_shape": own / count,
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
            cells.append(Cell(surface_of(shape.without_correction()), ("its code alone", f"{code:,} bytes"), colour))
            for limit in BYTES:
                packed = pack_shape(stage.base, shape, stage.meshes[name], Target(max_bytes=limit), stage.options.seed)
                cells.append(Cell(surface_of(packed), (f"{limit:,} bytes", _score(packed)), colour))
                packed_count += 1
                bar.update(packed_count, name)
            size = (stage.out / "meshes" / f"{name}.ply").stat().st_size
            cells.append(Cell(stage.meshes[name], ("original", f"{size:,} bytes"), ORIGINAL))
    return figures, cells


def moved(mesh: trimesh.Trimesh, generator: np.random.Generator) -> trimesh.Trimesh:
    """A copy in a random rotation, of half to twice the size."""
    turn, scale = Rotation.from_quat(generator.normal(size=4)).as_matrix(), float(np.exp(generator.uniform(-0.7, 0.7)))
    return trimesh.Trimesh(scale * np.asarray(mesh.vertices) @ turn.T, mesh.faces, process=False)


def _related(relation: Relation | None) -> str:
    if relation is None:
        return "not found"
    return f"copy: {'mirrored, ' if relation.mirrored else ''}{relation.angle:.0f} degrees, times {relation.scale:.2f}"


def _score(shape: Shape) -> str:
    return f"F at 0.01 {shape.metadata['f_score']:.2f}"


class Meshed(Protocol):
    """A field with a surface: a shape, a reconstruction, a fitted field."""

    def mesh(self, resolution: int, /) -> trimesh.Trimesh:
        """The surface; ValueError where there is none."""
        ...


def surface_of(field: Meshed) -> trimesh.Trimesh | None:
    """The mesh of a field; None where it has no surface."""
    try:
        return field.mesh(RESOLUTION)
    except ValueError:
        return None
