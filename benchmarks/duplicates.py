"""Duplicates that are planted in a collection, and how many of them `find_duplicates` finds.

    python benchmarks/duplicates.py OUT --families DIR --real DIR...

OUT gets the meshes (`meshes/`), what was planted (`planted.json`), the records (`records.npz`) and the result
(`result.json`); each stage is skipped where its file lies there. Of 700 shapes, 50 a family and 200 real ones, 50 each
are planted again identical, re-meshed, scaled and moved, rotated, mirrored, and with faces removed, and 50 as variants.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import fast_simplification
import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from latentsdf.core.cube_rotations import cube_rotations
from latentsdf.mesh import compare, load_mesh, repair_mesh
from latentsdf.mesh.congruence import TOLERANCE, measured
from latentsdf.mesh.duplicates import Duplicates, Item, find_duplicates
from latentsdf.mesh.point_to_plane import refine
from latentsdf.mesh.record import record_distances, record_of_mesh
from latentsdf.mesh.relation import Relation
from latentsdf.mesh.similarity import Similarity
from latentsdf.mesh.surface import Surface

KINDS = ("identical", "re-meshed", "scaled", "rotated", "mirrored", "repaired", "variant")
EACH = 50


def main() -> None:
    """Run the stages that are not done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("out", type=Path)
    parser.add_argument("--families", type=Path, required=True)
    parser.add_argument("--real", type=Path, nargs="+", required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    meshes = options.out / "meshes"
    meshes.mkdir(parents=True, exist_ok=True)
    if not (options.out / "planted.json").exists():
        plant(options, meshes)
    planted = json.loads((options.out / "planted.json").read_text())
    if not (options.out / "records.npz").exists():
        names = sorted(path.stem for path in meshes.glob("*.ply"))
        records = [record_of_mesh(repair_mesh(load_mesh(meshes / f"{name}.ply"))[0]) for name in names]
        np.savez(options.out / "records.npz", names=names, records=np.array(records))
    stored = np.load(options.out / "records.npz")
    result = evaluate(meshes, [str(name) for name in stored["names"]], stored["records"], planted)
    (options.out / "result.json").write_text(json.dumps(result, indent=1) + "\n")


def plant(options: argparse.Namespace, meshes: Path) -> None:
    """Write base shapes and planted ones; `planted.json` holds (base, copy, kind, how)."""
    generator = np.random.default_rng(options.seed)
    files = [path for family in sorted(options.families.iterdir()) for path in sorted(family.glob("*.ply"))[:50]]
    real = sorted(path for folder in options.real for path in folder.glob("*/*.ply"))
    files += [real[row] for row in sorted(generator.permutation(len(real))[:200].tolist())]
    names = []
    for path in files:
        names.append(f"{path.parent.name}-{path.stem}".replace(" ", "_"))
        load_mesh(path).export(str(meshes / f"{names[-1]}.ply"))
    # real ones first: few shapes of the families are chiral, and only those are mirrored
    free = [*(len(names) - 200 + generator.permutation(200)), *generator.permutation(len(names) - 200)]
    planted: list[dict[str, str]] = []
    for kind in ("mirrored", *(kind for kind in KINDS if kind != "mirrored")):
        count, row = 0, 0
        free = free if kind == "mirrored" else generator.permutation(free).tolist()
        while count < EACH:
            name = names[free[row]]
            mesh = load_mesh(meshes / f"{name}.ply")
            if kind == "mirrored" and not is_chiral(mesh):
                row += 1
                continue
            del free[row]
            copy, how = altered(mesh, kind, count, generator)
            # the seed of the sampling of a record is the same for all, hence the order of faces must not be
            copy.export(str(meshes / f"{name}~{kind}.ply"))
            planted.append({"base": name, "copy": f"{name}~{kind}", "kind": kind, "how": how})
            count += 1
        print(f"planted {count} {kind}", flush=True)
    (options.out / "planted.json").write_text(json.dumps(planted, indent=1) + "\n")


def is_chiral(mesh: trimesh.Trimesh) -> bool:
    """Whether no rotation, of 48 starts, brings a mesh within 1.5 tolerances of its mirror image."""
    image = trimesh.Trimesh(mesh.vertices * [-1, 1, 1], mesh.faces[:, ::-1], process=False)
    a, b = Surface(mesh), Surface(image)
    turns = cube_rotations().double().numpy()
    frames = np.concatenate([turns, b.axes @ turns @ (np.diag([1, 1, np.linalg.det(b.axes @ a.axes)]) @ a.axes.T)])
    first = [refine(a, b, Similarity(turn, 1.0, np.zeros(3)), 3) for turn in frames]
    error = [float(b.closest_points.distance(item.apply(a.points[:300])).mean()) for item in first]
    for row in np.argsort(error)[:6]:
        found = b.normalisation.inverse() @ refine(a, b, first[row], 15) @ a.normalisation
        if measured(a, b, found, TOLERANCE, 500).fit.distance < 1.5 * TOLERANCE:
            return False
    return True


def altered(
    mesh: trimesh.Trimesh, kind: str, number: int, generator: np.random.Generator
) -> tuple[trimesh.Trimesh, str]:
    """A copy of a mesh, altered as the kind says, and how in words."""
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    size = float(np.linalg.norm(np.ptp(vertices, axis=0)))
    shift = generator.normal(size=3) * size
    if kind == "identical":
        return trimesh.Trimesh(vertices, faces[generator.permutation(len(faces))], process=False), "faces reordered"
    if kind == "re-meshed":
        return remeshed(mesh, number % 3)
    if kind == "scaled":
        factor = float(np.exp(generator.uniform(-1.2, 1.2)))
        return trimesh.Trimesh(vertices * factor + shift, faces, process=False), f"by {factor:.3f}"
    turn = Rotation.random(rng=generator).as_matrix()
    if kind == "rotated":
        return trimesh.Trimesh(vertices @ turn.T + shift, faces, process=False), "and moved"
    if kind == "mirrored":
        flipped = trimesh.Trimesh(vertices * [1, -1, 1] @ turn.T, faces[:, ::-1], process=False)
        return flipped, "and rotated"
    if kind == "repaired":
        return with_holes(mesh, generator)
    return varied(mesh, number, generator)


def remeshed(mesh: trimesh.Trimesh, number: int) -> tuple[trimesh.Trimesh, str]:
    """The surface with other triangles: subdivided, simplified, or with clustered vertices."""
    if number == 0:
        return mesh.subdivide(), "subdivided"
    if number == 1:
        simple = fast_simplification.simplify(mesh.vertices, mesh.faces, 0.5)
        return trimesh.Trimesh(simple[0], simple[1], process=False), "half of the faces"
    cell = float(np.linalg.norm(np.ptp(mesh.vertices, axis=0))) / 300
    _, rows, place = np.unique(np.round(mesh.vertices / cell), axis=0, return_index=True, return_inverse=True)
    faces = place.reshape(-1)[mesh.faces]
    faces = faces[(faces != faces[:, [1, 2, 0]]).all(1)]
    return trimesh.Trimesh(mesh.vertices[rows], faces, process=False), "clustered vertices"


def with_holes(mesh: trimesh.Trimesh, generator: np.random.Generator) -> tuple[trimesh.Trimesh, str]:
    """The mesh without a patch of 2 to 10 % of its area, or without 3 % of its faces at random."""
    areas, centers = mesh.area_faces, mesh.triangles_center
    if generator.random() < 0.7:
        share = generator.uniform(0.02, 0.1)
        order = np.argsort(np.linalg.norm(centers - centers[generator.integers(len(centers))], axis=1))
        kept = np.ones(len(order), dtype=bool)
        kept[order[np.cumsum(areas[order]) < share * areas.sum()]] = False
        kept[order[0]] = False
        how = f"a hole of {share:.1%} of the area"
    else:
        kept, how = generator.random(len(areas)) > 0.03, "3 % of the faces are missing"
    open_mesh = trimesh.Trimesh(mesh.vertices, mesh.faces[kept], process=False)
    open_mesh.remove_unreferenced_vertices()
    return open_mesh, how


def varied(mesh: trimesh.Trimesh, number: int, generator: np.random.Generator) -> tuple[trimesh.Trimesh, str]:
    """The mesh with a ball or a box added, or stretched along an axis by 5 to 15 %."""
    if number % 2:
        factor, axis = generator.uniform(1.05, 1.15), number // 2 % 3
        return trimesh.Trimesh(
            mesh.vertices * np.where(np.arange(3) == axis, factor, 1.0), mesh.faces, process=False
        ), f"stretched by {factor:.3f}"
    radius = float(np.linalg.norm(np.ptp(mesh.vertices, axis=0))) / 2 * generator.uniform(0.1, 0.2)
    part = trimesh.creation.icosphere(3, radius) if number % 4 else trimesh.creation.box([1.5 * radius] * 3)
    if not number % 4:
        part = part.subdivide().subdivide().subdivide()
    place = mesh.triangles_center[generator.integers(len(mesh.faces))]
    vertices = np.concatenate([mesh.vertices, part.vertices + place])
    return trimesh.Trimesh(vertices, np.concatenate([mesh.faces, part.faces + len(mesh.vertices)])), "a part added"


def evaluate(meshes: Path, names: list[str], records: np.ndarray, planted: list[dict[str, str]]) -> dict[str, Any]:
    """Search without and with variants; print the table, and check what was not planted."""
    row = {name: number for number, name in enumerate(names)}
    near = [float(record_distances(records[row[p["base"]]], records[row[p["copy"]]])[0, 0]) for p in planted]
    for kind in KINDS:
        part = np.array([distance for distance, p in zip(near, planted, strict=True) if p["kind"] == kind])
        figures = np.percentile(part, [50, 95, 100])
        print(f"records of {kind}: median {figures[0]:.2f}, 95 % {figures[1]:.2f}, largest {figures[2]:.2f}")
    items = [
        Item(name, record, lambda name=name: load_mesh(meshes / f"{name}.ply"))
        for name, record in zip(names, records, strict=True)
    ]
    result: dict[str, Any] = {"shapes": len(names), "record_distances": near}
    for variants in (False, True):
        wall, cpu = time.monotonic(), time.process_time()
        found = find_duplicates(items, variants=variants)
        seconds = {"seconds": time.monotonic() - wall, "processor_seconds": time.process_time() - cpu}
        result["variants" if variants else "same"] = summary(found, planted, seconds, meshes) | found.to_dict()
    return result


def summary(
    found: Duplicates, planted: list[dict[str, str]], seconds: dict[str, float], meshes: Path
) -> dict[str, Any]:
    """Precision and recall by kind."""
    truth = {frozenset((p["base"], p["copy"])): p for p in planted}
    pairs = {frozenset((r.a, r.b)): r for r in (*found.relations, *found.variants)}
    group = {name: number for number, names in enumerate(found.groups) for name in names}
    table = {}
    for kind in KINDS:
        wanted = [key for key, p in truth.items() if p["kind"] == kind]
        grouped = [key for key in wanted if len({group.get(name, name) for name in key}) == 1]
        right = [key for key in wanted if key in pairs and pairs[key].kind == kind]
        claimed = [r for r in pairs.values() if r.kind == kind]
        hits = [r for r in claimed if truth.get(frozenset((r.a, r.b)), {}).get("kind") == kind]
        named = Counter(
            pairs[key].kind if key in pairs else "in one group" if key in grouped else "-" for key in wanted
        )
        table[kind] = {
            "planted": len(wanted),
            "found": len([key for key in wanted if key in pairs or key in grouped]),
            "named_right": len(right),
            "claimed": len(claimed),
            "claimed_planted": len(hits),
            "named": dict(named),
        }
        print(kind, table[kind], flush=True)
    others = [checked(r, meshes) for key, r in pairs.items() if key not in truth and r.kind != "variant"]
    unplanted = sum(key not in truth and r.kind == "variant" for key, r in pairs.items())
    missed = [p for key, p in truth.items() if key not in pairs and len({group.get(n, n) for n in key}) > 1]
    print("not planted, found as the same:", *others, sep="\n ")
    print("missed:", *missed, sep="\n ")
    print(f"{unplanted} variants not planted, {found.compared} pairs compared,", seconds)
    return {"table": table, "others": others, "missed": missed, "other_variants": unplanted, **seconds}


def checked(relation: Relation, meshes: Path) -> dict[str, Any]:
    """An independent measure of a pair that was not planted: `compare` in the frame found."""
    a, b = load_mesh(meshes / f"{relation.a}.ply"), load_mesh(meshes / f"{relation.b}.ply")
    moved = a.copy().apply_transform(np.array(relation.transform))
    figures = compare(moved, b)
    return {"pair": [relation.a, relation.b], "as": str(relation), "f_0.01": figures.f_scores[0.01]} | {
        "f_0.005": figures.f_scores[0.005],
        "hausdorff": figures.hausdorff,
    }


if __name__ == "__main__":
    main()
