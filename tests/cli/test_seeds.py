"""`--seed` reaches every stage of every verb: equal seeds give equal results, others change what is random."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import trimesh
from conftest import primitive

import latentsdf.cli.demo_families as demo
from latentsdf.cli import main
from latentsdf.primitives.families import FAMILIES
from latentsdf.reconstruction.reconstruction import ReconstructConfig, RefineConfig
from latentsdf.scan.virtual import virtual_scan
from latentsdf.space.store import load

SEEDS = (3, 3, 4)


def run(folder: Path, seed: int, *arguments: object) -> dict[str, Any]:
    """The JSON result of a verb that must succeed, less what differs from run to run."""
    target = folder / "result.json"
    assert main([*map(str, arguments), "--json", str(target), "--quiet", "--seed", str(seed)]) == 0
    return json.loads(target.read_text())


def same_for_same_seeds(make: Callable[[int, Path], Any], tmp_path: Path) -> None:
    """Call with seeds 3, 3 and 4 in folders of their own: the first two agree, the third does not."""
    results = []
    for number, seed in enumerate(SEEDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        results.append(make(seed, folder))
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_prepare(mesh_dir: Path, tmp_path: Path) -> None:
    def make(seed: int, folder: Path) -> bytes:
        run(folder, seed, "prepare", mesh_dir, folder / "d.h5", "--samples", 400, "--workers", 1)
        return (folder / "d.h5").read_bytes()

    same_for_same_seeds(make, tmp_path)


@pytest.mark.parametrize("start", ["base", "components", "random"])
def test_train(start: str, dataset_path: Path, tmp_path: Path) -> None:
    def make(seed: int, folder: Path) -> list[float]:
        path = folder / "s.h5"
        run(folder, seed, "train", dataset_path, path, "--steps", 2, "--code-size", 4, "--start", start)
        space = load(path)
        weights = torch.cat([tensor.flatten() for tensor in space.decoder.state_dict().values()])
        return [*space.codes().flatten().tolist(), float(weights.double().sum())]

    same_for_same_seeds(make, tmp_path)


def test_encode(space_path: Path, mesh_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(seed: int, folder: Path) -> bytes:
        monkeypatch.chdir(folder)
        shutil.copy(space_path, "s.h5")
        run(folder, seed, "encode", "s.h5", mesh_dir / "ring" / "1.ply", "--steps", 2)
        return Path("s.h5").read_bytes()

    same_for_same_seeds(make, tmp_path)


@pytest.mark.parametrize("kind", ["mesh", "scan"])
def test_search(kind: str, space_path: Path, mesh_dir: Path, tmp_path: Path) -> None:
    query = mesh_dir / "ring" / "1.ply"
    if kind == "scan":
        query = noisy_scan(tmp_path)
    metric = ("--metric", "code" if kind == "mesh" else "record")
    same_for_same_seeds(lambda seed, folder: run(folder, seed, "search", space_path, query, *metric), tmp_path)


def noisy_scan(folder: Path, count: int = 600) -> Path:
    scan = virtual_scan(primitive("ring", 1.0), count=count, noise=0.01, seed=0)
    trimesh.PointCloud(scan.points).export(str(folder / "scan.ply"))
    return folder / "scan.ply"


def test_reconstruct_with_a_space(space_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import latentsdf.reconstruction.reconstruction as module

    scan, refined = noisy_scan(tmp_path), []
    refine = module.refine

    def recorded(*arguments: Any, **options: Any) -> Any:
        refined.append(next(item.seed for item in arguments if isinstance(item, RefineConfig)))
        return refine(*arguments, **options)

    monkeypatch.setattr(module, "refine", recorded)

    def make(seed: int, folder: Path) -> bytes:
        out = folder / "out.ply"
        run(folder, seed, "reconstruct", scan, "--space", space_path, "-o", out, "--resolution", 32)
        return out.read_bytes()

    same_for_same_seeds(make, tmp_path)
    assert tuple(refined) == SEEDS


def test_reconstruct_without_a_space(mesh_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mesh is sampled by the seed."""
    monkeypatch.setattr("latentsdf.scan.scan.MESH_POINTS", 1500)

    def make(seed: int, folder: Path) -> bytes:
        out = folder / "out.ply"
        run(folder, seed, "reconstruct", mesh_dir / "ball" / "1.ply", "-o", out, "--resolution", 32)
        return out.read_bytes()

    same_for_same_seeds(make, tmp_path)


def test_evaluate(space_path: Path, mesh_dir: Path, tmp_path: Path) -> None:
    """Known codes are meshed as they are, so the figures differ by the draws of the comparison alone."""

    def make(seed: int, folder: Path) -> dict[str, Any]:
        return run(folder, seed, "evaluate", space_path, mesh_dir, "--known", "--resolution", 16)["summary"]

    same_for_same_seeds(make, tmp_path)


def test_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stage gets the seed of the verb, and the meshes of unseen shapes the next one."""
    seeds: dict[str, list[int]] = {}

    def recorded(name: str) -> Callable[..., Any]:
        function = getattr(demo, name)

        def call(*arguments: Any, **options: Any) -> Any:
            configs = [*arguments, *options.values()]
            found = [options["seed"]] if "seed" in options else [seed for item in configs for seed in seeds_of(item)]
            seeds.setdefault(name, []).extend(found)
            return function(*arguments, **options)

        return call

    names = ("prepare_meshes", "train", "encode_all", "compare", "virtual_scan", "reconstruct")
    for name in names:
        monkeypatch.setattr(demo, name, recorded(name))
    few = {name: FAMILIES[name] for name in ("mug", "bottle", "vase")}
    monkeypatch.setattr(demo, "FAMILIES", few)
    monkeypatch.setattr(demo, "write_families", partial(demo.write_families, families=tuple(few)))
    run(tmp_path, 7, "demo", "--collection", "families", "--out", tmp_path / "demo", "--minutes", 0.02, "--shapes", 1)
    parameters = [tmp_path / "demo" / "meshes" / name / "parameters.json" for name in ("known", "unseen")]
    assert [json.loads(path.read_text())["seed"] for path in parameters] == [7, 8]
    assert {name: set(values) for name, values in seeds.items()} == {name: {7} for name in names}


def seeds_of(value: Any) -> list[int]:
    """Seeds of a config, also of those inside it."""
    if isinstance(value, ReconstructConfig):
        return [value.fit.seed, value.refinement.seed]
    return [value.seed] if is_dataclass(value) and hasattr(value, "seed") else []  # pyright: ignore
