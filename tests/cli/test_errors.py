"""Wrong input of every kind: one line on standard error, exit 2, and every file as it was."""

from __future__ import annotations

import errno
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
import torch
import trimesh
from conftest import primitive

import latentsdf.core.hdf5 as container
from latentsdf.cli import main
from latentsdf.cli.option_types import CELLS
from latentsdf.dataset.dataset import Dataset
from latentsdf.mesh.isosurface import RESOLUTION_RANGE
from latentsdf.mesh.load import load_mesh
from latentsdf.mesh.metrics import compare
from latentsdf.reconstruction.reconstruction import Reconstruction
from latentsdf.space.store import load, load_resume

Capture = pytest.CaptureFixture[str]
CENTERS = np.array([[x, y, 0.4 * (x - y)] for x in range(5) for y in range(2)], dtype=np.float64)


def call(*arguments: object) -> int:
    """The exit code of a call in this process."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def refused(capsys: Capture, *arguments: object) -> str:
    """The one line on standard error of a call that must be refused."""
    capsys.readouterr()
    assert call(*arguments, "--quiet") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith(f"latentsdf {arguments[0]}: ")
    assert err.endswith("\n")
    return err


def process(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "latentsdf", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def folder_of(path: Path, **meshes: trimesh.Trimesh) -> Path:
    path.mkdir()
    for name, mesh in meshes.items():
        mesh.export(str(path / f"{name}.ply"))
    return path


@pytest.fixture
def space(space_path: Path, tmp_path: Path) -> Path:
    """A copy that a test may write to."""
    return Path(shutil.copy(space_path, tmp_path / "space.h5"))


# --- meshes ------------------------------------------------------------------------------------------------------


def ball(center: Any = (0.0, 0.0, 0.0), radius: float = 1.0, subdivisions: int = 4) -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return trimesh.Trimesh(mesh.vertices + center, mesh.faces, process=False)


def export_bad(folder: Path) -> dict[str, str]:
    """Files that no shape can be made of, and what must be said about each."""
    noise = np.random.default_rng(0).bytes(5000)
    for ending in ("ply", "stl", "glb"):
        (folder / f"noise_{ending}.{ending}").write_bytes(noise)
    (folder / "zero.obj").write_bytes(b"")
    (folder / "empty.off").write_text("OFF\n0 0 0\n")
    broken = ball(subdivisions=2)
    broken.vertices[[3, 5]] = np.nan
    broken.export(str(folder / "nan.ply"))
    side = np.linspace(0.0, 1.0, 11)
    flat = np.stack(np.meshgrid(side, side, [0.25], indexing="ij"), -1).reshape(-1, 3)
    corner = np.array([11 * i + j for i in range(10) for j in range(10)])[:, None]
    faces = np.concatenate([corner + [0, 1, 12], corner + [0, 12, 11]])
    trimesh.Trimesh(flat, faces, process=False).export(str(folder / "sheet.ply"))
    trimesh.PointCloud(ball().vertices).export(str(folder / "cloud.ply"))
    return {
        "noise_ply.ply": "not a readable .ply mesh",
        "noise_stl.stl": "noise_stl.stl: ",
        "noise_glb.glb": "not a readable .glb mesh",
        "zero.obj": "0 bytes",
        "empty.off": "empty",
        "nan.ply": "2 of 162 vertices are NaN",
        "sheet.ply": "flat",
        "cloud.ply": "a point cloud (2562 points, no faces)",
    }


class Mixed(NamedTuple):
    """One real run of `prepare` over good meshes with a defect and hopeless ones."""

    run: subprocess.CompletedProcess[str]
    rows: dict[str, dict[str, Any]]
    dataset: Dataset
    said: dict[str, str]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Mixed:
    """See `Mixed`."""
    here = tmp_path_factory.mktemp("mixed")
    torn = ball()
    kept = np.random.default_rng(1).permutation(len(torn.faces))[round(0.03 * len(torn.faces)) :]
    folder = folder_of(
        here / "meshes",
        inverted=trimesh.Trimesh(ball().vertices, ball().faces[:, ::-1], process=False),
        torn=trimesh.Trimesh(torn.vertices, torn.faces[np.sort(kept)], process=False),
        ten=sum((ball(center, 0.35, 3) for center in CENTERS[1:]), ball(CENTERS[0], 0.35, 3)),
    )
    said = export_bad(folder)
    run = process("prepare", folder, here / "set.h5", "--samples", 4000, "--json", here / "rows.json")
    rows = {row["name"]: row for row in json.loads((here / "rows.json").read_text())["rows"]}
    return Mixed(run, rows, Dataset(here / "set.h5"), {Path(name).stem: text for name, text in said.items()})


@pytest.mark.slow
def test_bad_meshes_are_skipped_with_a_reason_and_good_ones_kept(mixed: Mixed) -> None:
    assert mixed.run.returncode == 0, mixed.run.stderr
    assert "Traceback" not in mixed.run.stderr
    assert mixed.dataset.names == ("inverted", "ten", "torn")
    assert {name for name, row in mixed.rows.items() if row["status"] == "skipped"} == set(mixed.said)
    for name, text in mixed.said.items():
        assert text in mixed.rows[name]["reason"]
        assert f"skipped {name}: {mixed.rows[name]['reason']}\n" in mixed.run.stdout


def signs_are_right(dataset: Dataset, name: str, truth: Callable[[np.ndarray], np.ndarray], margin: float) -> None:
    row = dataset.names.index(name)
    counts = {"near": 2000, "uniform": 500, "band": 1500}
    points, distances = dataset.sample([row], counts, torch.Generator().manual_seed(0))
    expected = truth(dataset.frames[row].to_source(points[0].numpy()))
    clear = np.abs(expected) > margin
    assert (expected[clear] < 0).sum() > 200
    assert (expected[clear] > 0).sum() > 200
    np.testing.assert_array_equal(distances[0].numpy()[clear] < 0, expected[clear] < 0)


@pytest.mark.slow
def test_inside_stays_inside_when_all_normals_are_inverted(mixed: Mixed) -> None:
    signs_are_right(mixed.dataset, "inverted", lambda p: np.linalg.norm(p, axis=1) - 1.0, 0.01)
    audit = mixed.rows["inverted"]["audit"]
    assert (audit["flipped_faces"], audit["volume"] > 4.0) == (5120, True)


@pytest.mark.slow
def test_signs_are_right_with_three_percent_of_the_faces_missing(mixed: Mixed) -> None:
    signs_are_right(mixed.dataset, "torn", lambda p: np.linalg.norm(p, axis=1) - 1.0, 0.05)
    audit = mixed.rows["torn"]["audit"]
    assert (audit["watertight"], audit["faces"]) == (False, 5120 - 154)
    assert audit["boundary_edges"] > 300


@pytest.mark.slow
def test_signs_are_right_in_each_of_ten_bodies(mixed: Mixed) -> None:
    def truth(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points[:, None] - CENTERS, axis=-1).min(1) - 0.35

    signs_are_right(mixed.dataset, "ten", truth, 0.02)
    assert mixed.rows["ten"]["audit"]["components"] == 10
    row = mixed.dataset.names.index("ten")
    points, distances = mixed.dataset.sample([row], {"near": 2000}, torch.Generator())
    inside = mixed.dataset.frames[row].to_source(points[0].numpy())[distances[0].numpy() < 0]
    reached = np.linalg.norm(inside[:, None] - CENTERS, axis=-1).argmin(1)
    assert np.bincount(reached, minlength=10).min() > 20


def test_a_hopeless_mesh_alone_is_refused_by_every_verb(capsys: Capture, space: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    before = space.read_bytes()
    for name, text in export_bad(folder).items():
        assert text in refused(capsys, "encode", space, folder / name)
    assert space.read_bytes() == before
    assert "none of the meshes" in refused(capsys, "evaluate", space, folder)
    only = tmp_path / "only"
    only.mkdir()
    shutil.copy(folder / "cloud.ply", only)
    assert "latentsdf reconstruct" in refused(capsys, "prepare", only, tmp_path / "set.h5")
    assert "latentsdf reconstruct" in refused(capsys, "evaluate", space, only)
    assert not (tmp_path / "set.h5").exists()
    assert "noise_glb" in refused(capsys, "search", space, folder / "noise_glb.glb")
    assert "nan.ply" in refused(capsys, "search", space, folder / "nan.ply")


@pytest.mark.slow
def test_folders_without_meshes(capsys: Capture, space: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    for verb in (("prepare", tmp_path / "nothing", tmp_path / "set.h5"), ("evaluate", space, tmp_path / "nothing")):
        assert "no mesh below" in refused(capsys, *verb)
    assert "no such folder" in refused(capsys, "prepare", tmp_path / "nowhere", tmp_path / "set.h5")
    assert "is a file" in refused(capsys, "prepare", space, tmp_path / "set.h5")
    found = process("prepare", tmp_path / "nothing", tmp_path / "set.h5")
    assert (found.returncode, found.stdout, found.stderr.count("\n")) == (2, "", 1)


def two_million_faces() -> trimesh.Trimesh:
    """A unit ball of exactly 2,000,000 faces: rings of quadrilaterals between two poles."""
    rings, around = 1000, 1000
    polar, turn = np.pi * np.arange(1, rings + 1) / (rings + 1), 2 * np.pi * np.arange(around) / around
    flat = np.stack(
        [np.outer(np.sin(polar), np.cos(turn)), np.outer(np.sin(polar), np.sin(turn)), np.outer(np.cos(polar), turn**0)]
    ).reshape(3, -1)
    here = np.arange(rings * around).reshape(rings, around)
    there = np.roll(here, -1, axis=1)
    a, b, c, d = here[:-1].ravel(), here[1:].ravel(), there[1:].ravel(), there[:-1].ravel()
    north, south = np.full(around, here.size), np.full(around, here.size + 1)
    triples = [(a, b, c), (a, c, d), (north, here[0], there[0]), (south, there[-1], here[-1])]
    faces = np.concatenate([np.stack(triple, 1) for triple in triples])
    return trimesh.Trimesh(np.concatenate([flat.T, [[0, 0, 1], [0, 0, -1]]]), faces, process=False)


@pytest.mark.slow
def test_two_million_faces_are_prepared_or_stopped_at_a_limit(capsys: Capture, tmp_path: Path) -> None:
    mesh = two_million_faces()
    assert len(mesh.faces) == 2_000_000
    folder = folder_of(tmp_path / "meshes", huge=mesh)
    few = ("--samples", 400, "--workers", 1)
    assert "time limit: not done after 1 s" in refused(
        capsys, "prepare", folder, tmp_path / "set.h5", *few, "--time-limit", 1
    )
    assert call("prepare", folder, tmp_path / "set.h5", *few, "--quiet") == 0
    dataset = Dataset(tmp_path / "set.h5")
    assert dataset.audits[0].faces == 2_000_000
    assert dataset.audits[0].watertight
    assert dataset.audits[0].volume == pytest.approx(4 / 3 * np.pi, rel=1e-4)
    signs_are_right_few(dataset)
    primitive("box", 1.0).export(str(folder / "box.ply"))
    capsys.readouterr()
    assert call("prepare", folder, tmp_path / "some.h5", *few, "--memory-limit", 0.75, "--quiet") == 0
    assert "skipped huge: memory limit: 0." in capsys.readouterr().out
    assert Dataset(tmp_path / "some.h5").names == ("box",)


def signs_are_right_few(dataset: Dataset) -> None:
    points, distances = dataset.sample([0], {"near": 200, "uniform": 50}, torch.Generator())
    expected = np.linalg.norm(dataset.frames[0].to_source(points[0].numpy()), axis=1) - 1.0
    np.testing.assert_allclose(distances[0].numpy() * dataset.frames[0].scale, expected, atol=2e-3)


def write_exactly(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """An OBJ of all digits: single precision at 1e4 moves samples, and training answers with another surface."""
    rows = [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()] + [f"f {a} {b} {c}" for a, b, c in faces + 1]
    path.write_text("\n".join(rows) + "\n")


@pytest.mark.slow
def test_a_mesh_far_away_and_huge_comes_back_at_its_place_and_size(capsys: Capture, tmp_path: Path) -> None:
    shapes = {"ring": trimesh.creation.torus(1.0, 0.35), "block": trimesh.creation.box((1.0, 0.8, 0.6))}
    found = {}
    for label, scale, shift in (("plain", 1.0, 0.0), ("far", 1000.0, 1e4)):
        here = tmp_path / label
        here.mkdir()
        folder = folder_of(here / "meshes")
        for name, mesh in shapes.items():
            write_exactly(folder / f"{name}.obj", scale * mesh.vertices + shift, mesh.faces)
        common = ("--quiet", "--seed", 3)
        assert call("prepare", folder, here / "set.h5", "--samples", 8000, *common) == 0
        assert call("train", here / "set.h5", here / "space.h5", "--start", "base", "--steps", 80, *common) == 0
        made = here / "ring.ply"
        assert call("mesh", here / "space.h5", "ring", "-o", made, "--resolution", 64, *common) == 0
        surface, truth = load_mesh(made), load_mesh(folder / "ring.obj")
        diagonal = float(np.linalg.norm(np.ptp(truth.vertices, axis=0)))
        np.testing.assert_allclose(surface.bounds, truth.bounds, atol=0.02 * diagonal)
        found[label] = compare(surface, truth).chamfer_l1
    assert found["plain"] < 0.03
    assert found["far"] == pytest.approx(found["plain"], rel=0.01)


# --- files -------------------------------------------------------------------------------------------------------


def cut(path: Path, target: Path) -> Path:
    whole = path.read_bytes()
    target.write_bytes(whole[: len(whole) * 2 // 3])
    return target


def of_the_future(path: Path, target: Path) -> Path:
    shutil.copy(path, target)
    with h5py.File(target, "r+") as file:
        file.attrs["version"] = 99
    return target


def of_another_program(path: Path, target: Path) -> Path:
    with h5py.File(target, "w") as file:
        file["numbers"] = np.arange(4)
    return target


def with_another_mark(path: Path, target: Path) -> Path:
    with h5py.File(target, "w") as file:
        file.attrs["format"] = np.arange(4)
    return target


def no_hdf5(path: Path, target: Path) -> Path:
    target.write_bytes(b"\x00\x01" * 3000)
    return target


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (cut, "truncated"),
        (of_the_future, "version 99"),
        (of_another_program, "another program"),
        (with_another_mark, "another program"),
        (no_hdf5, "not a readable HDF5 file"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_for_what_it_is(
    spoil: Callable[[Path, Path], Path],
    text: str,
    capsys: Capture,
    tmp_path: Path,
    mesh_dir: Path,
    dataset_path: Path,
    space_path: Path,
) -> None:
    dataset, space = spoil(dataset_path, tmp_path / "d.h5"), spoil(space_path, tmp_path / "s.h5")
    before = dataset.read_bytes(), space.read_bytes()
    one = mesh_dir / "ball" / "0.ply"
    for verb in (
        ("train", dataset, tmp_path / "new.h5"),
        ("prepare", mesh_dir, dataset),
        ("info", dataset),
        ("info", space),
        ("train", dataset_path, space, "--resume"),
        ("encode", space, one),
        ("mesh", space, "ball/0", "-o", tmp_path / "out"),
        ("interpolate", space, "ball/0", "ball/1", "-o", tmp_path / "out"),
        ("search", space, "ball/0"),
        ("reconstruct", one, "--space", space, "-o", tmp_path / "out.ply"),
        ("evaluate", space, mesh_dir),
    ):
        line = refused(capsys, *verb)
        assert text in line
        assert str(dataset) in line or str(space) in line
    assert (dataset.read_bytes(), space.read_bytes()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.h5", "s.h5"]


def test_a_dataset_is_no_space_and_a_space_no_dataset(
    capsys: Capture, tmp_path: Path, mesh_dir: Path, dataset_path: Path, space: Path
) -> None:
    for verb in (("train", space, tmp_path / "new.h5"), ("prepare", mesh_dir, space)):
        assert "is not a latentsdf-dataset file: it is a latentsdf-space" in refused(capsys, *verb)
    for verb in (("mesh", dataset_path, "a", "-o", tmp_path), ("search", dataset_path, "a")):
        assert "is not a latentsdf-space file: it is a latentsdf-dataset" in refused(capsys, *verb)
    assert "no such file" in refused(capsys, "info", tmp_path / "none.h5")
    assert "no such file" in refused(capsys, "train", tmp_path / "none.h5", tmp_path / "new.h5")
    assert "is a folder" in refused(capsys, "info", tmp_path)


@pytest.mark.slow
def test_a_name_that_does_not_exist_brings_up_the_nearest(capsys: Capture, space: Path, tmp_path: Path) -> None:
    for verb in (
        ("mesh", space, "bal/1", "-o", tmp_path / "out"),
        ("mesh", space, "ball/0", "bal/1", "-o", tmp_path / "out"),
        ("interpolate", space, "ball/0", "bal/1", "-o", tmp_path / "out"),
        ("search", space, "bal/1"),
    ):
        assert "no shape named 'bal/1' in space.h5; did you mean 'ball/1'? (9 shapes)" in refused(capsys, *verb)
    assert not (tmp_path / "out").exists()
    found = process("search", space, "bal/1")
    assert (found.returncode, found.stdout, found.stderr.count("\n")) == (2, "", 1)


# --- a disk that fills up ----------------------------------------------------------------------------------------


def full(*_: object, **__: object) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


class _Filling(io.FileIO):
    """A file on a disk with room for a few thousand bytes."""

    def write(self, data: Any) -> int:
        return full() if self.tell() + len(data) > 6000 else super().write(data)


def filling_open(path: Any, mode: str = "r", buffering: int = -1) -> Any:
    return _Filling(path, mode.replace("b", "")) if "w" in mode else open(path, mode, buffering)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "place"),
    [(verb, place) for verb in ("train", "prepare") for place in ("os.replace", "os.fsync", "write")]
    + [("encode", "os.fsync")],  # it adds a segment: tests/core/test_segments.py
)
def test_a_full_disk_leaves_the_old_file_as_it_was(
    verb: str,
    place: str,
    capsys: Capture,
    tmp_path: Path,
    mesh_dir: Path,
    dataset_path: Path,
    space: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset = Path(shutil.copy(dataset_path, tmp_path / "set.h5"))
    meshes = folder_of(tmp_path / "meshes", one=primitive("box", 1.0))
    arguments = {
        "train": ("train", dataset, space, "--force", "--steps", 1, "--code-size", 2),
        "encode": ("encode", space, mesh_dir / "ball" / "0.ply", "--steps", 1),
        "prepare": ("prepare", meshes, dataset, "--samples", 400, "--workers", 1),
    }[verb]
    before = dataset.read_bytes(), space.read_bytes()
    if place != "write":
        monkeypatch.setattr(place, full)
    else:
        monkeypatch.setattr(container, "open", filling_open, raising=False)
    line = refused(capsys, *arguments)
    monkeypatch.undo()
    assert "No space left on device; the file that was there is unchanged" in line
    assert (dataset.read_bytes(), space.read_bytes()) == before
    assert len(load(space)) == len(Dataset(dataset)) == 9
    litter = {"set.h5.parts"} if verb == "prepare" else set()  # finished shapes wait there for the next run
    assert {path.name for path in tmp_path.iterdir()} == {"meshes", "set.h5", "space.h5"} | litter


if sys.platform != "win32":

    @pytest.mark.slow
    def test_a_limit_of_the_system_on_the_size_of_files_is_no_crash(tmp_path: Path) -> None:
        """The same for real, in the workers too: HDF5 itself crashes where it cannot write."""
        script = (
            "import resource, sys; from latentsdf.cli import main; "
            "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)); sys.exit(main(sys.argv[1:]))"
        )
        meshes = folder_of(tmp_path / "meshes", one=primitive("ball", 1.0))
        command = [sys.executable, "-c", script, "prepare", meshes, tmp_path / "set.h5", "--samples", "4000", "--quiet"]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        assert found.returncode == 2
        assert found.stderr.count("\n") == 1
        assert "could not write" in found.stderr
        assert not list(tmp_path.rglob("*.tmp"))


# --- options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--code-size", 0), "code_size must be at least 1, got 0"),
        (("--code-size", -4), "code_size must be at least 1, got -4"),
        (("--code-size", 0, "--decoder", "deepsdf"), "code_size must be at least 1, got 0"),
        (("--code-size", -4, "--decoder", "linear"), "code_size must be at least 1, got -4"),
        (("--code-size", 10**9), "code_size"),
        (("--code-size", 10**9, "--decoder", "linear"), "code_size"),
        (("--code-size", "many"), "invalid int value"),
        (("--device", "gpu"), "device 'gpu' cannot be used"),
        (("--device", "cuda:99"), "device 'cuda:99' cannot be used"),
        (("--device", "meta"), "device 'meta' cannot be used"),
        (("--steps", 0), "at least 1, got 0"),
        (("--minutes", "nan"), "must be positive, got nan"),
        (("--minutes", 0), "must be positive, got 0"),
        (("--seed", -1), "got -1"),
        (("--decoder", "best"), "invalid choice: 'best'"),
    ],
)
def test_impossible_options_of_train(
    options: tuple, text: str, capsys: Capture, dataset_path: Path, tmp_path: Path
) -> None:
    line = refused(capsys, "train", dataset_path, tmp_path / "new.h5", *options)
    assert text in line
    assert len(line) < 400
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_train_does_not_run_over_what_is_there(
    capsys: Capture, dataset_path: Path, space: Path, tmp_path: Path
) -> None:
    before = space.read_bytes()
    assert "use --resume to go on with it, --force to replace it" in refused(capsys, "train", dataset_path, space)
    assert "nothing to resume" in refused(capsys, "train", dataset_path, space, "--resume")
    linear = ("train", dataset_path, tmp_path / "new.h5", "--decoder", "linear")
    assert "leave --start and --nested out" in refused(capsys, *linear, "--start", "base")
    assert "leave --code-size out" in refused(capsys, "train", dataset_path, space, "--resume", "--code-size", 8)
    assert space.read_bytes() == before
    assert "no such file" in refused(capsys, "train", dataset_path, tmp_path / "new.h5", "--resume")
    assert "does not exist" in refused(capsys, "train", dataset_path, tmp_path / "nowhere" / "new.h5")
    assert call("train", dataset_path, space, "--force", "--steps", 1, "--code-size", 2, "--quiet") == 0
    assert load(space).code_size == 2
    unfinished = space.read_bytes()
    assert "unfinished training run" in refused(capsys, "encode", space, dataset_path)
    assert space.read_bytes() == unfinished
    assert load_resume(space) is not None


def test_json_into_nowhere_is_found_out_before_the_work(
    capsys: Capture, dataset_path: Path, mesh_dir: Path, tmp_path: Path
) -> None:
    nowhere = ("--json", tmp_path / "nowhere" / "result.json")
    for verb in (("train", dataset_path, tmp_path / "new.h5"), ("prepare", mesh_dir, tmp_path / "new.h5")):
        assert "does not exist" in refused(capsys, *verb, *nowhere)
    assert "it is a folder" in refused(capsys, "info", dataset_path, "--json", tmp_path)
    assert not list(tmp_path.iterdir())


def test_output_names_are_found_out_before_the_work(
    capsys: Capture, mesh_dir: Path, space: Path, tmp_path: Path
) -> None:
    text = "its ending must be one of .ply"
    assert text in refused(capsys, "mesh", space, "ball/0", "-o", tmp_path / "out.step")
    assert text in refused(capsys, "mesh", space, "ball/0", "ball/1", "-o", tmp_path / "out.xyz")
    scan = ("reconstruct", mesh_dir / "ball" / "0.ply", "--space", space)
    assert text in refused(capsys, *scan, "-o", tmp_path / "out.step")
    assert text in refused(capsys, *scan, "-o", tmp_path / "out")
    assert "give a folder" in refused(capsys, "mesh", space, "ball/0", "ball/1", "-o", tmp_path / "out.ply")
    (tmp_path / "taken").write_text("")
    for verb in (("mesh", space, "ball/0"), ("interpolate", space, "ball/0", "ball/1")):
        assert "is a file, a folder is wanted" in refused(capsys, *verb, "-o", tmp_path / "taken")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["space.h5", "taken"]
    assert call("mesh", space, "ball/0", "-o", f"{tmp_path / 'v.one'}/", "--resolution", 16, "--quiet") == 0
    assert call("mesh", space, "ball/0", "-o", tmp_path / "run_1.5", "--resolution", 16, "--quiet") == 0
    assert (tmp_path / "v.one" / "ball" / "0.ply").is_file()
    assert (tmp_path / "run_1.5" / "ball" / "0.ply").is_file()


@pytest.mark.slow
def test_a_scan_without_a_surface_leaves_no_trace(
    capsys: Capture, space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def empty(*_: object) -> None:
        raise ValueError("the field is positive everywhere")

    monkeypatch.setattr(Reconstruction, "mesh", empty)
    np.save(tmp_path / "scan.npy", primitive("ring", 1.0).sample(200, seed=0))
    before = space.read_bytes()
    scan = ("reconstruct", tmp_path / "scan.npy", "--space", space, "-o", tmp_path / "out.ply", "--add", "new")
    assert "give one shape a scan" in refused(capsys, *scan)
    assert not (tmp_path / "out.ply").exists()
    assert space.read_bytes() == before


def test_sensors_are_of_scans(capsys: Capture, mesh_dir: Path, space: Path, tmp_path: Path) -> None:
    one = mesh_dir / "ball" / "0.ply"
    scan = ("reconstruct", one, "--space", space, "-o", tmp_path / "out.ply")
    assert "give --sensor X Y Z too" in refused(capsys, *scan, "--cropped")
    assert "must be finite, got nan" in refused(capsys, *scan, "--sensor", "0", "nan", "0")
    assert "'far' is not a number" in refused(capsys, *scan, "--sensor", "0", "far", "0")
    assert "expected 3 arguments" in refused(capsys, *scan, "--sensor", "0", "0")
    for query in ("ball/0", one):
        assert "is no point cloud" in refused(capsys, "search", space, query, "--sensor", "0", "0", "-3")
    assert [path.name for path in tmp_path.iterdir()] == ["space.h5"]


def test_up_is_a_direction_of_upright_poses(capsys: Capture, mesh_dir: Path, space: Path, tmp_path: Path) -> None:
    one, out = mesh_dir / "ball" / "0.ply", tmp_path / "out.ply"
    for verb in (
        ("reconstruct", one, "--space", space, "-o", out),
        ("encode", space, one),
        ("search", space, one, "--metric", "code"),
    ):
        upright = (*verb, "--pose", "upright")
        assert "0 0 0 points nowhere" in refused(capsys, *upright, "--up", "0", "0", "0")
        assert "0 0 0 points nowhere" in refused(capsys, *upright, "--space-up", "0,0,-0.0")
        assert "'0' is no direction" in refused(capsys, *upright, "--up", "0", "1")
        assert "'w' is no direction" in refused(capsys, *upright, "--up", "w")
        assert "must be finite, got nan" in refused(capsys, *upright, "--up", "0", "nan", "1")
        assert "invalid choice: 'standing'" in refused(capsys, *verb, "--pose", "standing")
        assert "--up says where up is" in refused(capsys, *verb, "--up", "0", "-1", "0")
        assert "give --pose upright too" in refused(capsys, *verb, "--space-up", "y", "--pose", "free")
    alone = refused(capsys, "reconstruct", one, "-o", out, "--pose", "upright", "--up", "-1", "0", "0")
    assert "--pose and --up need a space" in alone
    assert "records are the same in every pose" in refused(capsys, "search", space, one, "--pose", "upright")
    assert [path.name for path in tmp_path.iterdir()] == ["space.h5"]


def test_what_a_search_refuses(capsys: Capture, mesh_dir: Path, space: Path, tmp_path: Path) -> None:
    one = mesh_dir / "ball" / "0.ply"
    assert "no shape of space.h5 is of class 'bal'; it holds ball, box, ring" in refused(
        capsys, "search", space, one, "--class", "bal"
    )
    assert "records are the same in every pose" in refused(capsys, "search", space, one, "--pose", "free")
    (tmp_path / "empty").mkdir()
    assert "--verify compares surfaces" in refused(capsys, "search", space, tmp_path / "empty", "--verify")
    assert "no mesh below" in refused(capsys, "search", space, tmp_path / "empty")
    (tmp_path / "empty" / "a.stl").touch()
    assert "none of the 1 files" in refused(capsys, "search", space, tmp_path / "empty")


@pytest.mark.parametrize("resolution", [0, -1, 3, 10**6, "fine"])
def test_impossible_resolutions(capsys: Capture, mesh_dir: Path, space: Path, tmp_path: Path, resolution: Any) -> None:
    assert CELLS == RESOLUTION_RANGE
    one = mesh_dir / "ball" / "0.ply"
    for verb in (
        ("mesh", space, "ball/0", "-o", tmp_path / "out.ply"),
        ("interpolate", space, "ball/0", "ball/1", "-o", tmp_path / "out"),
        ("reconstruct", one, "--space", space, "-o", tmp_path / "out.ply"),
        ("evaluate", space, mesh_dir),
    ):
        assert str(resolution) in refused(capsys, *verb, "--resolution", resolution)
    assert [path.name for path in tmp_path.iterdir()] == ["space.h5"]


def test_a_branch_that_the_decoder_lacks(capsys: Capture, mesh_dir: Path, space: Path) -> None:
    assert "coarse, fine, fused" in refused(capsys, "evaluate", space, mesh_dir, "--branch", "thin")


# --- encode ------------------------------------------------------------------------------------------------------


def test_a_taken_name_needs_replace(
    capsys: Capture, mesh_dir: Path, space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mesh_dir)
    before, old = space.read_bytes(), load(space)
    assert "already holds a shape named 'ball/0'; use --replace" in refused(
        capsys, "encode", space, "box/0.ply", "ball/0.ply"
    ).replace("box/0", "ball/0")
    assert space.read_bytes() == before
    assert "two of the meshes would be named '0'" in refused(
        capsys, "encode", space, *(shutil.copy("ball/0.ply", tmp_path / f"0.{ending}") for ending in ("ply", "obj"))
    )
    assert call("encode", space, "ball/0.ply", "--replace", "--steps", 3, "--quiet") == 0
    new = load(space)
    assert new.names == old.names
    assert not torch.equal(new["ball/0"].code, old["ball/0"].code)
    assert torch.equal(new.codes()[1:], old.codes()[1:])


def test_a_residual_has_one_target(capsys: Capture, space: Path, mesh_dir: Path) -> None:
    before, verb = space.read_bytes(), ("encode", space, mesh_dir / "ball" / "1.ply", "--replace", "--steps", 1)
    assert "not allowed with" in refused(capsys, *verb, "--tolerance", 0.01, "--bytes", 100)
    assert "must be below 1" in refused(capsys, *verb, "--tolerance", 1.0)
    assert "must be at least 1" in refused(capsys, *verb, "--bytes", 0)
    assert "leave out --tolerance" in refused(capsys, *verb, "--overfit", "--bytes", 100)
    assert space.read_bytes() == before


def test_an_overfit_is_told_what_to_fit_once(capsys: Capture, space: Path, mesh_dir: Path) -> None:
    before, verb = space.read_bytes(), ("encode", space, mesh_dir / "ball" / "1.ply", "--replace", "--steps", 1)
    assert "give --overfit too" in refused(capsys, *verb, "--preset", "igr")
    assert "--term say how to overfit" in refused(capsys, *verb, "--term", "eikonal=1")
    assert "two ways" in refused(capsys, *verb, "--overfit", "--preset", "igr", "--term", "eikonal=1")
    assert "given twice" in refused(capsys, *verb, "--overfit", "--term", "heat=1", "--term", "heat=2")
    assert "did you mean 'digs'" in refused(capsys, *verb, "--overfit", "--preset", "dig")
    assert "unknown term 'eikonol'" in refused(capsys, *verb, "--overfit", "--term", "eikonol=1")
    assert "not a term and its weight" in refused(capsys, *verb, "--overfit", "--term", "eikonal")
    assert space.read_bytes() == before


def test_one_bad_mesh_among_good_ones_is_reported_and_the_others_kept(
    capsys: Capture, space: Path, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path / "new", first=primitive("ball", 0.9), last=primitive("box", 1.1))
    (folder / "middle.ply").write_bytes(b"")
    files = [folder / f"{name}.ply" for name in ("first", "middle", "last")]
    target = tmp_path / "result.json"
    assert call("encode", space, *files, "--steps", 3, "--quiet", "--json", target) == 0
    result = json.loads(target.read_text())
    assert [item["name"] for item in result["added"]] == ["first", "last"]
    assert [(item["name"], "0 bytes" in item["reason"]) for item in result["skipped"]] == [("middle", True)]
    assert "skipped middle: middle.ply: the file is empty" in capsys.readouterr().out
    assert load(space).names[9:] == ("first", "last")
