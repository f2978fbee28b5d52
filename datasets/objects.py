"""Write random objects, the 1,000 grasping objects of pybullet: class random_object.

    python datasets/objects.py OUT_DIR --source DIR_OR_TAR [--count 500] [--seed 0] [--leave-out FILE]

Each object comes as a set of convex parts with hairline gaps between them. Each part is grown by 0.25 % of the object's
diagonal (0.5 % where gaps stay), which closes the gaps, and the boolean union is written, in the units and axes of the
source. The meshes are a random choice of those that are not left out.

Needs: `pip install manifold3d`, and pybullet's source archive (the wheel has the same folder, but takes a compiler
or a platform): `pip download --no-deps --no-binary pybullet --no-build-isolation pybullet==3.2.7` (wants setuptools).
Licence of the objects: zlib (Bullet Physics).
Writes: OUT_DIR/random_object/<number>.ply and OUT_DIR/random_object.csv (file, source, author, licence).
"""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import numpy as np
import trimesh
from common import leave, names_in, need, options_parser, show, union, write_mesh, write_table


def read_sources(source: Path) -> dict[str, str]:
    """Name -> text of its OBJ, from the archive or from a folder that holds random_urdfs somewhere."""
    if source.is_dir():
        paths = sorted(source.rglob("random_urdfs/*/*.obj"))
        return {path.stem: path.read_text(encoding="utf-8") for path in paths}
    found = {}
    with tarfile.open(source) as archive:
        for member in archive:
            path = Path(member.name)
            if path.suffix == ".obj" and path.parts[-3:-2] == ("random_urdfs",):
                file = archive.extractfile(member)
                if file is not None:
                    found[path.stem] = file.read().decode("utf-8")
    return dict(sorted(found.items()))


GROWTHS = (0.0025, 0.005)
"""Growth of the parts, as fractions of the object's diagonal; the second where the first leaves gaps."""

BALL = np.asarray(trimesh.creation.icosahedron().vertices)


def convex_parts(text: str) -> list[np.ndarray]:
    """Read the points of each `o` group of an OBJ."""
    groups: list[list[list[float]]] = []
    for line in text.splitlines():
        if line.startswith("o "):
            groups.append([])
        elif line.startswith("v "):
            if not groups:
                groups.append([])
            groups[-1].append([float(value) for value in line.split()[1:4]])
    return [np.array(group) for group in groups if len(group) > 3]


def solid(parts: list[np.ndarray]) -> trimesh.Trimesh:
    """Union of the convex hulls of the parts, grown until it is one body if possible."""
    diagonal = float(np.linalg.norm(np.ptp(np.concatenate(parts), axis=0)))
    bodies = []
    for growth in GROWTHS:
        grown = [(part[:, None] + growth * diagonal * BALL).reshape(-1, 3) for part in parts]
        bodies.append(union([trimesh.convex.convex_hull(points) for points in grown]))
        if bodies[-1].body_count == 1:
            return bodies[-1]
    return bodies[0]


def main() -> int:
    parser = options_parser(__doc__, 500, "random_object/<number>.ply and random_object.csv")
    parser.add_argument("--source", required=True, help="pybullet-3.2.7.tar.gz, or a folder it was unpacked in")
    options = parser.parse_args()
    need("objects", "manifold3d", "pip install manifold3d")
    try:
        skipped = names_in(options.leave_out)
        sources = read_sources(Path(options.source))
    except (OSError, tarfile.TarError) as error:
        leave("objects", error)
    if not sources:
        leave("objects", f"no random_urdfs/<number>/<number>.obj in {options.source}")
    names = [name for name in sources if name not in skipped]
    chosen = [names[i] for i in np.random.default_rng(options.seed).permutation(len(names))]
    wanted = min(options.count, len(chosen))
    rows, failed = [], 0
    for name in chosen:
        if len(rows) == wanted:
            break
        file = f"random_object/{name}.ply"
        try:
            good = write_mesh(solid(convex_parts(sources[name])), Path(options.out_dir) / file)
        except ValueError:
            good = False
        if not good:
            failed += 1
            continue
        source = f"pybullet 3.2.7, pybullet_data/random_urdfs/{name}"
        rows.append({"file": file, "source": source, "author": "Bullet Physics", "licence": "zlib"})
        show(len(rows), wanted, file)
    write_table(rows, Path(options.out_dir) / "random_object.csv")
    print(f"{len(rows)} meshes in {options.out_dir}, {failed} not closed and left out")
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
