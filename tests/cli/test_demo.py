"""The demo on real shapes, as a process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from latentsdf.mesh.load import load_mesh
from latentsdf.space.store import load


@pytest.mark.slow
def test_the_demo_on_a_few_real_shapes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "latentsdf", "demo", "--out", "demo", "--shapes", "2", "--json", "result.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report, out = json.loads((tmp_path / "result.json").read_text()), tmp_path / "demo"
    assert report == json.loads((out / "report.json").read_text())
    assert report["shapes"] == report["search"]["queries"] == report["search"]["right"] == 2
    assert report["skipped"] == []
    assert report["duplicates"]["planted"] == report["duplicates"]["found"] == 2
    assert report["duplicates"]["others"] == 0
    assert report["least_f_0.01"] > 0.85
    sizes, space = report["bytes"], load(out / "space.h5")
    assert sizes["file"] == (out / "space.h5").stat().st_size
    assert sizes["codes_alone"] + sizes["residuals"] + sizes["stored_meshes"] == 2
    for name in space:
        assert load_mesh(out / "meshes" / f"{name}.ply").is_watertight
        assert name in (out / "meshes" / "SOURCES.txt").read_text()
    with Image.open(out / "contact_sheet.png") as sheet:
        assert sheet.size[0] == 1600
    assert "encode" in done.stderr
    assert "found first" in done.stdout
