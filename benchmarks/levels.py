"""What levels and cuts bring: shapes of a space, and unseen ones, with and without their adjustment.

    python benchmarks/levels.py SPACE.h5 MESH_DIR --shapes 40

MESH_DIR holds the meshes that the space was trained on and others; shapes of the space are as stored, the others are
encoded. Printed is one Markdown row a side and form: code alone, at its level, and with cuts too (unseen shapes).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from judging import judge_shape, true_mesh

from latentsdf.inference.encoding import encode
from latentsdf.mesh.folder import find_meshes
from latentsdf.space.shape import Shape
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load

FIGURES = ("f_0.01", "f_0.005", "normal_consistency", "ghost_area", "missing_area", "components_right")


def main() -> None:
    """Judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", type=Path)
    parser.add_argument("mesh_dir", type=Path)
    parser.add_argument("--shapes", type=int, default=40, help="of each side, evenly spaced by name")
    parser.add_argument("--resolution", type=int, default=128)
    options = parser.parse_args()
    space, meshes = load(options.space), dict(find_meshes(options.mesh_dir)[0])
    print("| shapes | form | bytes | " + " | ".join(FIGURES) + " | least F |\n|" + "---|" * (len(FIGURES) + 4))
    for seen in (True, False):
        names = [name for name in meshes if (name in space) == seen]
        chosen = [names[i] for i in np.unique(np.linspace(0, len(names) - 1, options.shapes).round().astype(int))]
        rows: dict[str, list[dict[str, Any]]] = {}
        for name in chosen:
            truth = true_mesh(meshes[name])
            for form, shape in forms(space, name, meshes[name]):
                figures = judge_shape(shape, truth, None, options.resolution)
                figures["bytes"] = 0 if shape.correction is None else shape.correction.nbytes
                rows.setdefault(form, []).append(figures)
        for form, found in rows.items():
            print(f"| {len(chosen)} {'seen' if seen else 'unseen'} | {form} | {row(found)} |", flush=True)


def forms(space: LatentSpace, name: str, path: Path) -> Iterator[tuple[str, Shape]]:
    """The shape without its adjustment, at its level alone, and with all of it where it has cuts."""
    whole = space[name] if name in space else encode(space, path, name=name)
    plain = whole.without_correction()
    yield "code alone", plain
    yield "at its level", plain.at_level(whole.level)
    if name not in space:
        yield "and cut", whole


def row(found: list[dict[str, Any]]) -> str:
    """Median (mean) of F-scores and normals, means of the rest."""
    cells = [f"{np.mean([item['bytes'] for item in found]):.1f}"]
    for key in FIGURES:
        values = np.array([item[key] for item in found], dtype=float)
        mean = f"{values.mean():.3f}"
        cells.append(f"{np.median(values):.3f} ({mean})" if key in FIGURES[:3] else f"{100 * values.mean():.1f} %")
    return " | ".join([*cells, f"{min(item['f_0.01'] for item in found):.3f}"])


if __name__ == "__main__":
    main()
