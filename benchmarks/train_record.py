"""Make the components of the search record from generated meshes: `latentsdf/mesh/record_basis.npz`.

    python datasets/creatures.py A --count 270; python datasets/household.py B --count 240
    python datasets/families.py C --count 20 --resolution 64
    python benchmarks/train_record.py latentsdf/mesh/record_basis.npz A B C

Each block of the statistics is scaled to one mean squared distance over the shapes; the first 128 principal components
of all blocks are divided by the fourth root of their variance (half way to whitening). No label and no mesh that a
benchmark judges is used.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from judging import true_mesh
from numpy.typing import NDArray

from latentsdf.mesh.folder import find_meshes
from latentsdf.mesh.pair_statistics import BLOCKS, pair_statistics
from latentsdf.mesh.record import POINTS, RECORD_BYTES
from latentsdf.mesh.surface_sampling import surface_samples


def main() -> None:
    """Read, project, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("mesh_dirs", type=Path, nargs="+")
    options = parser.parse_args()
    rows = []
    for folder in options.mesh_dirs:
        for _, path in sorted(find_meshes(folder)[0]):
            rows.append(pair_statistics(*surface_samples(true_mesh(path), POINTS, len(rows)), seed=len(rows)))
            print(len(rows), path, flush=True)
    mean, components = half_whitened(np.stack(rows))
    steps = np.abs(components).max(0) / 127
    stored = np.rint(components / steps).astype(np.int8)
    np.savez_compressed(options.out, mean=mean.astype(np.float16), components=stored, steps=steps.astype(np.float32))


def half_whitened(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (F,) and weighted components (F, 128) of statistics (S, F)."""
    mean = rows.mean(0, dtype=np.float64)
    centred = rows - mean
    ends = np.cumsum([0, *BLOCKS])
    spread = [np.sqrt(2 * centred[:, a:b].var(0).sum()) for a, b in zip(ends[:-1], ends[1:], strict=True)]
    weights = 1 / np.repeat(spread, BLOCKS)
    _, values, axes = np.linalg.svd(centred * weights, full_matrices=False)
    deviations = values[:RECORD_BYTES] / np.sqrt(len(rows))
    return mean, (axes[:RECORD_BYTES] / np.sqrt(deviations)[:, None]).T * weights[:, None]


if __name__ == "__main__":
    main()
