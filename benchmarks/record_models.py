"""Statistics of the numbers of compact search records, of generated shapes: the models of `space.record_column`.

python datasets/creatures.py A --count 60; python datasets/household.py B --count 60
python datasets/families.py C --count 4 --resolution 64
python benchmarks/record_models.py A B C
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from judging import true_mesh

from latentsdf.codec.row_streams import ColumnModel
from latentsdf.mesh.folder import find_meshes
from latentsdf.mesh.search_record import search_record, view_part, whole_part


def main() -> None:
    """Describe the meshes, print the eighths of the deviations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mesh_dirs", type=Path, nargs="+")
    options = parser.parse_args()
    files = sorted(path for folder in options.mesh_dirs for _, path in find_meshes(folder)[0])
    records = []
    for path in files:
        records.append(search_record(true_mesh(path)))
        print(len(records), path, flush=True)
    whole = np.stack([whole_part(record) for record in records])
    views = np.concatenate([view_part(record)[view_part(record).any(1)] for record in records])
    for part in (whole, views):
        print([ColumnModel.of(column).eighths for column in part.astype(np.int64).T], f"greatest {np.abs(part).max()}")


if __name__ == "__main__":
    main()
