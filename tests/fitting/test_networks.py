"""Networks of one shape: derivatives on the way forward, the C1 interpolation, the balls they are initialised as."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from latentsdf.core.field import Jet
from latentsdf.fitting.fast_field import FastConfig
from latentsdf.fitting.fields import Field
from latentsdf.fitting.networks import NETWORKS
from latentsdf.fitting.paper_fields import BallConfig, SineConfig
from latentsdf.fitting.spline_taps import Taps, interpolate, support_rows

SMALL = {
    "fast": FastConfig(resolutions=(4, 8, 16), base=8, banded=16, channels=2, width=8),
    "linear": FastConfig(resolutions=(4, 8), base=8, depth=0),
    "sine": SineConfig(width=16, depth=3),
    "softplus": BallConfig(width=16, depth=3, skip=2, sharpness=10.0),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def places(count: int = 20) -> Tensor:
    return 0.9 * (2 * torch.rand(count, 3, dtype=torch.float64, generator=generator(1)) - 1)


def network(kind: str) -> Field:
    """A small one in float64, away from its start; the fine lattice lies in a band."""
    field = SMALL[kind].build(generator(), places().float()[:10])
    with torch.no_grad():
        for parameter in field.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator(2))
    return field.double()


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("name", ["value", "gradient", "laplacian", "second_along_gradient", "hessian"])
def test_derivatives_on_the_way_forward_are_those_of_reverse_mode(kind: str, name: str) -> None:
    field = network(kind)
    moved = [parameter for parameter in field.parameters() if parameter.requires_grad]
    found = []
    for sdf, order in ((field, 2), (lambda x: field(x), 1)):
        value = getattr(Jet(sdf, places(), order=order), name)
        slopes = torch.autograd.grad(value.square().sum(), moved, allow_unused=True)
        found.append((value, *(slope for slope in slopes if slope is not None)))
    scale = max(float(part.detach().abs().max()) for part in found[1])
    for forward, reverse in zip(*found, strict=True):
        torch.testing.assert_close(forward, reverse, rtol=1e-6, atol=1e-8 * scale)


def test_a_jet_that_did_not_expect_second_derivatives_has_them() -> None:
    field = network("softplus")
    torch.testing.assert_close(
        Jet(field, places()).laplacian, Jet(field, places(), order=2).laplacian, rtol=1e-6, atol=1e-6
    )


def test_attached_points_keep_their_graph() -> None:
    for kind in ("fast", "sine"):
        field, shift = network(kind), torch.zeros(3, dtype=torch.float64, requires_grad=True)
        found = Jet(field, places() + shift, attached=True, order=2).gradient[:, 0].sum()
        (moved,) = torch.autograd.grad(found, shift)
        torch.testing.assert_close(moved, Jet(field, places()).hessian[:, 0].sum(0), rtol=1e-6, atol=1e-8)


def test_the_read_is_continuous_with_its_first_derivatives() -> None:
    table = torch.randn(6**3, 2, dtype=torch.float64, generator=generator())

    def rows(points: Tensor) -> Tensor:
        taps = Taps(points, 4)
        return interpolate(table, taps.index(4), taps.first(), False)

    step = 1e-5
    for at in (places(), torch.tensor([[0.5, -0.5, 0.0]], dtype=torch.float64)):  # on faces of cells too
        for axis in range(3):
            shift = torch.zeros(3, dtype=torch.float64)
            shift[axis] = step
            low, high = rows(at - shift), rows(at + shift)
            torch.testing.assert_close(low, high, rtol=0, atol=1e-3)
            torch.testing.assert_close((high[0] - low[0]) / (2 * step), rows(at)[1 + axis], rtol=1e-4, atol=1e-4)


def test_second_derivatives_against_finite_differences() -> None:
    field, step, at = network("fast"), 1e-4, places(200)
    # Second derivatives jump at the faces of cells.
    at = at[((at + 1) * 8 % 1 - 0.5).abs().amax(1) < 0.49]
    hessian = Jet(field, at).hessian
    for axis in range(3):
        shift = torch.zeros(3, dtype=torch.float64)
        shift[axis] = step
        change = (Jet(field, at + shift).gradient - Jet(field, at - shift).gradient) / (2 * step)
        torch.testing.assert_close(change, hessian[:, axis], rtol=1e-3, atol=1e-3)


def test_gradcheck_of_the_read() -> None:
    taps = Taps(places(3), 4)
    table = torch.randn(6**3, 1, dtype=torch.float64, generator=generator(), requires_grad=True)
    weight = taps.first().requires_grad_()
    index = taps.index(4)
    assert torch.autograd.gradcheck(lambda *given: interpolate(given[0], index, given[1], False), (table, weight))
    assert torch.autograd.gradgradcheck(lambda *given: interpolate(given[0], index, given[1], True), (table, weight))
    at = places(3).requires_grad_()
    assert torch.autograd.gradgradcheck(network("fast"), (at,))


def test_a_band_holds_what_counts_at_its_points_and_nothing_else() -> None:
    points = places().float()[:10]
    config = FastConfig(resolutions=(4, 16), base=4, banded=16)
    field = config.build(generator(), points)
    assert len(field.tables[1]) == len(support_rows(points, 16)) + 1 < 18**3
    with torch.no_grad():
        field.tables[0].zero_()
        field.tables[1] += 1.0
        field.out.weight += 1.0
    far = torch.tensor([[0.95, -0.95, 0.95]])
    whole = field(torch.cat([points, far])).detach()
    field.tables[1].data.zero_()
    change = (whole - field(torch.cat([points, far])).detach()).abs()
    assert float(change[:-1].min()) > 0.1
    assert float(change[-1]) == 0.0


@pytest.mark.parametrize("kind", NETWORKS)
def test_networks_start_as_a_ball(kind: str) -> None:
    field = NETWORKS[kind].build(generator())
    assert field.smooth == (kind != "relu")
    directions = torch.nn.functional.normalize(torch.randn(300, 3, generator=generator()), dim=-1)
    with torch.no_grad():
        means = torch.stack([field(radius * directions).mean() for radius in (0.1, 0.3, 0.4, 0.6, 0.7, 0.95)])
    assert (means.diff() > 0).all()
    assert float(means[2]) < 0 < float(means[3])
    again = NETWORKS[kind].build(generator())
    assert all(torch.equal(a, b) for a, b in zip(field.parameters(), again.parameters(), strict=True))


def test_a_relu_network_refuses_second_derivatives() -> None:
    with pytest.raises(ValueError, match="no second derivatives"):
        _ = Jet(NETWORKS["relu"].build(generator()), torch.rand(4, 3)).laplacian


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (lambda: FastConfig(base=5), "one of its whole lattices"),
        (lambda: FastConfig(channels=0), "channels and width >= 1"),
        (lambda: FastConfig(depth=-1), "depth >= 0"),
        (lambda: SineConfig(depth=1), "depth >= 2"),
        (lambda: BallConfig(activation="tanh"), "'softplus' or 'relu'"),
        (lambda: BallConfig(skip=8), "from 1 to 7"),
    ],
)
def test_configs_refuse_nonsense(config, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        config()
