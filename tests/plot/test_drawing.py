"""Drawings whose pixels and SVG elements are known by their geometry."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentsdf.plot.chart import Axis, Chart, fitting_axis
from latentsdf.plot.drawing import SCALE, Drawing

SVG = "{http://www.w3.org/2000/svg}"


def drawn() -> Drawing:
    drawing = Drawing(60, 40)
    square = np.array([(10, 10), (30, 10), (30, 30), (10, 30)])
    drawing.area([square, 20 + (square - 20) / 2], "#0000ff")
    drawing.dot(45, 20, 5, "#ff0000")
    drawing.line([(0, 38), (60, 38)], "#00ff00", 2.0)
    return drawing


def test_pixels_of_an_area_with_a_hole_a_dot_and_a_line() -> None:
    pixels = np.asarray(drawn().image()).astype(int)
    assert pixels.shape == (40 * SCALE, 60 * SCALE, 3)
    blue, red, green = ((pixels[..., channel] - pixels.min(axis=-1)) / 255 for channel in (2, 0, 1))
    unit = SCALE**2
    assert blue.sum() == pytest.approx((20**2 - 10**2) * unit, rel=0.08)
    assert not blue[20 * SCALE, 20 * SCALE]
    assert red.sum() == pytest.approx(np.pi * 25 * unit, rel=0.1)
    assert green.sum() == pytest.approx(60 * 2 * unit, rel=0.1)


def test_svg_holds_the_same_shapes() -> None:
    root = ET.fromstring(drawn().svg())
    assert (root.get("width"), root.get("height")) == ("60", "40")
    path = root.find(f"{SVG}path")
    assert path is not None
    assert (path.get("d") or "").count("M") == 2
    assert path.get("fill-rule") == "evenodd"
    circle = root.find(f"{SVG}circle")
    assert circle is not None
    assert (circle.get("cx"), circle.get("r"), circle.get("fill")) == ("45.00", "5", "#ff0000")


def test_text_is_escaped_and_upright_text_is_turned(tmp_path: Path) -> None:
    drawing = Drawing(80, 40)
    drawing.text(5, 10, "a < b & c")
    drawing.upright_text(70, 20, "up")
    texts = list(ET.fromstring(drawing.svg()).iter(f"{SVG}text"))
    assert [item.text for item in texts] == ["a < b & c", "up"]
    assert "rotate(-90" in (texts[1].get("transform") or "")
    for ending in (".svg", ".png"):
        drawing.save(tmp_path / f"a{ending}")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (80 * SCALE, 40 * SCALE)
        dark = np.asarray(image.convert("L")) < 128
    rows, columns = np.nonzero(dark[:, 60 * SCALE :])
    assert np.ptp(rows) > np.ptp(columns)  # the upright one is taller than wide
    assert (tmp_path / "a.svg").read_text() == drawing.svg()


def test_ticks_are_round_and_lie_on_the_axis() -> None:
    assert Axis("x", 0.0, 10.0).ticks() == [0, 2, 4, 6, 8, 10]
    assert Axis("x", 0.0, 7451.0).ticks() == [1000 * i for i in range(8)]
    np.testing.assert_allclose(Axis("x", -0.35, 0.35).ticks(), [-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3], atol=1e-12)
    np.testing.assert_allclose(Axis("x", 0.02, 3.0, True).ticks(), [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2])
    np.testing.assert_allclose(Axis("x", 1e-6, 1.0, True).ticks(), [10.0**k for k in range(-6, 1)])


def test_places_on_linear_and_logarithmic_axes() -> None:
    chart = Chart(Drawing(300, 200), (50, 20, 200, 100), Axis("x", 0, 10), Axis("y", 1, 100, True))
    np.testing.assert_allclose(chart.places([0, 5, 10], [1, 10, 100]), [(50, 120), (150, 70), (250, 20)])
    np.testing.assert_allclose(chart.places([20], [0.0]), [(250, 120)])  # kept in the box


def test_an_axis_holds_its_values() -> None:
    axis = fitting_axis("x", [3.0, np.nan, 5.0])
    assert axis.low < 3.0
    assert axis.high > 5.0
    log = fitting_axis("x", [0.0, -1.0, 10.0, 1000.0], log=True)
    assert 8 < log.low < 10
    assert 1000 < log.high < 1200
    assert fitting_axis("x", []).low < fitting_axis("x", []).high
    one = fitting_axis("x", [4.0])
    assert one.low < 4.0 < one.high
