"""Every Python block of README and the pages of `docs/` runs, page by page, on small shapes and settings."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, TINY_SAMPLING, primitive

import latentsdf as ls
from latentsdf.scan.virtual import virtual_scan

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if FENCE.search(page.read_text("utf-8"))
]
NAMES = ("chairs/windsor", "chairs/stool", "chairs/thonet", "tables/round", "chair/000")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the snippets read, with simple solids in place of chairs and gears."""
    place = tmp_path_factory.mktemp("snippets")
    for number, name in enumerate(NAMES):
        path = place / "meshes" / f"{name}.ply"
        path.parent.mkdir(parents=True, exist_ok=True)
        primitive(("box", "ball", "ring")[number % 3], 0.7 + 0.1 * number).export(str(path))
    primitive("ring", 1.1).export(str(place / "gear.stl"))
    primitive("box", 0.9).export(str(place / "new_chair.stl"))
    points = virtual_scan(primitive("ball", 0.9), count=400, seed=0).points
    (place / "scan.xyz").write_text("\n".join(" ".join(map(str, point)) for point in points))
    (place / "checkpoints").mkdir()
    shutil.copy(ROOT / "checkpoints" / "families.h5", place / "checkpoints")
    return place


class Client:
    """What the snippet of a cluster uses of Dask's client, on threads of this process."""

    def __init__(self, address: str):
        assert address.startswith("tcp://")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def get_executor(self, *, pure: bool) -> ThreadPoolExecutor:
        """An executor whose tasks run again where they were lost."""
        assert not pure
        return ThreadPoolExecutor(1)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_snippets_of_a_page_run(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    use_small_settings(monkeypatch)
    names: dict[str, Any] = {"__name__": "snippet", "Client": Client}
    if page.name in ("format.md", "regularizers.md"):
        ls.prepare("meshes", "dataset.h5")
        names["space"] = ls.train("dataset.h5", path="space.h5")
    for block in FENCE.findall(page.read_text("utf-8")):
        block = block.replace("from distributed import Client\n", "").replace("/shared/meshes", "meshes")
        block = (
            block.replace("scan.ply", "scan.xyz").replace("resolution=256", "resolution=48").replace("(256)", "(48)")
        )
        exec(compile(block, page.name, "exec"), names)


def use_small_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the functions that take minutes settings that take seconds; the snippets themselves stay as they are."""
    whole = {name: getattr(ls, name) for name in ("prepare", "train", "encode", "fit", "overfit")}
    sampling, steps = ls.PrepareConfig(sampling=TINY_SAMPLING), ls.FitConfig(steps=2, surface=256, near=256, space=128)

    def train(data: str, path: str) -> ls.LatentSpace:
        """Train once for all pages, since their meshes are the same."""
        made = Path("made.h5")
        if not made.exists():
            whole["train"](data, TINY, path=made, steps=40)
        shutil.copy(made, path)
        return ls.load(path)

    quick = {
        "prepare": partial(whole["prepare"], config=sampling, workers=1),
        "train": train,
        "encode": partial(whole["encode"], config=ls.EncodeConfig(steps=2, samples=6000, points=256)),
        "fit": lambda scan, terms, config=None: whole["fit"](scan, terms, steps),
        "overfit": partial(whole["overfit"], config=ls.RefineConfig(resolution=32, steps=2)),
    }
    for name, function in quick.items():
        monkeypatch.setattr(ls, name, function, raising=False)
    monkeypatch.setattr("latentsdf.fitting.descent.POOL", 5000)
