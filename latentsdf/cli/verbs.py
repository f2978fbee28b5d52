"""The verbs by name: options in, printed lines and a JSON-ready result out."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable

from .arguments import Result
from .demo import demo
from .judging import evaluate, info
from .learning import encode, prepare, train
from .using import interpolate, mesh, reconstruct, search, view

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
