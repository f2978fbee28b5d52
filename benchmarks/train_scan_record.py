"""Make the map from records of noisy whole scans to those of their surfaces: `latentsdf/scan/scan_record.npz`.

    python benchmarks/train_scan_record.py latentsdf/scan/scan_record.npz A B C

A, B and C are the folders of generated meshes of `train_record.py`. Of each mesh one scan of 500 to 4,096 points is
drawn, with noise of .001 to .02, and its normals are estimated; the map is a ridge regression of what the record lacks.
No label and no mesh that a benchmark judges is used.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import trimesh
from judging import true_mesh

from latentsdf.core.frame import Frame
from latentsdf.mesh.folder import find_meshes
from latentsdf.mesh.record import POINTS, RECORD_BYTES, record_of_points, unit_records
from latentsdf.scan.virtual import virtual_scan

RIDGE = 10.0
"""Chosen on meshes of classes left out; 3 to 30 differ little."""


def main() -> None:
    """Scan, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("mesh_dirs", type=Path, nargs="+")
    options = parser.parse_args()
    random, pairs = np.random.default_rng(0), []
    for folder in options.mesh_dirs:
        for _, path in sorted(find_meshes(folder)[0]):
            mesh, seed = true_mesh(path), len(pairs)
            unit = trimesh.Trimesh(Frame.around(mesh.vertices).to_unit(mesh.vertices), mesh.faces, process=False)
            count = POINTS if random.random() < 0.5 else int(np.exp(random.uniform(np.log(500), np.log(POINTS))))
            clean = virtual_scan(unit, count=count, seed=seed)
            noise = float(np.exp(random.uniform(np.log(0.001), np.log(0.02))))
            points = clean.points + random.normal(size=clean.points.shape) * noise
            scan = replace(clean, points=points, normals=None).with_normals()
            assert scan.normals is not None
            assert clean.normals is not None
            seen = record_of_points(scan.points, scan.normals, seed)
            pairs.append((seen, record_of_points(clean.points, clean.normals, seed + 1)))
            print(len(pairs), path, flush=True)
    seen, true = (unit_records(np.stack(rows), np.float64) for rows in zip(*pairs, strict=True))
    inputs = np.hstack([seen, np.ones((len(seen), 1))])
    fitted = np.linalg.solve(inputs.T @ inputs + RIDGE * np.eye(RECORD_BYTES + 1), inputs.T @ (true - seen))
    print("distance before", float(np.median(np.linalg.norm(seen - true, axis=1))))
    np.savez_compressed(options.out, correction=fitted.astype(np.float16))


if __name__ == "__main__":
    main()
