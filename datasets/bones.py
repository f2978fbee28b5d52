"""Write human bones and prosthetic parts, the meshes of the musculoskeletal models of myo-sim: class bone.

    python datasets/bones.py OUT_DIR --source WHEEL [--count N] [--seed 0] [--leave-out FILE] [--unlike DIR ...]

Closed bones stay as they are; open ones are shrink-wrapped as the furniture is. One of each pair of mirrored or copied
bones is written, in metres and the axes of the source.

Needs: `pip install pymeshlab manifold3d fast-simplification pycollada`, and the wheel:
`pip download --no-deps myo-sim==0.2.4`.
Licence: Apache-2.0 (Vikash Kumar, Vittorio Caggiano, Huawei Wang and others, MyoSuite); the meshes are changed.
The models derive from OpenSim's and SimTK's (Rajagopal 2016, Holzbaur 2005, Delp 1990 under CC-BY-3.0): keep bone.csv.
Writes: OUT_DIR/bone/<name>.ply and OUT_DIR/bone.csv (file, source, author, licence, change).
"""

from __future__ import annotations

import sys

from package_files import Folder, write_folders

AUTHOR = "Vikash Kumar, Vittorio Caggiano, Huawei Wang et al. (MyoSuite), after OpenSim and SimTK models"
FOLDERS = (Folder("myo-sim", "myo_sim/models/meshes/", "bone", "Apache-2.0", AUTHOR),)


if __name__ == "__main__":
    sys.exit(write_folders(__doc__, FOLDERS, "bone.csv"))
