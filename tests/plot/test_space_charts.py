"""Slices of analytic fields, training curves and bytes whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentsdf.core.frame import Frame
from latentsdf.plot.drawing import Area, Drawing, Line, Text
from latentsdf.plot.losses import draw_losses
from latentsdf.plot.rate import draw_rate, rate_parts
from latentsdf.plot.sheet import ALBEDOS, class_colours, row_frames, sample_names
from latentsdf.plot.slice import SIZE, draw_slice, slice_field
from latentsdf.space.file_info import Sizes, SpaceInfo
from latentsdf.space.stored_figures import StoredFigures


def texts(drawing: Drawing) -> list[str]:
    return [part.text for part in drawing.parts if isinstance(part, Text)]


def sphere(points: torch.Tensor) -> torch.Tensor:
    """A sphere of radius 5 around (10, 20, 30)."""
    return (points - torch.tensor([10.0, 20.0, 30.0])).norm(dim=1) - 5.0


@pytest.mark.parametrize(("axis", "share"), [(0, 0.0), (1, 0.6), (2, -0.6)])
def test_a_slice_through_a_sphere_is_a_disc(axis: int, share: float) -> None:
    frame = Frame(np.eye(3), 5.0, np.array([10.0, 20.0, 30.0]))
    field = slice_field(sphere, frame, axis, share, resolution=201)
    assert field.at == pytest.approx([10, 20, 30][axis] + 5 * share)
    radius, half = 5 * np.sqrt(1 - share**2), 1.15 * 5
    assert (field.values < 0).mean() == pytest.approx(np.pi * radius**2 / (2 * half) ** 2, rel=0.02)
    assert field.values.min() == pytest.approx(5 * abs(share) - 5, abs=0.05)
    drawing = draw_slice(field, "ball")
    zero = [part.points for part in drawing.parts if isinstance(part, Line) and part.width > 2 and len(part.points) > 9]
    assert len(zero) == 1
    spread = np.ptp(zero[0], axis=0)
    np.testing.assert_allclose(spread, SIZE * radius / half, rtol=0.02)
    assert "0, the surface" in texts(drawing)
    assert any(text.startswith("ball") and f"{'xyz'[axis]} = " in text for text in texts(drawing))


def test_bands_of_a_slice_are_rings_one_within_another() -> None:
    field = slice_field(sphere, Frame(np.eye(3), 5.0, np.array([10.0, 20.0, 30.0])), 2, 0.0, resolution=161)
    areas = [part for part in draw_slice(field).parts if isinstance(part, Area) and np.ptp(part.polygons[0][:, 0]) > 50]
    widths = [float(np.ptp(part.polygons[0][:, 0])) for part in areas]
    assert len(widths) > 6
    assert widths == sorted(widths, reverse=True)
    assert len({part.colour for part in areas}) == len(areas)


def history(count: int) -> dict[str, object]:
    rows = [
        {"stage": "a" if i < 3 else "b", "step": 10 * i, "loss": 1.0 / (i + 1), "terms": {"sdf": 0.5 / (i + 1)}}
        for i in range(count)
    ]
    return {"log": rows, "seconds": 120.0}


def test_training_curves_fall_and_name_their_stages() -> None:
    drawing = draw_losses(history(8), "tiny.h5")
    found = texts(drawing)
    assert {"a", "b", "loss", "sdf"} <= set(found)
    assert any("70 steps" in text and "2.0 minutes" in text and "tiny.h5" in text for text in found)
    curve = next(part.points for part in drawing.parts if isinstance(part, Line) and part.width == 2.2)
    assert (np.diff(curve[:, 1]) > 0).all()  # y goes down
    steps = np.diff(curve[:, 0])
    np.testing.assert_allclose(steps, steps[0])


def test_a_term_that_is_the_whole_loss_is_not_drawn_twice() -> None:
    log = [{"step": i, "loss": 0.1 / i, "terms": {"sdf": 0.1001 / i, "prior": 1e-9}} for i in (1, 2, 3)]
    assert "sdf" not in texts(draw_losses({"log": log}))


def test_a_space_without_a_log_is_refused() -> None:
    for rows in ([], history(1)["log"]):
        with pytest.raises(ValueError, match="rows of training; curves need two"):
            draw_losses({"log": rows})


def stored(name: str, mode: str, extra: int, score: float | None) -> StoredFigures:
    facts = {} if score is None else {"f_score": score, "tolerance": 0.01}
    return StoredFigures(name, mode, 100, extra, facts)


def test_bytes_by_part_add_up() -> None:
    rows = [stored("a", "code", 0, None), stored("b", "mesh", 300, 0.96), stored("c", "residual", 60, 0.97)]
    sizes = Sizes(decoder=3000, code=100, corrections=360, corrected=2, records=30, frames=60, texts=90)
    info = SpaceInfo(("a", "b", "c"), "volumes", 8, 10, sizes, {}, False, 7, 0)
    parts = rate_parts(info, rows)
    assert parts == {
        "code": 100.0,
        "residual": 20.0,
        "mesh": 100.0,
        "frame": 20.0,
        "name and facts": 30.0,
        "search record": 10.0,
        "share of the decoder": 1000.0,
    }
    found = texts(draw_rate(info, rows, "x.h5"))
    assert "1,280" in found  # all of it
    assert any("2 shapes, median 280 bytes, F 0.965" in text for text in found)
    assert {"F at 0.01", "mesh (1)", "residual (1)"} <= set(found)
    assert not any("median" in text for text in texts(draw_rate(info, rows[:1], "x.h5")))
    with pytest.raises(ValueError, match="no shapes"):
        draw_rate(info, [])


def test_names_are_drawn_from_every_class() -> None:
    names = [f"{kind}/{i}" for kind in "abc" for i in range(9)]
    chosen = sample_names(names, 6)
    assert [name[0] for name in chosen] == ["a", "a", "b", "b", "c", "c"]
    assert chosen == sample_names(names[::-1], 6)
    assert sample_names(names, 100) == sorted(names)
    assert len({name[0] for name in sample_names(names, 2)}) == 2
    assert sample_names([], 5) == []


def test_classes_have_colours_of_their_own() -> None:
    colours = class_colours(["a/0", "a/1", "b/0", "c"])
    assert list(colours) == ["a", "b", ""]
    assert len(set(colours.values())) == 3
    assert len(set(class_colours([f"{i}/0" for i in range(9)]).values())) == len(ALBEDOS)


def test_a_row_has_one_scale() -> None:
    small = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    frames = row_frames([small, None, 3 * small + 5])
    assert frames[1] is None
    assert frames[0] is not None
    assert frames[2] is not None
    assert frames[0].scale == frames[2].scale
    assert not np.allclose(frames[0].center, frames[2].center)
