"""The embedded default collection: meshes of the parametric families in one folder a class."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from latentsdf.meshing import extract_mesh
from latentsdf.primitives import FAMILIES

OnMesh = Callable[[str, int, int], None]


def write_families(
    out_dir: str | os.PathLike[str],
    count: int = 20,
    seed: int = 0,
    resolution: int = 96,
    on_mesh: OnMesh | None = None,
    *,
    families: Sequence[str] | None = None,
) -> list[Path]:
    """Write meshes of random members of the parametric families, and the parameters each was made from.

    A shape depends on family, seed and index alone, so a larger count extends a smaller one.

    Args:
        out_dir: gets `<family>/<index>.ply` (index of three digits) and `parameters.json`, whose `shapes`
            maps `<family>/<index>` to its parameters. Files of those names are replaced.
        count: shapes a family.
        seed: another seed gives other shapes of the same families.
        resolution: cells along the side of the cube [-1, 1]^3 that the meshes are extracted on.
        on_mesh: called with (name, done, total) after each mesh.
        families: the classes to write; all of them by default.

    Returns:
        The paths of the meshes, in order of name.

    Raises:
        ValueError: count below 1, a negative seed, or an unknown family.
    """
    if count < 1:
        raise ValueError(f"the count of shapes a family must be at least 1, got {count}")
    if seed < 0:
        raise ValueError(f"the seed must not be negative, got {seed}")
    chosen = sorted(set(FAMILIES if families is None else families))
    for name in chosen:
        if name not in FAMILIES:
            raise ValueError(f"no family named {name!r}; known are {', '.join(FAMILIES)}")
    target = Path(out_dir)
    digits = max(3, len(str(count - 1)))
    paths: list[Path] = []
    shapes: dict[str, dict[str, float]] = {}
    for family in (FAMILIES[name] for name in chosen):
        (target / family.name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            values = family.sample((seed, index))
            name = f"{family.name}/{index:0{digits}d}"
            mesh = extract_mesh(family.sdf(values), resolution, lipschitz=1.0)
            path = target / f"{name}.ply"
            mesh.export(path)
            paths.append(path)
            shapes[name] = values
            if on_mesh is not None:
                on_mesh(name, len(paths), count * len(chosen))
    record = {"seed": seed, "count": count, "resolution": resolution, "shapes": shapes}
    (target / "parameters.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return paths
