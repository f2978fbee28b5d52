"""Training: resumable to the bit, by stages, and it does learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import TINY, TINY_DECODER, primitive

from latentsdf.core.optimize import Stop
from latentsdf.dataset.dataset import Dataset
from latentsdf.decoder import DeepSDFConfig, LinearConfig
from latentsdf.mesh.metrics import compare
from latentsdf.space.file_info import space_info
from latentsdf.space.store import load, load_resume
from latentsdf.training import state
from latentsdf.training.config import TrainConfig, config_from_dict, config_to_dict
from latentsdf.training.loop import train
from latentsdf.training.loss import distance_loss
from latentsdf.training.presets import named_config
from latentsdf.training.stages import JOINT, OVERFIT, Stage

SHORT = replace(TINY, schedule_steps=20, points_per_shape=256)


def same(a, b) -> bool:
    """Whether two spaces are equal to the last bit."""
    weights = zip(a.decoder.state_dict().values(), b.decoder.state_dict().values(), strict=True)
    return torch.equal(a.codes(), b.codes()) and all(torch.equal(x, y) for x, y in weights)


@pytest.mark.parametrize("half", [5, 12])
def test_two_halves_equal_the_whole_to_the_bit(dataset: Dataset, tmp_path: Path, half: int) -> None:
    whole = train(dataset, SHORT, path=tmp_path / "whole.h5", steps=2 * half)
    train(dataset, SHORT, path=tmp_path / "halves.h5", steps=half)
    halves = train(dataset, path=tmp_path / "halves.h5", resume=True, steps=half)
    assert same(whole, halves)
    assert same(load(tmp_path / "whole.h5"), load(tmp_path / "halves.h5"))
    assert not same(whole, train(dataset, replace(SHORT, seed=1), steps=2 * half))


def test_an_unfinished_file_is_a_space_and_says_that_it_can_go_on(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "space.h5"
    space = train(dataset, SHORT, path=path, steps=7)
    assert "not at its end" in space.history["stop"]
    state = load_resume(path)
    assert state is not None
    assert state.facts["step"] == 7
    assert len(load(path)) == len(dataset)
    train(dataset, path=path, resume=True, minutes=0.02)
    assert load_resume(path) is None
    with pytest.raises(ValueError, match="nothing to resume"):
        train(dataset, path=path, resume=True, steps=1)


def test_resuming_with_other_shapes_or_another_decoder_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "space.h5"
    train(dataset, SHORT, path=path, steps=2)
    with pytest.raises(ValueError, match="other shapes"):
        train(dataset.subset([0, 1]), path=path, resume=True, steps=2)
    other = replace(SHORT, decoder=replace(TINY_DECODER, code_size=9))
    with pytest.raises(ValueError, match="another decoder"):
        train(dataset, other, path=path, resume=True, steps=2)


def test_generalize_then_overfit_moves_the_branches_in_turn(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "space.h5"
    first = train(dataset, SHORT, path=path, steps=12)
    grid = dict(first.decoder.named_parameters())["grid"]
    assert float(grid.abs().max()) == 0.0
    last = train(dataset, path=path, resume=True, steps=8)
    assert float(dict(last.decoder.named_parameters())["grid"].abs().max()) > 0.0
    assert [row["stage"] for row in last.history["log"]][0] == "generalize"
    assert last.history["log"][-1]["stage"] == "overfit"
    assert set(last.history["log"][-1]["terms"]) == {"coarse", "fine", "prior"}
    assert set(last.history["log"][-1]["rates"]) == {"coarse", "fine", "grid", "codes"}
    assert last.history["log"][-1]["rates"]["grid"] < OVERFIT.rates["grid"]


def test_the_tiny_space_has_learned_its_shapes(space_path: Path, mesh_dir: Path) -> None:
    space = load(space_path)
    figures = compare(space["ball/1"].mesh(64), primitive("ball", 1.0))
    assert figures.f_scores[0.02] > 0.8
    assert figures.normal_consistency > 0.95
    log = space.history["log"]
    assert log[-1]["terms"]["coarse"] < 0.25 * log[0]["terms"]["coarse"]


@pytest.mark.parametrize("branch", ["coarse", "fine", "fused"])
def test_the_three_fields_are_near_the_truth_and_each_other(space_path: Path, branch: str) -> None:
    shape = load(space_path)["ball/1"]
    directions = torch.nn.functional.normalize(torch.randn(500, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    radii = torch.linspace(0.9, 1.05, 500)[:, None]
    truth = radii[:, 0] / 1.03 - 1.0 / 1.03
    found = shape.decoded(branch)(directions * radii / 1.03)
    assert float((found - truth).abs().mean()) < 0.02


def test_joint_and_other_decoders_train(dataset: Dataset) -> None:
    joint = train(dataset, replace(SHORT, stages=(JOINT,)), steps=20)
    assert joint.history["stop"] == "the schedule was run to its end"
    deep = TrainConfig(decoder=DeepSDFConfig(code_size=8, width=32, depth=4), truncate="clamp", schedule_steps=5)
    assert train(dataset, deep, steps=5).decoder.kind == "deepsdf"


def test_a_linear_space_is_computed_and_refuses_a_budget(dataset: Dataset, tmp_path: Path) -> None:
    config = TrainConfig(decoder=LinearConfig(code_size=4, resolution=9))
    with pytest.raises(ValueError, match="not trained; leave resume and steps and minutes out"):
        train(dataset, config, path=tmp_path / "space.h5", resume=True, steps=3, minutes=1.0)
    space = train(dataset, config, path=tmp_path / "space.h5", on_event=lambda _: pytest.fail("no step was taken"))
    assert same(space, load(tmp_path / "space.h5"))


def test_the_linear_space_reproduces_lattices_it_spans(dataset: Dataset) -> None:
    space = train(dataset, TrainConfig(decoder=LinearConfig(code_size=8, resolution=32)))
    lattices = dataset.lattices()
    side = torch.linspace(-1, 1, 32)
    points = torch.stack(torch.meshgrid(side, side, side, indexing="ij"), -1).reshape(-1, 3)
    for row, name in enumerate(space):
        torch.testing.assert_close(space[name].sdf(points), lattices[row].flatten(), rtol=0, atol=2e-4)


def test_the_loss_is_the_published_one_when_clamped() -> None:
    predicted, true = torch.tensor([[0.3, -0.02, 0.05]]), torch.tensor([[0.2, -0.01, -0.3]])
    clamped = distance_loss(predicted, true, TrainConfig(truncate="clamp", far_weight=0.0))
    assert float(clamped) == pytest.approx((0.0 + 0.01 + 0.15) / 3)
    soft = TrainConfig(far_weight=0.0)
    off = torch.tensor([[0.5]], requires_grad=True)
    distance_loss(off, torch.tensor([[-0.5]]), replace(soft, truncate="clamp")).backward()
    assert off.grad is not None
    assert float(off.grad) == 0.0
    off.grad.zero_()
    distance_loss(off, torch.tensor([[-0.5]]), soft).backward()
    assert float(off.grad) > 0.0


def test_the_squared_tail_weighs_large_errors_more() -> None:
    predicted, true = torch.tensor([[0.05, -0.01]]), torch.tensor([[-0.05, -0.01]])
    error = 0.2 * float(torch.tanh(torch.tensor(0.5)))
    plain = distance_loss(predicted, true, TrainConfig(far_weight=0.0, tail=0.0))
    squared = distance_loss(predicted, true, TrainConfig(far_weight=0.0, tail=20.0))
    assert float(plain) == pytest.approx(error / 2)
    assert float(squared) == pytest.approx(error / 2 + 20.0 * error**2 / 2)
    missing = {name: value for name, value in config_to_dict(TINY).items() if name != "tail"}
    assert config_from_dict(missing).tail == 0.0


def test_a_finished_space_is_stored_compactly_and_returned_as_stored(dataset: Dataset, tmp_path: Path) -> None:
    config = replace(named_config(code_size=8), schedule_steps=30, points_per_shape=64, nested=(2,))
    halfway = train(dataset, config, path=tmp_path / "s.h5", steps=10)
    assert space_info(tmp_path / "s.h5").sizes.code == 4 * 8
    finished = train(dataset, path=tmp_path / "s.h5", resume=True, steps=20)
    assert finished.history["stop"] == Stop.FINISHED.value != halfway.history["stop"]
    assert space_info(tmp_path / "s.h5").sizes.code < 16
    assert torch.equal(load(tmp_path / "s.h5").codes(), finished.codes())
    whole = train(dataset, config, steps=30)
    points = torch.rand(len(whole), 200, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        fields = [space.decoder(space.codes(), points) for space in (finished, whole)]
    # Weights are rounded to a twentieth of an error that is large after so few steps.
    assert (fields[0] - fields[1]).abs().mean() < 0.03, (fields[0] - fields[1]).abs().mean()


def test_codes_take_about_the_bytes_asked_for(dataset: Dataset, tmp_path: Path) -> None:
    config = replace(named_config(code_size=8), schedule_steps=30, points_per_shape=64)
    for size in (4.0, 7.0):
        space = train(dataset, replace(config, code_bytes=size), path=tmp_path / "s.h5", steps=30)
        assert space.code_format is not None
        lengths = [len(stream) for stream in space.code_format.pack(space.codes())]
        assert sum(lengths) <= (size + 2.0) * len(lengths)
    with pytest.raises(ValueError, match="code_bytes must be positive, got 0"):
        replace(config, code_bytes=0)


def test_a_config_survives_its_dictionary_and_refuses_unknown_fields() -> None:
    config = replace(TINY, stages=(JOINT, OVERFIT), truncate="clamp")
    assert config_from_dict(config_to_dict(config)) == config
    with pytest.raises(TypeError, match="batchsize"):
        config_from_dict({**config_to_dict(config), "batchsize": 3})


def test_fields_of_earlier_versions_are_read_where_their_value_is_the_constant() -> None:
    old = {"truncation": 0.1, "code_prior": 1e-4, "nesting": 0.25, "checkpoint_seconds": 5.0}
    assert config_from_dict({**config_to_dict(TINY), **old}) == TINY
    with pytest.raises(ValueError, match=r"begun with truncation 0.2, this version trains with 0.1; train afresh"):
        config_from_dict({**config_to_dict(TINY), **old, "truncation": 0.2})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"minutes": 0.0}, "minutes"),
        ({"far_weight": -1.0}, "far_weight"),
        ({"tail": -1.0}, "tail"),
        ({"shapes_per_batch": 0}, "at least 1"),
    ],
)
def test_impossible_settings_are_refused(change: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        TrainConfig(**change)


def test_a_stage_that_names_what_is_not_there_is_refused(dataset: Dataset) -> None:
    stage = Stage(name="odd", share=1.0, losses={"coarse": {"near": 1.0}}, rates={"triplane": 1e-3})
    with pytest.raises(ValueError, match="'triplane'.*coarse, fine, grid, codes"):
        train(dataset, replace(SHORT, stages=(stage,)), steps=1)
    wrong = replace(stage, losses={"sdf": {"near": 1.0}}, rates={"coarse": 1e-3})
    with pytest.raises(ValueError, match="no branch 'sdf'"):
        train(dataset, replace(SHORT, stages=(wrong,)), steps=1)


def test_a_run_that_is_stopped_while_it_is_stored_is_finished_by_resume(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(named_config(code_size=8), schedule_steps=20, points_per_shape=64)
    whole = train(dataset, config, path=tmp_path / "whole.h5", steps=20)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(state, "refitted_codes", stop)
        with pytest.raises(KeyboardInterrupt):
            train(dataset, config, path=tmp_path / "stopped.h5", steps=20)
    assert space_info(tmp_path / "stopped.h5").unfinished
    finished = train(dataset, path=tmp_path / "stopped.h5", resume=True)
    assert torch.equal(finished.codes(), whole.codes())
