"""Causes of bad shapes on constructed cases, and figures read back from files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentsdf.cli import main
from latentsdf.cli.shape_report import evaluated, say_evaluated
from latentsdf.inference.evaluation import EvaluationRow, Status
from latentsdf.mesh.record import record_distances
from latentsdf.mesh.search_record import whole_part
from latentsdf.space.diagnosis import FEW_VISITS, Cause, Figures, code_ratio, diagnose, is_bad, visits
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load, save
from latentsdf.space.stored_figures import nearest_record, stored_figures, stored_names

SOLID = {"watertight": True, "boundary_edges": 0, "volume": 0.5, "extents": [1.0, 1.0, 1.0], "sign_disagreement": 0.0}
SHEET = {**SOLID, "watertight": False, "boundary_edges": 40, "volume": 1e-4}
WIRE = {**SOLID, "volume": 1e-3}
TORN = {**SOLID, "sign_disagreement": 0.2}


def causes(figures: Figures) -> list[Cause]:
    return [item.cause for item in diagnose(figures, "s.h5", "m.ply")]


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        (Figures({"fit_error": 0.001, "audit": SOLID}), []),
        (Figures({"fit_error": 0.006, "audit": SOLID}, code_ratio=1.7), [Cause.KIND]),
        (Figures({"fit_error": 0.006, "audit": SOLID}, class_known=False), [Cause.KIND]),
        (Figures({"fit_error": 0.006, "audit": SOLID}, code_ratio=0.9, class_known=True), [Cause.BYTES]),
        (Figures({"fit_error": 0.006, "audit": SHEET}, code_ratio=1.7), [Cause.SHEET]),
        (Figures({"fit_error": 0.006, "audit": WIRE}), [Cause.SHEET]),
        (Figures({"fit_error": 0.006, "audit": TORN}, code_ratio=1.0), [Cause.INSIDE]),
        (Figures({"fit_error": 0.006, "audit": SOLID}, code_ratio=1.0, visits=40), [Cause.TRAINING]),
        (Figures({"fit_error": 0.006, "audit": SHEET}, visits=40), [Cause.TRAINING, Cause.SHEET]),
        (Figures({"audit": SOLID}), [Cause.UNKNOWN]),
        (Figures({"audit": SOLID, "f_score": 0.96, "tolerance": 0.01}, "mesh", 300), []),
        (Figures({"audit": SOLID, "f_score": 0.7, "tolerance": 0.01}, "residual", 80), [Cause.BYTES]),
        (Figures({"fit_error": 0.001, "audit": SOLID}, f_score=0.4, code_ratio=2.0), [Cause.KIND]),
        (Figures({"fit_error": 0.009, "audit": SOLID}, f_score=0.9, code_ratio=2.0), []),
    ],
)
def test_causes_of_constructed_cases(figures: Figures, expected: list[Cause]) -> None:
    assert causes(figures) == expected
    assert (is_bad(figures) is None) == (expected == [Cause.UNKNOWN])


def test_every_cause_has_figures_and_a_command_for_this_space_and_mesh() -> None:
    bad = Figures({"fit_error": 0.0061, "audit": SOLID}, code_ratio=1.73)
    found = diagnose(bad, "s.h5", "m.ply")[0]
    assert "1.7 times as far" in found.why
    assert found.command == "latentsdf encode s.h5 m.ply --replace --tolerance 0.01"
    assert "'a b.h5' 'm n.ply'" in diagnose(bad, "a b.h5", "m n.ply")[0].command
    stored = Figures({"audit": SOLID, "f_score": 0.71, "tolerance": 0.02}, "residual", 80)
    assert "in 80 bytes with an F-score of 0.71 at 0.02" in diagnose(stored, "s.h5")[0].why
    code = Figures({"fit_error": 0.0061, "audit": SOLID}, code_ratio=1.0)
    assert diagnose(code, "dir/s.h5")[0].command.startswith("latentsdf pack dir/s.h5 packed.h5 --meshes")


def test_visits_are_batches_a_shape() -> None:
    history = {"log": [{"step": 1}, {"step": 500}], "config": {"shapes_per_batch": 32}}
    assert visits(history, 320) == pytest.approx(50.0)
    assert visits(history, 8) == pytest.approx(500.0)  # a batch holds each shape once
    assert visits({}, 10) is None
    assert FEW_VISITS > 89


def test_the_ratio_of_codes_is_that_of_nearest_distances() -> None:
    codes = np.arange(10.0)[:, None] * [3.0, 4.0]  # neighbours are 5 apart
    assert code_ratio(codes, np.array([27.0, 46.0])) == pytest.approx(2.0)  # 10 from the last one
    assert code_ratio(codes, codes[4], 4) == pytest.approx(1.0)
    assert code_ratio(codes, codes[4]) == pytest.approx(0.0)
    assert code_ratio(codes[:3], codes[0]) is None
    assert code_ratio(codes[:4], codes[0], 0) is None


def test_stored_figures_are_those_of_the_loaded_space(space_path: Path) -> None:
    stored, space = stored_figures(space_path), load(space_path)
    assert [row.name for row in stored] == list(space) == stored_names(space_path)
    assert all(row.metadata == dict(space[row.name].metadata) for row in stored)
    assert {row.mode for row in stored} == {"code"}
    records = [whole_part(shape.record) for shape in space.values() if shape.record is not None]
    between = record_distances(records, records)
    np.fill_diagonal(between, np.inf)
    found = [nearest_record(space.whole_records()[1], row) for row in range(len(space))]
    assert [item[0] for item in found if item] == between.argmin(axis=1).tolist()
    np.testing.assert_allclose([item[1] for item in found if item], between.min(axis=1), atol=1e-3)


def changed(path: Path, target: Path, metadata: dict[str, dict[str, Any]]) -> Path:
    """A copy of a space whose shapes have other metadata."""
    space = load(path)
    shapes = [replace(s, metadata={**s.metadata, **metadata.get(s.name, {})}) for s in space.values()]
    save(LatentSpace(space.decoder, shapes, space.history), target)
    return target


def test_info_reports_on_shapes_by_name(space_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = changed(space_path, tmp_path / "s.h5", {"ball/0": {"fit_error": 0.02}, "ball/1": {"fit_error": 1e-4}})
    out = tmp_path / "out.json"
    assert main(["info", str(path), "ball/0", "ball/1", "box/2", "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    rows = {row["name"]: row for row in json.loads(out.read_text())["shapes"]}
    assert [row["verdict"] for row in rows.values()] == ["not close", "close", "not measured"]
    assert rows["ball/1"]["diagnosis"] == []
    assert rows["ball/0"]["diagnosis"]
    assert rows["box/2"]["diagnosis"][0]["command"] == f"latentsdf evaluate {path} MESH_DIR --known"
    assert rows["ball/0"]["nearest"]["name"].startswith("ball/")
    assert "ball/0: code, " in printed
    assert f"next: {rows['ball/0']['diagnosis'][0]['command']}" in printed
    assert main(["info", str(path), "--json", str(out)]) == 0
    assert json.loads(out.read_text())["doubtful_shapes"] == ["ball/0"]
    assert f"next: latentsdf info {path} ball/0" in capsys.readouterr().out
    assert main(["info", str(path), "bal/0"]) == 2
    assert "did you mean 'ball/" in capsys.readouterr().err


def test_info_of_a_dataset_has_no_shapes_by_name(dataset_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(dataset_path), "ball/0"]) == 2
    assert "is a dataset; shapes are reported on by name in a space" in capsys.readouterr().err


def test_a_space_of_few_batches_is_told(space_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = load(space_path)
    space.history["log"] = [{"step": 1, "loss": 1.0}, {"step": 20, "loss": 0.9}]
    save(space, tmp_path / "s.h5")
    out = tmp_path / "out.json"
    assert main(["info", str(tmp_path / "s.h5"), "--json", str(out)]) == 0
    found = json.loads(out.read_text())["diagnosis"]
    assert [item["cause"] for item in found] == ["too little training"]
    assert "--start" in found[0]["command"]
    assert "too little training: each shape was in" in capsys.readouterr().out


def test_evaluated_rows_are_diagnosed_from_their_figures(space_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = load(space_path)
    rows = [
        EvaluationRow("ball/0", "fused", 0.1, Status.NO_SURFACE, reason="no surface"),
        EvaluationRow("junk", "fused", 0.1, Status.UNREADABLE, reason="not a mesh"),
    ]
    found = evaluated(space, "s.h5", rows, [], {"ball/0": Path("m/ball/0.ply")})
    assert list(found) == ["ball/0"]
    far = replace(space["ring/2"], name="new/1", code=space["ring/2"].code + 100)
    unseen = evaluated(space, "s.h5", [replace(rows[0], name="new/1")], [far], {"new/1": Path("m/new/1.ply")})
    causes = [item.cause for item in unseen["new/1"]]
    assert Cause.KIND in causes
    assert unseen["new/1"][causes.index(Cause.KIND)].command.startswith("latentsdf encode s.h5 m/new/1.ply ")
    say_evaluated(unseen, 3)
    printed = capsys.readouterr().out
    assert printed.startswith("not close (F@0.01 below 0.8): 1 of 3 shapes\n")
    assert "next: latentsdf " in printed
    say_evaluated({}, 3)
    assert capsys.readouterr().out == ""
