"""Shared shapes and one tiny trained space; every verb is tested on it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
import trimesh

from latentsdf.dataset.dataset import Dataset
from latentsdf.dataset.preparation import PrepareConfig, prepare
from latentsdf.dataset.sampling import SamplingConfig
from latentsdf.decoder import CoarseMLP, Decoder, DualConfig, LinearConfig, build_decoder
from latentsdf.training.config import TrainConfig
from latentsdf.training.loop import train

pytest_plugins = ["page_fixtures"]
"""One server and one browser for all tests of `tests/explorer`, on the path by pyproject.toml."""

TINY_SAMPLING = SamplingConfig(near=6000, uniform=1500, band=2500, band_resolution=64, band_layers=3, lattice=32)
TINY_DECODER = DualConfig(
    code_size=8,
    coarse=CoarseMLP(width=32, depth=3, octaves=2),
    grid_resolution=8,
    grid_channels=4,
    fine_width=16,
    fine_depth=2,
)
TINY = TrainConfig(decoder=TINY_DECODER, shapes_per_batch=4, points_per_shape=1024, schedule_steps=500)


def pytest_configure(config: pytest.Config) -> None:
    """Give each worker of pytest-xdist one thread, and the processes that it starts; together they fill the cores."""
    if hasattr(config, "workerinput"):
        os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
        torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _heeded_interrupts() -> None:
    """A shell starts background jobs with Ctrl-C ignored, and children inherit that; the tests send it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def primitive(kind: str, size: float) -> trimesh.Trimesh:
    """A small watertight mesh of about unit size."""
    if kind == "ball":
        return trimesh.creation.icosphere(subdivisions=3, radius=size)
    if kind == "box":
        return trimesh.creation.box(extents=(size, 1.0, 0.7))
    return trimesh.creation.torus(major_radius=1.0, minor_radius=0.3 * size, major_sections=32, minor_sections=16)


def random_linear(code_size: int, resolution: int, spread: float = 0.3) -> Decoder:
    """A linear decoder of random fields, at rest."""
    torch.manual_seed(0)
    decoder = build_decoder(LinearConfig(code_size=code_size, resolution=resolution)).eval().requires_grad_(False)
    for weights in decoder.parameters():
        weights.normal_(0.0, spread)
    return decoder


@pytest.fixture(scope="session")
def mesh_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine meshes in three class folders: ball, box, ring."""
    folder = tmp_path_factory.mktemp("meshes")
    for kind in ("ball", "box", "ring"):
        (folder / kind).mkdir()
        for i, size in enumerate((0.8, 1.0, 1.2)):
            primitive(kind, size).export(str(folder / kind / f"{i}.ply"))
    return folder


@pytest.fixture(scope="session")
def dataset_path(mesh_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prepared dataset of `mesh_dir`."""
    path = tmp_path_factory.mktemp("dataset") / "tiny.h5"
    prepare(mesh_dir, path, config=PrepareConfig(sampling=TINY_SAMPLING), workers=1)
    return path


@pytest.fixture(scope="session")
def dataset(dataset_path: Path) -> Dataset:
    """The tiny dataset, opened."""
    return Dataset(dataset_path)


@pytest.fixture(scope="session")
def space_path(dataset_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A space trained on the tiny dataset for a few seconds; tests that write work on a copy."""
    path = tmp_path_factory.mktemp("space") / "tiny_space.h5"
    train(dataset_path, TINY, path=path, steps=500)
    return path
