"""The verbs by name: options in, printed lines and a JSON-ready result out."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable

from .arguments import Result
from .build import encode, prepare, train
from .demo import demo
from .query import interpolate, mesh, reconstruct, search, view
from .report import evaluate, info

VERBS: dict[str, Callable[[Namespace], Result]] = {
    "demo": demo,
    "prepare": prepare,
    "train": train,
    "encode": encode,
    "info": info,
    "mesh": mesh,
    "interpolate": interpolate,
    "search": search,
    "reconstruct": reconstruct,
    "evaluate": evaluate,
    "view": view,
}
