"""Write links of robots, classes robot_arm, robot_hand, robot_leg and robot_body.

    python datasets/robot_parts.py OUT_DIR --source WHEEL ... [--count N] [--seed 0] [--leave-out FILE]
                                   [--unlike DIR ...]

The visual mesh of every link, or its collision mesh where the visual one cannot be closed. Closed ones stay as they are
(their parts joined), others are shrink-wrapped as the furniture is. Links that differ by reflection, size or
tessellation, and copies of a robot in several packages, are written once, in the units and axes of the source.

Needs: `pip install pymeshlab manifold3d fast-simplification pycollada`, and the wheels:
`pip download --no-deps robosuite==1.5.2 robosuite-models==1.0.0 example-robot-data==6.0.0 rtb-data==2.0.0`.
Licence: of each folder its own, as the package states it beside the meshes (README, LICENSE, package.xml), else the one
of the package where the robot is known to be free: MIT, BSD-2-Clause, BSD-3-Clause, ISC or Apache-2.0. The Ability Hand
is under the licence of its maker (ability-hand-api).
All ask to keep the notices: keep robot.csv with the meshes. Not taken: folders under MPL-2.0, GPL-3.0 (Fourier GR-1),
CC-BY-SA, CC-BY-NC-SA (Inspire hands) and CC-BY-NC-ND, and those whose origin or licence is not plainly stated: the
Fourier hands of robosuite; Go2 and Z1 (MPL-2.0 by one package, BSD by another), B1, ARX5 and the SVH hand of
robosuite-models; the folders data and meshes, AL5D, Puma 560
and Frankie of rtb-data. Panda's and Baxter's arms and TIAGo are taken from example-robot-data alone.
Writes: OUT_DIR/robot_<kind>/<name>.ply and OUT_DIR/robot.csv (file, source, author, licence, change).
"""

from __future__ import annotations

import sys

from package_files import Folder, write_folders

GEPETTO = "cmeel.prefix/share/example-robot-data/robots/"
SUITE, MODELS, TOOLBOX = "robosuite/models/assets/", "robosuite_models/assets/", "rtbdata/xacro/"
JAWS = "jaw|tooth|hinge|^(left|right)_finger|_(main|lip|base|motor)$"
"""Collision meshes of Spot's arm and gripper."""

EXAMPLES = (
    ("alexander", "body", "Apache-2.0", "IHMC"),
    ("allegro_hand", "hand", "BSD", "Wonik Robotics"),
    ("anymal_b_simple", "leg", "BSD-3-Clause", "ANYbotics AG"),
    ("anymal_c_simple", "leg", "BSD-3-Clause", "ANYbotics AG"),
    ("asr_twodof", "arm", "BSD-3-Clause", "qbrobotics"),
    ("baxter", "arm", "BSD-3-Clause", "Rethink Robotics"),
    ("bolt", "leg", "BSD-3-Clause", "Open Dynamic Robot Initiative"),
    ("borinot", "body", "BSD-2-Clause", "Josep Marti Saumell"),
    ("cassie", "leg", "ISC", "Agility Robotics, DAIR Lab"),
    ("centauro", "body", "Apache-2.0", "IIT ADVR"),
    ("double_pendulum", "arm", "BSD", "Josep Marti Saumell"),
    ("finger_edu", "arm", "BSD-3-Clause", "Open Dynamic Robot Initiative"),
    ("g1", "body", "BSD-3-Clause", "Unitree Robotics"),
    ("hector", "body", "BSD", "TU Darmstadt"),
    ("hextilt", "body", "BSD-2-Clause", "Josep Marti Saumell"),
    ("human", "body", "BSD-2-Clause", "Gepetto team, LAAS-CNRS"),
    ("hyq", "leg", "Apache-2.0", "IIT DLS lab"),
    ("iris", "body", "Apache-2.0", "ETH Zurich ASL"),
    ("kinova", "arm", "BSD", "Kinova"),
    ("panda", "arm", "Apache-2.0", "Franka Emika"),
    ("pr2", "body", "BSD", "Willow Garage"),
    ("romeo", "body", "BSD", "LAAS-CNRS, Aldebaran"),
    ("simple_humanoid", "body", "BSD-2-Clause", "LAAS-CNRS"),
    ("so_arm", "arm", "Apache-2.0", "The Robot Studio"),
    ("solo", "leg", "BSD-3-Clause", "Open Dynamic Robot Initiative"),
    ("tiago", "body", "Apache-2.0", "PAL Robotics"),
    ("tiago_pro", "body", "Apache-2.0", "PAL Robotics"),
    ("ur", "arm", "BSD", "ROS-Industrial"),
    ("xarm", "arm", "BSD-3-Clause", "UFACTORY"),
)
"""Robots of example-robot-data, with the licence that README.md and package.xml state of each."""

SUITES = (
    ("robosuite", f"{SUITE}robots/iiwa/", "arm", "KUKA"),
    ("robosuite", f"{SUITE}robots/jaco/", "arm", "Kinova"),
    ("robosuite", f"{SUITE}robots/kinova3/", "arm", "Kinova"),
    ("robosuite", f"{SUITE}robots/ur5e/", "arm", "Universal Robots"),
    ("robosuite", f"{SUITE}robots/xarm7/", "arm", "UFACTORY"),
    ("robosuite", f"{SUITE}grippers/meshes/jaco_three_finger_gripper/", "hand", "Kinova"),
    ("robosuite", f"{SUITE}grippers/meshes/panda_gripper/", "hand", "Franka Emika"),
    ("robosuite", f"{SUITE}grippers/meshes/rethink_gripper/", "hand", "Rethink Robotics"),
    ("robosuite", f"{SUITE}grippers/meshes/robotiq_140_gripper/", "hand", "Robotiq"),
    ("robosuite", f"{SUITE}grippers/meshes/robotiq_85_gripper/", "hand", "Robotiq"),
    ("robosuite", f"{SUITE}grippers/meshes/robotiq_s_gripper/", "hand", "Robotiq"),
    ("robosuite", f"{SUITE}grippers/meshes/xarm7_gripper/", "hand", "UFACTORY"),
    ("robosuite-models", f"{MODELS}robots/g1/", "body", "Unitree Robotics"),
    ("robosuite-models", f"{MODELS}robots/pr2/", "body", "Willow Garage"),
    ("robosuite-models", f"{MODELS}robots/vx300s/", "arm", "Trossen Robotics"),
    ("robosuite-models", f"{MODELS}robots/yumi/", "arm", "ABB, KTH"),
    ("robosuite-models", f"{MODELS}bases/meshes/aloha_mount/", "body", "Trossen Robotics, Google DeepMind"),
    ("robosuite-models", f"{MODELS}grippers/meshes/aloha_gripper/", "hand", "Trossen Robotics, Google DeepMind"),
    ("robosuite-models", f"{MODELS}grippers/meshes/g1_three_finger_gripper/", "hand", "Unitree Robotics"),
    ("robosuite-models", f"{MODELS}grippers/meshes/pr2_gripper/", "hand", "Willow Garage"),
    ("robosuite-models", f"{MODELS}grippers/meshes/umi_gripper/", "hand", "Stanford University"),
    ("robosuite-models", f"{MODELS}grippers/meshes/yumi_gripper/", "hand", "ABB, KTH"),
)
"""Robots of robosuite and robosuite-models, both MIT."""

IN_PIECES = (
    ("robots/spot/", "leg", "Boston Dynamics"),
    ("robots/spot_arm/", "arm", "Boston Dynamics"),
    ("grippers/meshes/bd_gripper/", "hand", "Boston Dynamics"),
    ("bases/meshes/", "body", "Omron, Rethink Robotics"),
)
"""Spot and bases in robosuite, stored in pieces of one colour each."""

MAKERS = (
    ("robots/aloha/", "arm", "BSD-3-Clause", "Trossen Robotics"),
    ("robots/h1/", "body", "BSD-3-Clause", "Unitree Robotics"),
    ("grippers/meshes/ability_hand/", "hand", "MIT", "PSYONIC"),
)
"""Robots of robosuite-models under the licences of their makers; the package itself is MIT."""

INDUSTRIAL = (
    ("abb_irb140_description/", "BSD", "ROS-Industrial (abb_experimental)"),
    *(
        (f"kuka_description/kuka_{name}/", "BSD", "ROS-Industrial (kuka_experimental)")
        for name in ("kr10", "kr120", "kr150", "kr16", "kr210", "kr3", "kr5", "kr6", "lbr_iiwa")
    ),
    ("trossen_descriptions/", "BSD-3-Clause", "Trossen Robotics"),
)
"""Robots of rtb-data: the licences of the ROS packages that its files come from; the package itself is MIT."""

FOLDERS = (
    *(
        Folder("example-robot-data", f"{GEPETTO}{name}_description/", f"robot_{kind}", licence, author)
        for name, kind, licence, author in EXAMPLES
    ),
    *(
        Folder("robosuite-models", f"{MODELS}{path}", f"robot_{kind}", licence, author)
        for path, kind, licence, author in MAKERS
    ),
    Folder("robosuite", f"{SUITE}bullet_data/sawyer_description/", "robot_arm", "BSD", "Rethink Robotics"),
    *(
        Folder("robosuite", f"{SUITE}{path}", f"robot_{kind}", "MIT", author, pieces=True, without=JAWS)
        for path, kind, author in IN_PIECES
    ),
    *(Folder(package, path, f"robot_{kind}", "MIT", author) for package, path, kind, author in SUITES),
    *(Folder("rtb-data", f"{TOOLBOX}{path}", "robot_arm", licence, author) for path, licence, author in INDUSTRIAL),
    Folder("rtb-data", f"{TOOLBOX}clearpath_ridgeback_description/", "robot_body", "BSD", "Clearpath Robotics"),
    Folder("rtb-data", "rtbdata/armer_xarm/", "robot_arm", "MIT", "QUT Centre for Robotics"),
)


if __name__ == "__main__":
    sys.exit(write_folders(__doc__, FOLDERS, "robot.csv"))
