"""`latentsdf doctor`: versions, threads, measured speeds, and what is missing and would bring more."""

from __future__ import annotations

import importlib
import os
import platform
from argparse import Namespace
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from time import monotonic
from typing import TYPE_CHECKING, Any

from .arguments import Result
from .progress import Bar, say

if TYPE_CHECKING:
    from ..mesh.distance import Backend

REQUIRED = {
    "torch": "torch",
    "numpy": "numpy",
    "scipy": "scipy",
    "h5py": "h5py",
    "trimesh": "trimesh",
    "libigl": "igl",
    "scikit-image": "skimage",
    "faiss-cpu": "faiss",
    "rich": "rich",
    "psutil": "psutil",
    "pillow": "PIL",
}
"""Module of each package that the library cannot do without."""
EXTRAS = {
    "numba": ("numba", "five times the speed of prepare: pip install numba"),
    "laspy": ("laspy", "scans in LAS and LAZ: pip install laspy lazrs"),
    "pye57": ("pye57", "scans in E57: pip install pye57"),
    "onnx": ("onnx", "export to ONNX: pip install onnx"),
    "distributed": ("distributed", "prepare and encode over a Dask cluster: pip install distributed"),
    "umap-learn": ("umap", "map --method umap: pip install umap-learn"),
    "fast-simplification": (
        "fast_simplification",
        "recipes in datasets/ and some benchmarks: pip install fast-simplification",
    ),
    "manifold3d": ("manifold3d", "recipes in datasets/ with boolean operations: pip install manifold3d"),
    "matplotlib": ("matplotlib", "figures of benchmarks/rate_distortion.py: pip install matplotlib"),
    "DracoPy": ("DracoPy", "the comparison with Draco in benchmarks/: pip install DracoPy"),
}
"""Module of each package that may be missing, and what it brings."""
_SECONDS = 0.25
"""Time for each speed, about."""


def doctor(options: Namespace) -> Result:
    """Run `latentsdf doctor`; what is missing or broken is part of the result, never an error."""
    began = monotonic()
    required = {name: _state(module, name) for name, module in REQUIRED.items()}
    extras = {name: {**_state(module, name), "brings": brings} for name, (module, brings) in EXTRAS.items()}
    with Bar("speeds", options.quiet, len(_PROBES)) as bar:
        speeds = {}
        for done, (name, (unit, probe)) in enumerate(_PROBES.items(), 1):
            speeds[name] = {"unit": unit, **_measured(probe)}
            bar.update(done, name)
    processor, device = _attempt(_processor), _attempt(_device)
    result: Result = {
        "latentsdf": _version("latentsdf"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": required,
        "extras": extras,
        "processor": processor,
        "gpu": device,
        "speeds": speeds,
        "advice": _advice(required, extras, processor, device),
        "seconds": monotonic() - began,
    }
    _say(result)
    return result


def _state(module: str, package: str) -> dict[str, Any]:
    """Version of a package, and why it cannot be used where it cannot."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        installed = _version(package)
        return {"version": installed, "usable": False, "reason": "not installed" if installed is None else _line(error)}
    except Exception as error:  # a broken extension module may raise anything
        return {"version": _version(package), "usable": False, "reason": _line(error)}
    return {"version": _version(package), "usable": True, "reason": ""}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


def _attempt(probe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return probe()
    except Exception as error:  # the report goes on without it
        return {"reason": _line(error)}


def _measured(probe: Callable[[], Callable[[], int]]) -> dict[str, Any]:
    """Units a second of a function that does some and tells how many; the first call does not count."""
    try:
        work = probe()
        work()
        began, done = monotonic(), 0
        while monotonic() - began < _SECONDS:
            done += work()
        return {"per_second": done / (monotonic() - began), "reason": ""}
    except Exception as error:  # the report goes on without it
        return {"per_second": None, "reason": _line(error)}


def _processor() -> dict[str, Any]:
    import psutil
    import torch

    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cores": os.cpu_count(),
        "usable_cores": affinity,
        "torch_threads": torch.get_num_threads(),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "free_memory_gib": round(psutil.virtual_memory().available / 2**30, 1),
    }


def _device() -> dict[str, Any]:
    import torch

    built = torch.version.cuda or getattr(torch.version, "hip", None)
    if torch.cuda.is_available():
        facts = torch.cuda.get_device_properties(0)
        return {
            "device": "cuda",
            "name": facts.name,
            "memory_gib": round(facts.total_memory / 2**30, 1),
            "built": built,
        }
    if torch.backends.mps.is_available():
        return {"device": "mps", "name": platform.processor() or "Apple", "built": "mps"}
    return {"device": None, "built": built}


def _decoder(device: str = "cpu") -> Callable[[], int]:
    import torch

    from ..decoder.kinds import build_decoder
    from ..decoder.volumes import VolumesConfig

    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        decoder = build_decoder(VolumesConfig(code_size=256)).eval().requires_grad_(False).to(device)
    field = decoder.condition(torch.randn(256, generator=generator).to(device))
    points = (2 * torch.rand(32768, 3, generator=generator) - 1).to(device)

    def work() -> int:
        field(points).sum().item()
        return len(points)

    return work


def _on_gpu() -> Callable[[], int]:
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError("no GPU that PyTorch can use")
    return _decoder("cuda")


def _distance(backend: Backend) -> Callable[[], int]:
    import torch
    import trimesh

    from ..mesh.distance import MeshSDF

    ball = trimesh.creation.icosphere(subdivisions=4)
    sdf = MeshSDF(ball.vertices, ball.faces, backend=backend)
    points = 2 * torch.rand(4000, 3, generator=torch.Generator().manual_seed(0)) - 1

    def work() -> int:
        sdf(points)
        return len(points)

    return work


def _surface() -> Callable[[], int]:
    from ..mesh.isosurface import extract_mesh
    from ..primitives import torus

    field = torus(0.6, 0.25)

    def work() -> int:
        extract_mesh(field, 64)
        return 64**3

    return work


_PROBES: dict[str, tuple[str, Callable[[], Callable[[], int]]]] = {
    "default decoder": ("points", _decoder),
    "default decoder on the GPU": ("points", _on_gpu),
    "distance to a mesh, libigl": ("points", lambda: _distance("igl")),
    "distance to a mesh, Numba": ("points", lambda: _distance("numba")),
    "surface of 64 cells": ("lattice cells", _surface),
}
"""What is measured: unit, and a function that prepares it."""


def _advice(
    required: dict[str, dict[str, Any]],
    extras: dict[str, dict[str, Any]],
    processor: dict[str, Any],
    device: dict[str, Any],
) -> list[str]:
    found = [
        f"{name} cannot be used ({state['reason']}); pip install --force-reinstall {name}"
        for name, state in required.items()
        if not state["usable"]
    ]
    found += [
        f"{name} is installed and cannot be used ({state['reason']}); pip install --force-reinstall {name}"
        for name, state in extras.items()
        if not state["usable"] and state["reason"] != "not installed"
    ]
    if not extras["numba"]["usable"]:
        found.append("pip install numba makes prepare five times as fast")
    threads, usable = processor.get("torch_threads"), processor.get("usable_cores")
    if threads and usable and threads < usable:
        set_by = f"OMP_NUM_THREADS={processor['omp_num_threads']}" if processor["omp_num_threads"] else "its settings"
        found.append(f"PyTorch takes {threads} of {usable} cores by {set_by}; unset it for training alone on a machine")
    if processor.get("free_memory_gib", 99.0) < 2.0:
        found.append(f"{processor['free_memory_gib']} GiB of memory are free; use prepare --workers 1")
    if device.get("device") == "cuda":
        found.append("train with --device cuda")
    elif device.get("built"):
        found.append("PyTorch is built for a GPU and finds none: check the driver, or keep to the processor")
    return found


def _say(result: Result) -> None:
    own = result["latentsdf"] or "(not installed as a package)"
    say(f"latentsdf {own}, Python {result['python']}, {result['platform']}")
    packages = ", ".join(f"{name} {item['version'] or '(missing)'}" for name, item in result["packages"].items())
    say(f"packages: {packages}")
    processor, device = result["processor"], result["gpu"]
    if "cores" in processor:
        cores = f"{processor['usable_cores']} of {processor['cores']} cores, {processor['torch_threads']} threads"
        memory = f"{processor['free_memory_gib']} of {processor['memory_gib']} GiB of memory free"
        say(f"processor: {cores} of PyTorch, {memory}")
    if device.get("device"):
        memory = f", {device['memory_gib']} GiB" if "memory_gib" in device else ""
        say(f"GPU: {device['name']} ({device['device']}{memory})")
    else:
        built = f"built for {device['built']}" if device.get("built") else "CPU build"
        say(f"GPU: none that PyTorch can use ({built})")
    say("speeds:")
    for name, item in result["speeds"].items():
        told = item["reason"] if item["per_second"] is None else f"{item['per_second']:,.0f} {item['unit']} a second"
        say(f"  {name}: {told}")
    say("extras:")
    for name, item in result["extras"].items():
        state = item["version"] or "installed" if item["usable"] else f"missing; for {item['brings']}"
        say(f"  {name}: {state}")
    for line in result["advice"]:
        say(f"advice: {line}")
    if not result["advice"]:
        say("advice: none, everything that is installed works")
