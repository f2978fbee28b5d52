"""Every public name resolves, and importing the package loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import latentsdf as ls

NAMES = [
    "Dataset",
    "EncodeConfig",
    "FitConfig",
    "Fitted",
    "Frame",
    "Index",
    "Jet",
    "LatentSpace",
    "Match",
    "PrepareConfig",
    "ReconstructConfig",
    "Reconstruction",
    "RefineConfig",
    "SDF",
    "Scan",
    "ScanFitConfig",
    "Shape",
    "Stage",
    "Target",
    "Term",
    "TrainConfig",
    "compare",
    "encode",
    "evaluate",
    "extract_mesh",
    "fit",
    "load",
    "overfit",
    "prepare",
    "primitives",
    "reconstruct",
    "regularizers",
    "save",
    "solve_scan",
    "solver",
    "train",
    "view",
]


@pytest.mark.parametrize("name", NAMES)
def test_name_resolves(name: str) -> None:
    assert getattr(ls, name) is not None
    assert name in dir(ls)


def test_the_list_is_the_surface() -> None:
    assert sorted(NAMES) == sorted(ls.__all__)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(AttributeError, match="tarin"):
        _ = ls.tarin  # pyright: ignore[reportAttributeAccessIssue]


def test_importing_is_cheap_and_faiss_waits_for_its_use() -> None:
    code = (
        "import sys, latentsdf, latentsdf.space.index\n"
        "heavy = {'torch', 'faiss', 'trimesh', 'skimage'} & set(sys.modules)\n"
        "assert 'faiss' not in heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    only = "import sys, latentsdf\nassert not {'torch', 'faiss', 'trimesh', 'h5py'} & set(sys.modules)\n"
    subprocess.run([sys.executable, "-c", only], check=True)
