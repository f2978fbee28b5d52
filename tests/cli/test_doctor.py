"""The verb `doctor`: it reports what is there, and never fails for what is not."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from latentsdf.cli import doctor, main


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_SECONDS", 0.001)


def test_versions_threads_and_speeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    assert main(["doctor", "--quiet", "--json", str(out)]) == 0
    result, printed = json.loads(out.read_text()), capsys.readouterr().out
    for name in ("torch", "numpy", "h5py", "trimesh"):
        assert result["packages"][name] == {"version": version(name), "usable": True, "reason": ""}
    assert result["processor"]["torch_threads"] == torch.get_num_threads()
    for name in ("default decoder", "distance to a mesh, libigl", "surface of 64 cells"):
        assert result["speeds"][name]["per_second"] > 0
        assert f"{name}: {result['speeds'][name]['per_second']:,.0f} " in printed
    assert (result["speeds"]["default decoder on the GPU"]["per_second"] is None) != torch.cuda.is_available()


def test_what_is_missing_or_broken_is_named_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setitem(sys.modules, "faiss", None)
    out = tmp_path / "out.json"
    assert main(["doctor", "--quiet", "--json", str(out)]) == 0
    result, printed = json.loads(out.read_text()), capsys.readouterr().out
    assert not result["extras"]["numba"]["usable"]
    assert not result["packages"]["faiss-cpu"]["usable"]
    assert "advice: pip install numba makes prepare five times as fast" in printed
    assert any("pip install --force-reinstall faiss-cpu" in line for line in result["advice"])
    assert result["speeds"]["distance to a mesh, Numba"]["per_second"] is None
