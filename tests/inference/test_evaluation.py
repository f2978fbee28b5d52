"""Summaries of rows whose medians and means are worked out by hand."""

from dataclasses import replace
from pathlib import Path

import pytest
import trimesh

from latentsdf.inference.evaluation import EvaluationRow, Status, evaluate, summarize
from latentsdf.mesh.metrics import compare
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load

BOX = trimesh.creation.box()
PERFECT = compare(BOX, BOX, samples=500)


def row(**figures):
    return EvaluationRow("box", "sdf", 1.0, Status.OK, replace(PERFECT, **figures))


def test_a_shape_without_a_surface_counts_as_a_failure_in_all_but_its_roughness():
    failed = EvaluationRow("gone", "sdf", 1.0, Status.NO_SURFACE, reason="no surface")
    unread = EvaluationRow("bad", "sdf", 1.0, Status.UNREADABLE, reason="not a mesh")
    rows = [
        row(ghost_area=0.2, missing_area=0.1, components=2, roughness=7.0, roughness_true=5.0),
        row(ghost_area=0.0, missing_area=0.3, roughness=3.0, roughness_true=1.0),
        failed,
        unread,
    ]
    found = summarize(rows)
    assert (found["shapes"], found["without_surface"]) == (3, 1)
    assert found["components_right"] == pytest.approx(1 / 3)
    assert found["ghost_area"] == pytest.approx({"median": 0.2, "mean": 0.4})
    assert found["missing_area"] == pytest.approx({"median": 0.3, "mean": 1.4 / 3})
    assert found["roughness"] == pytest.approx({"median": 5.0, "mean": 5.0})
    assert found["roughness_true"] == pytest.approx({"median": 3.0, "mean": 3.0})
    assert found["f_0.01"] == pytest.approx({"median": 1.0, "mean": 2 / 3})
    assert "roughness" not in summarize([failed])
    assert summarize([unread]) == {"shapes": 0}


def test_what_is_stored_beside_a_code_counts_unless_a_branch_is_asked_for(space_path: Path, mesh_dir: Path) -> None:
    space, files = load(space_path), [("ball/0", mesh_dir / "ball" / "0.ply")]
    off = LatentSpace(space.decoder, [space["ball/0"].at_level(0.015)], space.history)
    before, after, branch = (
        evaluate(known, files, known=True, branches=branches, resolution=48)[0][0].comparison
        for known, branches in ((space, None), (off, None), (off, ["fine"]))
    )
    assert before is not None
    assert after is not None
    assert branch is not None
    assert after.chamfer_l1 - before.chamfer_l1 == pytest.approx(0.015, abs=0.012)
    assert branch.chamfer_l1 != after.chamfer_l1
