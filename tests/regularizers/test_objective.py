"""Every term's derivatives, the table of terms, the presets, and what is said when something does not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from latentsdf.core.field import Jet
from latentsdf.regularizers import (
    PRESETS,
    TERMS,
    VISCOSITY,
    Anneal,
    Batch,
    Disks,
    Objective,
    Term,
    eikonal,
    preset,
    ray_points,
    resolve_terms,
)
from latentsdf.regularizers.batch import POINT_SETS, REMEDIES
from latentsdf.regularizers.inputs import INPUTS
from latentsdf.scan.scan import Scan

WIDTHS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("gradient", "foot", "foot_gradient", "normals", "nearest", "centers", "scales"), (3,)),
    **{"rotations": (3, 3), "space_hessian": (3, 3), "disk_normals": (3,)},
}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in TERMS if name != "viscosity"),
    *(("viscosity", {"epsilon": 0.1, "mode": mode, "p": p}) for mode in ("plain", "signed") for p in (1, 2)),
    *(("normals", {"form": form}) for form in ("unsigned", "difference")),
    *(("eikonal", {"p": 2}), ("pull", {"p": 1}), ("pull_to_disks", {"normalized": True})),
]


def random_inputs(name: str) -> dict[str, Tensor]:
    """Four rows of each of a term's arguments, away from the corners of absolute values and clamps."""
    random = torch.Generator().manual_seed(5)
    found = {}
    for argument in TERMS[name].inputs:
        values = torch.randn(4, *WIDTHS.get(argument, ()), dtype=torch.float64, generator=random)
        if argument in ("scales", "depth", "reliability"):
            values = values.abs() + 0.2
        found[argument] = 0.05 * values if name == "level_set_alignment" and argument == "value" else values
    return found


@pytest.mark.parametrize(("name", "knobs"), VARIANTS)
def test_first_and_second_derivatives_of_every_term(name: str, knobs: dict[str, Any]) -> None:
    inputs = random_inputs(name)
    # No derivative is taken through the weight of the alignment.
    moved = [key for key in inputs if (name, key) != ("level_set_alignment", "value")]

    def term(*values: Tensor) -> Tensor:
        return TERMS[name].function(**{**inputs, **dict(zip(moved, values, strict=True))}, **knobs)

    at = tuple(inputs[key].clone().requires_grad_() for key in moved)
    assert term(*at).shape == ()
    assert torch.autograd.gradcheck(term, at)
    assert torch.autograd.gradgradcheck(term, at)


@pytest.mark.parametrize(("name", "knobs"), VARIANTS)
def test_terms_keep_the_type_of_their_input(name: str, knobs: dict[str, Any]) -> None:
    single = {key: value.float() for key, value in random_inputs(name).items()}
    knobs = knobs or ({"epsilon": 0.1} if name == "viscosity" else {})
    assert TERMS[name].function(**single, **knobs).dtype == torch.float32


def smooth_field(parameters: Tensor) -> Callable[[Tensor], Tensor]:
    """About a ball, bent by a sine; everything moves with the seven parameters."""
    return lambda x: (x * (1 + parameters[:3])).norm(dim=-1) - 0.5 + parameters[3] * torch.sin(x @ parameters[4:7])


PARAMETERS = torch.tensor([0.1, -0.1, 0.05, 0.2, 1.0, -2.0, 0.5], dtype=torch.float64)


@pytest.fixture(scope="module")
def batch() -> Batch:
    """All that a step can know, of a noisy ball."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 3))
    normals = points / np.linalg.norm(points, axis=1, keepdims=True)
    surface = torch.from_numpy(0.5 * normals + 0.01 * rng.normal(size=(60, 3)))
    near = surface[:20] + 0.03 * torch.from_numpy(rng.normal(size=(20, 3)))
    disks = Disks.from_scan(Scan(surface.numpy()))
    rays = ray_points(
        surface[:10], 3 * surface.new_tensor([1, 0, 0]), count=20, generator=torch.Generator().manual_seed(0)
    )
    return Batch(
        surface=surface,
        normals=torch.from_numpy(normals),
        reliability=torch.from_numpy(rng.uniform(0.5, 1, 60)),
        near=near,
        nearest=surface[:20],
        space=torch.from_numpy(rng.uniform(-1, 1, (30, 3))),
        disks=disks,
        near_disk=disks.nearest(near),
        rays=rays.points,
        depth=rays.depth,
        code=torch.tensor([1.0, -1.0], dtype=torch.float64),
    )


def without(batch: Batch, *names: str) -> Batch:
    return Batch(**{item.name: getattr(batch, item.name) for item in fields(Batch) if item.name not in names})


@pytest.mark.parametrize("name", [name for name in TERMS if name not in ("code_prior", "disk_thinness")])
def test_every_term_trains_the_parameters_of_a_field(name: str, batch: Batch) -> None:
    # With delta = 0 the alignment has no weight through which a derivative is left out on purpose.
    knobs = {"level_set_alignment": {"delta": 0.0, "band": 10.0}, "viscosity": {"epsilon": 0.1}}.get(name, {})
    objective = Objective([Term(name=name, knobs=knobs)])

    def loss(parameters: Tensor) -> Tensor:
        return objective(smooth_field(parameters), batch)[name]

    parameters = PARAMETERS.clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, (parameters,))
    (gradient,) = torch.autograd.grad(loss(parameters), parameters)
    assert float(gradient.abs().max()) > 0


def test_a_detached_foot_leaves_its_own_way_out(batch: Batch) -> None:
    parameters = PARAMETERS.clone().requires_grad_()
    found = []
    for detach_foot in (True, False):
        knobs = {"detach_foot": detach_foot, "band": 10.0}
        loss = Objective([Term(name="level_set_alignment", knobs=knobs)])(smooth_field(parameters), batch)
        value = loss["level_set_alignment"]
        found.append((value.detach(), torch.autograd.grad(value, parameters)[0]))
    torch.testing.assert_close(found[0][0], found[1][0])
    assert not torch.allclose(found[0][1], found[1][1])


class Net(nn.Module):
    """A small network in float64."""

    def __init__(self, activation: type[nn.Module], smooth: bool):
        super().__init__()
        self.smooth = smooth
        self.layers = nn.Sequential(nn.Linear(3, 16), activation(), nn.Linear(16, 1)).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)[:, 0]


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_presets_run_on_a_small_network(name: str, progress: float, batch: Batch) -> None:
    torch.manual_seed(0)
    net = Net(nn.Softplus, True)
    objective = Objective(preset(name))
    losses = objective(net, batch, progress)
    assert set(losses) <= {term.label for term in PRESETS[name]}
    loss = torch.stack(list(losses.values())).sum()
    assert bool(torch.isfinite(loss))
    loss.backward()
    first = next(net.parameters()).grad
    assert first is not None
    assert float(first.abs().max()) > 0
    bare = without(batch, *({item.name for item in fields(Batch)} - objective.needs(progress)))
    for label, value in objective(net, bare, progress).items():
        torch.testing.assert_close(value, losses[label])


def test_presets_read_like_the_papers() -> None:
    def weights(name: str) -> dict[str, float]:
        return {term.label: term.weight for term in PRESETS[name]}

    assert weights("siren") == {"surface": 3000, "off_surface": 100, "normals": 100, "eikonal@surface+space": 50}
    assert weights("neural-pull+lsa") == {"pull": 1, "level_set_alignment": 0.01}
    assert weights("gs-pull") == {"pull_to_disks": 1, "disk_tangency": 0.1, "disk_orthogonality": 0.1}
    assert weights("viscoreg") == {"surface": 3000, "off_surface": 100, "viscosity": 50, "eikonal@surface": 50}
    assert PRESETS["digs"][3].weight_at(0.1) == 100
    assert PRESETS["digs"][3].weight_at(0.3) == pytest.approx(50)
    assert [term.label for term in Objective(PRESETS["digs"]).active(0.5)] == ["surface", "off_surface", weights_key()]
    assert "normals" not in {term.name for term in preset("siren", normals=False)}
    assert preset("hotspot", normals=False) == PRESETS["hotspot"]


def weights_key() -> str:
    return "eikonal@surface+space"


def test_the_eikonal_weight_of_viscoreg_does_not_change_when_the_viscosity_ends(batch: Batch) -> None:
    net = Net(nn.Softplus, True)
    objective = Objective(preset("viscoreg"))
    for progress in (0.8 - 1e-9, 0.8, 1.0):
        losses = objective(net, batch, progress)
        assert batch.space is not None
        torch.testing.assert_close(losses["viscosity"], 50 * eikonal(Jet(net, batch.space).gradient))


def test_each_set_of_points_is_asked_once(batch: Batch) -> None:
    asked: list[int] = []
    field = smooth_field(PARAMETERS)

    def counted(x: Tensor) -> Tensor:
        asked.append(len(x))
        return field(x)

    rows = [*PRESETS["siren"], Term(name="divergence"), Term(name="viscosity"), Term(name="heat")]
    Objective([*rows, Term(name="pull"), Term(name="disk_orthogonality")])(counted, batch)
    assert sorted(asked) == [20, 30, 60]


def test_terms_on_several_sets_are_one_mean(batch: Batch) -> None:
    field = smooth_field(PARAMETERS)
    losses = Objective(
        [Term(name="eikonal", on=("surface", "space")), Term(name="eikonal"), Term(name="eikonal", on=("surface",))]
    )(field, batch)
    assert list(losses) == ["eikonal@surface+space", "eikonal", "eikonal@surface"]
    pooled = (60 * losses["eikonal@surface"] + 30 * losses["eikonal"]) / 90
    torch.testing.assert_close(losses["eikonal@surface+space"], pooled)


def test_weights_and_knobs_follow_progress(batch: Batch) -> None:
    term = Term(name="heat", weight=4, start=0.1, stop=0.9, anneal=Anneal(0.2, 0.6, 2))
    moments = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
    assert [term.weight_at(t) for t in moments] == pytest.approx([0, 4, 4, 3, 2, 2, 0, 0])
    assert Term(name="heat").weight_at(1.0) == 1
    knobs = {"sharpness": ((0.2, 10.0), (0.4, 30.0))}
    moving = Term(name="heat", knobs=knobs)
    assert [moving.knobs_at(t)["sharpness"] for t in (0, 0.2, 0.3, 0.4, 1)] == pytest.approx([10, 10, 20, 30, 30])
    assert [Term(name="viscosity").knobs_at(t)["epsilon"] for t in (0, 0.3, 0.8)] == pytest.approx([0.5, 0.22, 0])
    fixed = Objective([Term(name="heat", knobs={"sharpness": 20.0})])
    field = smooth_field(PARAMETERS)
    torch.testing.assert_close(Objective([moving])(field, batch, 0.3), fixed(field, batch))
    with pytest.raises(ValueError, match="no term has a weight at progress 0"):
        Objective([term])(field, batch, 0.0)
    with pytest.raises(ValueError, match=r"\[0, 1\], got 1.5"):
        Objective([term])(field, batch, 1.5)


def test_rows_are_plain_data() -> None:
    for rows in PRESETS.values():
        stored = json.loads(json.dumps([asdict(row) for row in rows]))
        again = [Term(**row) for row in stored]
        for row, copy in zip(rows, again, strict=True):
            assert (copy.label, copy.anneal, copy.weight) == (row.label, row.anneal, row.weight)
            assert copy.knobs_at(0.3) == row.knobs_at(0.3)


@pytest.mark.parametrize("name", ["divergence", "directional_divergence", "viscosity", "ssd_energy"])
def test_second_order_terms_refuse_a_field_without_second_derivatives(name: str, batch: Batch) -> None:
    rough = Net(nn.ReLU, False)
    with pytest.raises(ValueError, match=f"term '{name}': this field has no second derivatives.*'softplus'.*first or"):
        Objective([Term(name=name)])(rough, batch)


def test_first_order_terms_take_a_relu_field(batch: Batch) -> None:
    rough = Net(nn.ReLU, False)
    second = ("divergence", "directional_divergence", "viscosity", "ssd_energy")
    losses = Objective([Term(name=name) for name in TERMS if name not in second])(rough, batch)
    assert len(losses) == len(TERMS) - 4
    late = Objective([Term(name="viscosity")])(rough, batch, 0.9)
    assert bool(torch.isfinite(late["viscosity"]))


@pytest.mark.parametrize(
    ("name", "missing", "says"),
    [
        ("normals", "normals", "the scan has no normals; estimate them"),
        ("pull", "nearest", "the scan points nearest to the queries"),
        ("pull_to_disks", "disks", "make them with Disks.from_scan or Disks.load"),
        ("disk_tangency", "disks", "make them with Disks.from_scan or Disks.load"),
        ("disk_orthogonality", "near_disk", "Disks.nearest"),
        ("free_space", "depth", "where the position of its sensor is known"),
        ("free_space", "rays", "where the position of its sensor is known"),
        ("code_prior", "code", "a latent space decodes"),
        ("ssd_energy", "space", "no points in space"),
        ("surface", "surface", "no surface points"),
    ],
)
def test_what_is_missing_is_named(name: str, missing: str, says: str, batch: Batch) -> None:
    dependent = {"rays": ("depth",), "surface": ("normals", "reliability")}.get(missing, ())
    assert missing in Term(name=name).needs()
    with pytest.raises(ValueError, match=f"term '{name}': it needs '{missing}', but .*{says}"):
        Objective([Term(name=name)])(smooth_field(PARAMETERS), without(batch, missing, *dependent))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": "eikonl"}, "unknown term 'eikonl'; did you mean 'eikonal'"),
        ({"name": "xyz"}, "unknown term 'xyz'; known are code_prior, "),
        ({"name": "heat", "knobs": {"sharpnes": 2}}, "no knob 'sharpnes'; did you mean 'sharpness'"),
        ({"name": "surface", "knobs": {"p": 2}}, "no knob 'p'; it has none"),
        ({"name": "heat", "weight": -1.0}, "at least 0 and finite, got -1"),
        ({"name": "heat", "weight": float("nan")}, "at least 0 and finite, got nan"),
        ({"name": "heat", "start": 0.5, "stop": 0.5}, "start 0.5 and stop 0.5"),
        ({"name": "heat", "anneal": (0.5, 0.2)}, "got 0.5, 0.2 and 0"),
        ({"name": "heat", "knobs": {"sharpness": ((0.5, 1), (0.2, 2))}}, "progress rising in"),
        ({"name": "heat", "knobs": {"sharpness": (1, 2)}}, "progress rising in"),
        ({"name": "pull", "on": ("space",)}, "cannot be taken on 'space', only on near"),
        ({"name": "eikonal", "on": "everywhere"}, "only on surface, near, space, rays, disks"),
        ({"name": "eikonal", "on": ("near", "near")}, "twice"),
    ],
)
def test_rows_that_make_no_sense_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Term(**wrong)


def test_objectives_and_presets_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown preset 'sirn'; did you mean 'siren'"):
        preset("sirn")
    with pytest.raises(ValueError, match="at least one term"):
        Objective([])
    with pytest.raises(ValueError, match="two rows are named 'heat'"):
        Objective([Term(name="heat"), Term(name="heat", weight=2)])
    with pytest.raises(TypeError, match="made of terms, got 'heat'"):
        resolve_terms(["heat"])  # pyright: ignore[reportArgumentType]
    assert resolve_terms("igr") == PRESETS["igr"]
    assert resolve_terms({"eikonal": 0.1, "pull": 1.0}) == (Term(name="eikonal", weight=0.1), Term(name="pull"))
    assert resolve_terms([Term(name="pull")]) == (Term(name="pull"),)


def test_a_batch_checks_its_shapes() -> None:
    points = torch.zeros(4, 3)
    with pytest.raises(ValueError, match=r"surface must hold points .* got shape \(4, 2\)"):
        Batch(surface=points[:, :2])
    with pytest.raises(ValueError, match="space must hold points"):
        Batch(space=points[:0])
    with pytest.raises(ValueError, match=r"normals belongs to surface, which holds 4 points; got shape \(3, 3\)"):
        Batch(surface=points, normals=points[:3])
    with pytest.raises(ValueError, match="nearest belongs to near, which holds no points"):
        Batch(surface=points, nearest=points)


def test_the_tables_agree() -> None:
    names = {item.name for item in fields(Batch)}
    assert set(REMEDIES) == names
    assert set(POINT_SETS) <= names
    for name, rule in TERMS.items():
        assert rule.function.__name__ == name
        assert set(rule.inputs) <= set(INPUTS)
        assert set(rule.on) <= set(rule.point_sets)
    for rows in PRESETS.values():
        assert all(isinstance(row, Term) for row in rows)
    for knots in VISCOSITY.values():
        Term(name="viscosity", knobs={"epsilon": knots})
