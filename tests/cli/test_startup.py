"""Answers that need no computation load no numeric library: modules are counted in a fresh process, seconds never."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from latentsdf.cli.verbs import MODULES

HEAVY = {"torch", "igl", "scipy", "faiss", "trimesh", "skimage", "rich"}
READS_FILES = {"h5py", "numpy"}
CODE = """
import atexit, json, sys
from latentsdf.cli import main
def report():
    sys.stderr.write("\\n" + json.dumps(sorted(name for name in sys.modules if "." not in name)))
atexit.register(report)
sys.exit(main(sys.argv[1:]))
"""
VERBS = [verb for verbs in MODULES.values() for verb in verbs]


def called(*arguments: object) -> tuple[int, str, str, set[str]]:
    """Exit code, both outputs and the top-level modules of a call in a process of its own."""
    command = [sys.executable, "-c", CODE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    err, _, modules = done.stderr.rpartition("\n")
    return done.returncode, done.stdout, err, set(json.loads(modules))


def test_help_loads_nothing() -> None:
    for arguments in (("--help",), *((verb, "--help") for verb in VERBS)):
        code, out, err, modules = called(*arguments)
        assert (code, err) == (0, "")
        assert out.startswith("usage: latentsdf")
        assert not modules & (HEAVY | READS_FILES), arguments


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "VERB"),
        (("reconstrct", "scan.ply"), "invalid choice: 'reconstrct'"),
        (("mesh", "s.h5", "a", "-o", "x", "--resolution", "3"), "must lie from 4 to 1024"),
        (("search", "s.h5", "a", "--nearest"), "--nearest"),
        (("train", "d.h5", "s.h5", "--steps", "none"), "is not a whole number"),
        (("train", "d.h5"), "SPACE.h5"),
    ],
)
def test_wrong_arguments_load_nothing(arguments: tuple[str, ...], text: str) -> None:
    code, out, err, modules = called(*arguments)
    assert (code, out) == (2, "")
    assert text in err
    assert err.count("\n") == 1
    assert not modules & (HEAVY | READS_FILES)


def test_names_are_completed_with_h5py_alone(space_path: Path) -> None:
    code, out, err, modules = called("completion", "bash", "--names", space_path)
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"{kind}/{i}" for kind in ("ball", "box", "ring") for i in range(3)]
    assert not modules & HEAVY
    code, out, err, modules = called("completion", "zsh")
    assert (code, err) == (0, "")
    assert not modules & HEAVY


def test_info_reads_files_with_h5py_alone(space_path: Path, dataset_path: Path) -> None:
    for path, kind in ((space_path, "space"), (dataset_path, "dataset")):
        code, out, err, modules = called("info", path)
        assert (code, err) == (0, "")
        assert f"kind: {kind}\nshapes: 9\nclasses: ball 3, box 3, ring 3\n" in out
        assert not modules & HEAVY


def test_an_unknown_name_is_refused_before_the_space_is_loaded(space_path: Path, tmp_path: Path) -> None:
    for arguments in (
        ("mesh", space_path, "bal/1", "-o", tmp_path / "x.ply"),
        ("interpolate", space_path, "ball/1", "bal/1", "-o", tmp_path / "x"),
        ("search", space_path, "bal/1"),
        ("plot", "slice", space_path, "bal/1", "-o", tmp_path / "x.png"),
    ):
        code, out, err, modules = called(*arguments)
        text = f"no shape named 'bal/1' in {space_path.name}; did you mean 'ball/1'? (9 shapes)"
        assert (code, out, err) == (2, "", f"latentsdf {arguments[0]}: {text}\n")
        assert not modules & HEAVY


def test_a_missing_file_is_named_by_every_verb_at_once(
    space_path: Path, dataset_path: Path, mesh_dir: Path, tmp_path: Path
) -> None:
    none, out, scan = tmp_path / "none.h5", tmp_path / "out", mesh_dir / "ball" / "0.ply"
    no_file, no_scan = f"no such file: {none}", f"no scan file {none}; give a file with one of .ply"
    calls = [
        (no_file, ("info", none)),
        (f"no such folder: {none}", ("prepare", none, tmp_path / "d.h5")),
        (no_file, ("train", none, tmp_path / "s.h5")),
        (f"no such folder: {none}", ("base", tmp_path / "b.h5", "--wide", none)),
        (no_file, ("train", dataset_path, none, "--resume")),
        (no_file, ("train", dataset_path, tmp_path / "s.h5", "--start", none)),
        (no_file, ("encode", none, scan)),
        (f"no mesh could be encoded: none: no mesh file {none}", ("encode", space_path, none)),
        (no_file, ("pack", none, out, "--code-only")),
        (f"no such folder: {none}", ("pack", space_path, out, "--bytes", 60, "--meshes", none)),
        (no_file, ("mesh", none, "ball/0", "-o", out)),
        (no_file, ("interpolate", none, "ball/0", "ball/1", "-o", out)),
        (no_file, ("search", none, "ball/0")),
        (no_file, ("reconstruct", scan, "--space", none, "-o", tmp_path / "out.ply")),
        (no_scan, ("reconstruct", none, "--space", space_path, "-o", tmp_path / "out.ply")),
        (no_scan, ("reconstruct", none, "-o", tmp_path / "out.ply")),
        (no_file, ("evaluate", none, mesh_dir)),
        (f"no such folder: {none}", ("evaluate", space_path, none)),
        (no_file, ("export", none, tmp_path / "s.safetensors")),
        (no_file, ("map", none, tmp_path / "map.png")),
        *((no_file, ("plot", kind, none, "-o", tmp_path / "a.png")) for kind in ("map", "sheet", "losses", "rate")),
        (no_file, ("plot", "morph", none, "a", "b", "-o", tmp_path / "a.png")),
        (no_file, ("plot", "slice", none, "a", "-o", tmp_path / "a.svg")),
        (no_file, ("completion", "bash", "--names", none)),
        (f"no such file or folder: {none}", ("duplicates", none)),
        (no_file, ("view", none)),
    ]
    assert {arguments[0] for _, arguments in calls} == set(VERBS) - {"demo", "doctor"}
    for text, arguments in calls:
        code, printed, err, modules = called(*arguments)
        assert (code, printed) == (2, ""), arguments
        assert err.startswith(f"latentsdf {arguments[0]}: {text}"), arguments
        assert err.count("\n") == 1
        assert not modules & HEAVY, arguments
    assert not list(tmp_path.iterdir())
