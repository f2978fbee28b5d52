"""latentsdf: one compact latent space of signed distance functions over many 3-D shapes.

    import latentsdf as ls
    ls.prepare("datasets/chairs", "chairs.h5")
    space = ls.train("chairs.h5", path="space.h5")
    space["windsor"].mesh().export("windsor.glb")

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import primitives as primitives
    from . import regularizers as regularizers
    from . import solver as solver
    from .dataset import Dataset as Dataset
    from .evaluation import evaluate as evaluate
    from .field import SDF as SDF
    from .field import Jet as Jet
    from .fitting import FitConfig as FitConfig
    from .fitting import Fitted as Fitted
    from .fitting import fit as fit
    from .frame import Frame as Frame
    from .index import Index as Index
    from .index import Match as Match
    from .inference import EncodeConfig as EncodeConfig
    from .inference import encode as encode
    from .meshing import extract_mesh as extract_mesh
    from .metrics import compare as compare
    from .preparation import PrepareConfig as PrepareConfig
    from .preparation import prepare as prepare
    from .reconstruction import ReconstructConfig as ReconstructConfig
    from .reconstruction import Reconstruction as Reconstruction
    from .reconstruction import reconstruct as reconstruct
    from .regularizers import Term as Term
    from .scan import Scan as Scan
    from .scan_fit import ScanFitConfig as ScanFitConfig
    from .schedule import Stage as Stage
    from .schedule import TrainConfig as TrainConfig
    from .solving import solve_scan as solve_scan
    from .space import LatentSpace as LatentSpace
    from .space import Shape as Shape
    from .store import load as load
    from .store import save as save
    from .training import train as train
    from .viewer import view as view

_HOME = {
    "Dataset": "dataset",
    "EncodeConfig": "inference",
    "FitConfig": "fitting",
    "Fitted": "fitting",
    "Frame": "frame",
    "Index": "index",
    "Jet": "field",
    "LatentSpace": "space",
    "Match": "index",
    "PrepareConfig": "preparation",
    "ReconstructConfig": "reconstruction",
    "Reconstruction": "reconstruction",
    "SDF": "field",
    "Scan": "scan",
    "ScanFitConfig": "scan_fit",
    "Shape": "space",
    "Stage": "schedule",
    "Term": "regularizers",
    "TrainConfig": "schedule",
    "compare": "metrics",
    "encode": "inference",
    "evaluate": "evaluation",
    "extract_mesh": "meshing",
    "fit": "fitting",
    "load": "store",
    "prepare": "preparation",
    "primitives": "",
    "reconstruct": "reconstruction",
    "regularizers": "",
    "save": "store",
    "solve_scan": "solving",
    "solver": "",
    "train": "training",
    "view": "viewer",
}

__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'latentsdf' has no attribute {name!r}")
    if not _HOME[name]:
        return importlib.import_module(f".{name}", __name__)
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
