"""Write the small objects and machines of simulated manipulation tasks: class prop.

    python datasets/props.py OUT_DIR --source WHEEL ... [--count N] [--seed 0] [--leave-out FILE] [--unlike DIR ...]

The parts of doors, drawers, faucets, laptops, coffee machines, hammers and the like of Meta-World (each its own mesh),
and bottle, bread, can, cereal box, lemon, milk carton and handles of robosuite. Closed meshes stay as they are, others
are shrink-wrapped as the furniture is; of copies one is written.

Needs: `pip install pymeshlab manifold3d fast-simplification pycollada`, and the wheels:
`pip download --no-deps metaworld==3.1.1 robosuite==1.5.2`.
Licence: MIT (Meta-World Team 2019; Stanford Vision and Learning Lab and UT Robot Perception and Learning Lab 2022). It
asks to keep the notice: keep prop.csv with the meshes.
Writes: OUT_DIR/prop/<name>.ply and OUT_DIR/prop.csv (file, source, author, licence, change).
"""

from __future__ import annotations

import sys

from package_files import Folder, write_folders

FOLDERS = (
    Folder("metaworld", "metaworld/assets/objects/meshes/", "prop", "MIT", "Copyright (c) 2019 Meta-World Team"),
    Folder(
        "robosuite",
        "robosuite/models/assets/objects/meshes/",
        "prop",
        "MIT",
        "Copyright (c) 2022 Stanford Vision and Learning Lab and UT Robot Perception and Learning Lab",
    ),
)


if __name__ == "__main__":
    sys.exit(write_folders(__doc__, FOLDERS, "prop.csv"))
