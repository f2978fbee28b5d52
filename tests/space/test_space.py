"""Named shapes: units, interpolation, corrections, unknown names."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from latentsdf.core.frame import Frame
from latentsdf.decoder import CoarseMLP, DualConfig, build_decoder
from latentsdf.solver import Correction, SolveConfig, solve
from latentsdf.space.morph import between
from latentsdf.space.shape import Shape
from latentsdf.space.space import LatentSpace


@pytest.fixture
def decoder():
    torch.manual_seed(0)
    config = DualConfig(code_size=4, coarse=CoarseMLP(width=16, depth=2, octaves=1), grid_resolution=4)
    return build_decoder(config).eval().requires_grad_(False)


def test_a_shape_is_an_sdf_in_its_own_units(decoder) -> None:
    rotation = Rotation.from_euler("xyz", [0.3, -0.5, 1.0]).as_matrix()
    frame = Frame(rotation, 250.0, np.array([1e4, -2e4, 30.0]))
    shape = Shape("part/1", torch.randn(4), frame, decoder)
    unit = torch.rand(50, 3, dtype=torch.float64) * 2 - 1
    source = torch.from_numpy(frame.to_source(unit.numpy()))
    expected = 250.0 * shape.sdf(unit.float()).double()
    torch.testing.assert_close(shape(source), expected, rtol=1e-4, atol=1e-3)
    assert shape(source).dtype == torch.float64
    assert shape.class_name == "part"


def test_a_mapping_that_suggests_near_names(decoder) -> None:
    space = LatentSpace(decoder, [Shape(n, torch.zeros(4), Frame.identity(), decoder) for n in ("chair_3", "table")])
    space.source = "chairs.h5"
    assert list(space) == ["chair_3", "table"]
    assert space.codes().shape == (2, 4)
    with pytest.raises(KeyError) as caught:
        _ = space["chiar_3"]
    assert str(caught.value) == "no shape named 'chiar_3' in chairs.h5; did you mean 'chair_3'? (2 shapes)"
    with pytest.raises(KeyError, match=r"'zzz' in chairs\.h5; \(2 shapes\)"):
        _ = space["zzz"]


def test_a_name_is_taken_once(decoder) -> None:
    first, second = (Shape("a", torch.full((4,), v), Frame.identity(), decoder) for v in (0.0, 1.0))
    space = LatentSpace(decoder, [first])
    with pytest.raises(ValueError, match="already holds a shape named 'a'"):
        space.add(second)
    space.add(second, replace=True)
    assert float(space["a"].code[0]) == 1.0
    with pytest.raises(ValueError, match=r"takes \(4,\)"):
        space.add(Shape("b", torch.zeros(5), Frame.identity(), decoder))
    with pytest.raises(ValueError, match="not finite"):
        space.add(Shape("c", torch.full((4,), torch.nan), Frame.identity(), decoder))


def test_interpolation_ends_at_its_ends(decoder) -> None:
    a = Shape("a", torch.randn(4), Frame(np.eye(3), 2.0, np.zeros(3)), decoder)
    turned = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    b = Shape("b", torch.randn(4), Frame(turned, 8.0, np.ones(3)), decoder)
    space = LatentSpace(decoder, [a, b])
    for t, end in ((0.0, a), (1.0, b)):
        found = space.interpolate("a", b, t)
        torch.testing.assert_close(found.code, end.code)
        np.testing.assert_allclose(found.frame.rotation, end.frame.rotation, atol=1e-12)
        assert found.frame.scale == pytest.approx(end.frame.scale)
    half = between(a.frame, b.frame, 0.5)
    assert half.scale == pytest.approx(4.0)
    np.testing.assert_allclose(half.center, 0.5)
    np.testing.assert_allclose(Rotation.from_matrix(half.rotation).as_euler("xyz", degrees=True), [0, 0, 45], atol=1e-9)


def test_a_correction_is_added_and_can_be_dropped(decoder) -> None:
    plain = Shape("a", torch.randn(4), Frame(np.eye(3), 2.0, np.zeros(3)), decoder)
    points = torch.nn.functional.normalize(torch.randn(500, 3, generator=torch.Generator().manual_seed(0)))
    directions = points.numpy()
    prior = plain.decoded()
    solution = solve(0.5 * directions, directions, SolveConfig(resolution=16), prior=prior)
    tight = Shape(plain.name, plain.code, plain.frame, decoder, {}, Correction.of(solution.correction))
    assert isinstance(tight.correction, Correction)
    torch.testing.assert_close(tight.sdf(points), prior(points) + tight.correction(points))
    torch.testing.assert_close(tight(2 * points), 2 * tight.sdf(points))
    assert torch.equal(tight.decoded()(points), prior(points))
    assert torch.equal(tight.without_correction().sdf(points), prior(points))
    assert tight.truncated(2).correction is None
    vertices = torch.from_numpy(tight.mesh(32).vertices)
    inside = (vertices.abs() < 1.9).all(1)
    assert float(tight(vertices[inside]).abs().mean()) < 0.02 < float(plain(vertices[inside]).abs().mean())
