"""Preparation of a dataset: meshes found, skipped and reused, limits, and runs that were killed."""

import multiprocessing
import os
import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import trimesh

import latentsdf.dataset.preparation as preparation
from latentsdf.dataset.dataset import Dataset
from latentsdf.dataset.preparation import PrepareConfig, prepare
from latentsdf.dataset.sampling import SamplingConfig
from latentsdf.mesh.folder import find_meshes

SMALL = SamplingConfig(near=600, uniform=200, band=300, band_resolution=32, lattice=8)
CONFIG = PrepareConfig(sampling=SMALL)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with meshes and the dataset set.h5 made of them, never changed."""
    folder = tmp_path_factory.mktemp("made") / "meshes"
    (folder / "round").mkdir(parents=True)
    trimesh.creation.icosphere(subdivisions=2).export(folder / "round" / "ball.ply")
    trimesh.creation.torus(0.7, 0.3).export(folder / "round" / "ring.off")
    trimesh.creation.box().export(folder / "box.stl")
    prepare(folder, folder.parent / "set.h5", config=CONFIG, workers=1)
    return folder.parent


@pytest.fixture
def meshes(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "meshes", tmp_path / "meshes")
    return tmp_path / "meshes"


@pytest.fixture
def target(made: Path, tmp_path: Path) -> Path:
    """The dataset of `meshes`, as an earlier run left it."""
    return Path(shutil.copy(made / "set.h5", tmp_path / "set.h5"))


def statuses(report: preparation.PrepareReport) -> dict[str, str]:
    return {row.name: row.status for row in report.rows}


@pytest.mark.slow
def test_names_classes_and_exact_counts(made: Path, meshes: Path, tmp_path: Path):
    seen = []
    report = prepare(
        meshes,
        tmp_path / "set.h5",
        config=CONFIG,
        workers=2,
        on_row=lambda row, done, total: seen.append((done, total)),
    )
    assert [row.name for row in report.rows] == ["box", "round/ball", "round/ring"]
    assert (report.ok, report.skipped, report.samples) == (3, 0, 3 * 1100)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    dataset = Dataset(report.path)
    assert dataset.names == ("box", "round/ball", "round/ring")
    assert dataset.classes == ("", "round", "round")
    assert dataset.sources == ("box.stl", "round/ball.ply", "round/ring.off")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["meshes", "set.h5"]
    assert report.path.read_bytes() == (made / "set.h5").read_bytes()  # whatever the number of workers


def test_bad_meshes_are_rows_and_the_good_ones_are_kept(meshes: Path, tmp_path: Path):
    (meshes / "empty.ply").write_bytes(b"")
    (meshes / "text.obj").write_text("no mesh at all\n")
    (meshes / ".hidden.ply").write_bytes(b"")
    shutil.copy(meshes / "box.stl", meshes / "box.STL.obj")
    trimesh.creation.box().export(meshes / "box.ply")
    report = prepare(meshes, tmp_path / "set.h5", config=CONFIG, workers=1)
    assert statuses(report) == {
        "box": "ok", "box.STL": "skipped", "box.stl": "skipped", "empty": "skipped",
        "round/ball": "ok", "round/ring": "ok", "text": "skipped",
    }  # fmt: skip
    reasons = [row.reason for row in report.rows if row.status == "skipped"]
    assert all(reasons)
    assert not any("\n" in reason for reason in reasons)
    assert "taken by box.ply" in reasons[1]


@pytest.mark.slow
def test_nothing_to_keep_is_an_error_and_the_old_file_stays(target: Path, tmp_path: Path):
    before = target.read_bytes()
    bad = tmp_path / "bad"
    bad.mkdir()
    with pytest.raises(ValueError, match="no mesh below"):
        prepare(bad, target)
    (bad / "a.ply").write_bytes(b"ply")
    with pytest.raises(ValueError, match="none of the 1 meshes"):
        prepare(bad, target, config=CONFIG)
    with pytest.raises(FileNotFoundError):
        prepare(tmp_path / "nowhere", target)
    with pytest.raises(NotADirectoryError):
        prepare(target, target)
    assert target.read_bytes() == before
    assert not (tmp_path / "set.h5.parts").exists()


def test_a_target_of_another_program_is_not_replaced(meshes: Path, tmp_path: Path):
    target = tmp_path / "other.h5"
    with h5py.File(target, "w") as file:
        file["numbers"] = np.arange(3)
    with pytest.raises(ValueError, match="another program"):
        prepare(meshes, target, config=CONFIG)
    with h5py.File(target) as file:
        assert "numbers" in file


@pytest.mark.slow
def test_limits_name_themselves(meshes: Path, tmp_path: Path):
    (meshes / "box.stl").unlink()
    (meshes / "round" / "ring.off").unlink()
    with pytest.raises(ValueError, match="time limit: not done after 1e-06 s"):
        prepare(meshes, tmp_path / "a.h5", config=PrepareConfig(sampling=SMALL, time_limit=1e-6))
    with pytest.raises(ValueError, match=r"memory limit: .* the limit is 0.01 GiB"):
        prepare(meshes, tmp_path / "b.h5", config=PrepareConfig(sampling=SMALL, memory_limit=0.01))
    with pytest.raises(ValueError, match="memory_limit is in GiB"):
        PrepareConfig(memory_limit=6 * 2.0**30)
    with pytest.raises(ValueError, match="time_limit must be positive"):
        PrepareConfig(time_limit=0.0)


@pytest.mark.slow
def test_a_second_run_reuses_drops_and_makes_what_changed(meshes: Path, target: Path):
    first = target.read_bytes()
    assert set(statuses(prepare(meshes, target, config=CONFIG)).values()) == {"reused"}
    assert target.read_bytes() == first
    (meshes / "box.stl").unlink()
    trimesh.creation.icosphere(subdivisions=1).export(meshes / "round" / "ball.ply")
    trimesh.creation.cone(1.0, 2.0).export(meshes / "cone.glb")
    report = prepare(meshes, target, config=CONFIG, workers=1)
    assert statuses(report) == {"cone": "ok", "round/ball": "ok", "round/ring": "reused"}
    assert Dataset(target).names == ("cone", "round/ball", "round/ring")
    assert Dataset(target).audits[1].faces == 80


@pytest.mark.slow
def test_another_seed_draws_other_samples(meshes: Path, target: Path, tmp_path: Path):
    other = prepare(meshes, tmp_path / "other.h5", config=CONFIG, workers=1, seed=6).path
    draws = [Dataset(path).sample([0], {"near": 600}, torch.Generator())[0] for path in (target, other)]
    assert not torch.equal(*draws)


def _prepare_many(folder: Path, target: Path):
    prepare(folder, target, config=CONFIG, workers=1)


@pytest.mark.slow
def test_killed_and_run_again_it_goes_on(tmp_path: Path):
    folder, target = tmp_path / "meshes", tmp_path / "set.h5"
    folder.mkdir()
    for number in range(200):
        trimesh.creation.icosphere(subdivisions=1).export(folder / f"{number:03d}.ply")
    process = multiprocessing.get_context("spawn").Process(target=_prepare_many, args=(folder, target))
    process.start()
    parts = tmp_path / "set.h5.parts"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any(parts.glob("?*.h5")):
        time.sleep(0.01)
    process.kill()
    process.join()
    process.close()
    assert not target.exists()
    for extra in range(20, 200):
        (folder / f"{extra:03d}.ply").unlink()
    found = len([path for path in parts.iterdir() if path.name[0] != "."])
    assert 0 < found < 200
    report = prepare(folder, target, config=CONFIG, workers=1)
    assert report.rows[0].status == "reused"
    assert report.ok == len(Dataset(target)) == 20
    assert not parts.exists()


@pytest.mark.slow
def test_a_damaged_part_is_made_again(meshes: Path, tmp_path: Path):
    target = tmp_path / "set.h5"
    stop_after(meshes, target, 2)
    first, second = sorted((tmp_path / "set.h5.parts").glob("?*.h5"))
    os.truncate(first, first.stat().st_size // 2)
    report = prepare(meshes, target, config=CONFIG, workers=1)
    assert sorted(statuses(report).values()) == ["ok", "ok", "reused"]
    assert len(Dataset(target)) == 3


def stop_after(folder: Path, target: Path, rows: int):
    """An interrupt once some rows are there; the parts stay."""

    def on_row(_row, done, _total):
        if done == rows:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(folder, target, config=CONFIG, workers=1, on_row=on_row)
    assert len(list((target.parent / f"{target.name}.parts").glob("?*.h5"))) >= rows
    assert not target.exists()


@pytest.mark.slow
def test_a_full_disk_leaves_the_old_file_whole(
    meshes: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    before = target.read_bytes()
    shutil.copy(meshes / "box.stl", meshes / "copy.stl")

    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(h5py.Group, "copy", full)
        with pytest.raises(OSError, match="No space left") as caught:
            prepare(meshes, target, config=CONFIG, workers=1)
    assert "\n" not in str(caught.value)
    assert target.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["meshes", "set.h5", "set.h5.parts"]
    assert set(statuses(prepare(meshes, target, config=CONFIG)).values()) == {"reused"}


def test_links_to_folders_are_followed_but_not_round_in_circles(meshes: Path, tmp_path: Path):
    try:
        (meshes / "again").symlink_to(meshes, target_is_directory=True)
        (tmp_path / "elsewhere").mkdir()
        trimesh.creation.box().export(tmp_path / "elsewhere" / "cube.ply")
        (meshes / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    except OSError:  # Windows without the right to make links
        return
    names = [name for name, _ in find_meshes(meshes)[0]]
    assert names == ["box", "linked/cube", "round/ball", "round/ring"]
