"""The 24 rotations of the cube group, applied to lattices, samples, frames and runs, and found for shapes."""

from __future__ import annotations

import importlib
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from conftest import TINY, TINY_SAMPLING, primitive

from latentsdf.core.cube_rotations import cube_rotations, nearest_rotation, rotate_lattice
from latentsdf.core.frame import Frame
from latentsdf.core.pose import PoseFreedom
from latentsdf.dataset.dataset import Dataset
from latentsdf.dataset.preparation import PrepareConfig, prepare
from latentsdf.inference.code_fitting import EncodeConfig
from latentsdf.inference.encoding import encode
from latentsdf.mesh.metrics import compare
from latentsdf.reconstruction.pose_candidates import candidate_fields
from latentsdf.reconstruction.scan_fitting import ScanFitConfig, fit_scan
from latentsdf.scan.virtual import virtual_scan
from latentsdf.space.store import load, save
from latentsdf.training.alignment import nearest_rotations
from latentsdf.training.loop import train
from latentsdf.training.warm_start import aligned_rotations, start_space


def cube(size: int) -> torch.Tensor:
    axis = torch.linspace(-1.0, 1.0, size)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)


def test_there_are_24_proper_rotations_and_the_first_is_none() -> None:
    found = cube_rotations()
    assert found.shape == (24, 3, 3)
    assert len({tuple(rotation.flatten().tolist()) for rotation in found}) == 24
    torch.testing.assert_close(found @ found.mT, torch.eye(3).expand(24, 3, 3))
    assert (torch.linalg.det(found) > 0.99).all()
    assert torch.equal(found[0], torch.eye(3))
    assert nearest_rotation(found).tolist() == list(range(24))


def test_a_turned_lattice_is_the_field_of_the_turned_points() -> None:
    def field(points: torch.Tensor) -> torch.Tensor:
        x, y, z = points.unbind(-1)
        return x + 2 * y * y - 3 * z + x * y

    places = cube(5)
    for rotation in cube_rotations():
        torch.testing.assert_close(rotate_lattice(field(places), rotation), field(places @ rotation))
    stack = torch.stack([field(places), field(places * 0.5)])
    torch.testing.assert_close(
        rotate_lattice(stack, cube_rotations()[7])[1], rotate_lattice(stack[1], cube_rotations()[7])
    )


def test_a_turned_dataset_turns_all_that_it_holds(dataset: Dataset) -> None:
    rotations = cube_rotations()[torch.tensor([0, 5, 9, 13, 2, 23, 7, 1, 17])]
    view = dataset.rotated(rotations)
    counts, rows = {"near": 300, "uniform": 20}, [8, 1, 5]
    points, distances = dataset.sample(rows, counts, torch.Generator().manual_seed(0))
    after, same = view.sample(rows, counts, torch.Generator().manual_seed(0))
    assert torch.equal(distances, same)
    torch.testing.assert_close(after, points @ rotations[rows].mT)
    for row in range(9):
        before, frame = dataset.frames[row], view.frames[row]
        source = before.to_source(points[0, :5].double().numpy())
        np.testing.assert_allclose(frame.to_unit(source), (points[0, :5] @ rotations[row].T).numpy(), atol=1e-6)
    torch.testing.assert_close(view.lattices([1])[0], rotate_lattice(dataset.lattices([1])[0], rotations[1]))


def test_turns_add_up_and_subsets_keep_theirs(dataset: Dataset) -> None:
    first, second = cube_rotations()[torch.arange(9)], cube_rotations()[torch.arange(9) + 10]
    twice = dataset.rotated(first).rotated(second)
    once = dataset.rotated(second @ first)
    some = twice.subset([4, 2])
    for view, rows in (
        (twice, [4, 2]),
        (some, [0, 1]),
        (dataset.subset([4, 2]).rotated((second @ first)[[4, 2]]), [0, 1]),
    ):
        drawn = view.sample(rows, {"near": 50}, torch.Generator().manual_seed(0))[0]
        torch.testing.assert_close(drawn, once.sample([4, 2], {"near": 50}, torch.Generator().manual_seed(0))[0])
        torch.testing.assert_close(view.lattices(rows), once.lattices([4, 2]))
        assert np.allclose(view.frames[rows[0]].rotation, once.frames[4].rotation)


def wedge(size: int, length: float) -> torch.Tensor:
    """A field without any symmetry: three boxes along the axes, of lengths of their own."""
    places = cube(size)
    boxes = [
        ((0.3, 0.0, 0.0), (length, 0.1, 0.2)),
        ((0.0, 0.4, 0.1), (0.1, 0.4, 0.1)),
        ((0.0, 0.0, -0.5), (0.2, 0.1, 0.3)),
    ]
    fields = []
    for center, half in boxes:
        off = (places - torch.tensor(center)).abs() - torch.tensor(half)
        fields.append(off.clamp_min(0).norm(dim=-1) + off.amax(-1).clamp_max(0))
    return torch.stack(fields).amin(0).clamp(-0.1, 0.1)


def test_shapes_in_random_rotations_find_a_common_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    common_rotations = importlib.import_module("congealing").common_rotations
    random = torch.Generator().manual_seed(0)
    rows = torch.randint(24, (60,), generator=random)
    lengths = (0.5 + 0.2 * torch.rand(60, generator=random)).tolist()
    mixed = torch.stack(
        [rotate_lattice(wedge(12, length), cube_rotations()[row]) for row, length in zip(rows, lengths, strict=True)]
    )
    found = cube_rotations()[common_rotations(mixed)] @ cube_rotations()[rows]
    counts = torch.bincount(nearest_rotation(found), minlength=24)
    assert counts.max() >= 54


def test_a_shape_is_turned_only_where_that_brings_it_clearly_nearer() -> None:
    field = wedge(10, 0.6)
    other = rotate_lattice(field, cube_rotations()[5])
    none = torch.zeros(0, 1000)
    for share, margin, row in ((0.495, 0.03, 0), (0.495, 0.0, 5), (0.4, 0.03, 5)):
        mean = (share * field + (1 - share) * other).flatten()
        assert nearest_rotations(field[None], mean, none, margin).tolist() == [row]


@pytest.fixture(scope="module")
def lying(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The box and the ring of the tiny collection, lying on other sides."""
    folder = tmp_path_factory.mktemp("lying")
    for kind, row in (("box", 8), ("ring", 4)):
        mesh = primitive(kind, 1.1)
        turn = np.eye(4)
        turn[:3, :3] = cube_rotations()[row].numpy()
        mesh.apply_transform(turn)
        mesh.apply_scale(30.0)
        (folder / "meshes" / "other").mkdir(parents=True, exist_ok=True)
        mesh.export(str(folder / "meshes" / "other" / f"{kind}.ply"))
    target = folder / "lying.h5"
    prepare(folder / "meshes", target, config=PrepareConfig(sampling=TINY_SAMPLING), workers=1)
    return target


@pytest.mark.slow
def test_a_run_sets_shapes_as_its_start_knows_them(lying: Path, space_path: Path, tmp_path: Path) -> None:
    dataset, config = Dataset(lying), replace(TINY, start=str(space_path), schedule_steps=60, rehearsal=0.0)
    rotations = aligned_rotations(dataset, config, load(space_path))
    assert rotations is not None
    assert not torch.equal(rotations[1], torch.eye(3))
    assert aligned_rotations(dataset, replace(config, align=False), load(space_path)) is None
    assert start_space(replace(config, start="random")) is None
    assert aligned_rotations(dataset, config, None) is None
    whole = train(dataset, config, path=tmp_path / "whole.h5", steps=60)
    kept = train(dataset, replace(config, align=False), steps=60)
    assert whole.history["log"][-1]["loss"] < kept.history["log"][-1]["loss"]
    np.testing.assert_allclose(
        whole["other/ring"].frame.rotation, rotations[1].numpy() @ dataset.frames[1].rotation, atol=1e-6
    )
    path = tmp_path / "half.h5"
    train(dataset, config, path=path, steps=25)
    shutil.copy(path, tmp_path / "old.h5")
    with h5py.File(tmp_path / "old.h5", "r+") as file:
        file.move("resume/rotations", "resume/turns")  # as earlier versions named them
    again = train(dataset, path=path, resume=True, steps=35)
    assert torch.equal(train(dataset, path=tmp_path / "old.h5", resume=True, steps=35).codes(), whole.codes())
    assert torch.equal(again.codes(), whole.codes())
    assert np.array_equal(again["other/ring"].frame.rotation, whole["other/ring"].frame.rotation)


def test_a_shape_that_the_space_holds_is_set_as_it_is_there_if_it_looks_like_that_one(
    dataset: Dataset, space_path: Path, tmp_path: Path
) -> None:
    space, config = load(space_path), replace(TINY, start=str(space_path))
    back = cube_rotations()[6]
    lying = dataset.rotated(back.T.repeat(9, 1, 1))
    assert dataset.names[6] == "ring/0"  # the space has learned it well, and nothing that is like it as well
    found = aligned_rotations(lying, config, space)
    assert found is not None
    assert torch.equal(found[6], back)
    other = replace(space["box/0"], name="ring/0", frame=space["ring/0"].frame)
    space.add(other, replace=True)
    save(space, tmp_path / "names.h5")
    found = aligned_rotations(lying, config, load(tmp_path / "names.h5"))
    assert found is not None
    assert not torch.equal(found[6], back)


def test_a_mesh_that_lies_otherwise_is_encoded_as_well(space_path: Path) -> None:
    space, mesh = load(space_path), primitive("ring", 1.05)
    turn = np.eye(4)
    angle = 0.15
    tilt = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
    turn[:3, :3] = cube_rotations()[4].numpy() @ tilt.T
    mesh.apply_transform(turn)
    mesh.apply_scale(200.0)
    mesh.apply_translation([10.0, -700.0, 3.0])
    config = EncodeConfig(points=512, samples=8000)
    free = encode(space, mesh, config=config)
    known = encode(space, mesh, config=replace(config, pose="known"))
    assert np.array_equal(known.frame.rotation, np.eye(3))
    assert free.metadata["fit_error"] < 0.7 * known.metadata["fit_error"]
    closer, farther = (compare(shape.mesh(48), mesh, frame=known.frame).chamfer_l1 for shape in (free, known))
    assert closer < farther


@pytest.mark.slow
@pytest.mark.parametrize("pose", ["known", "placed"])
def test_scans_with_axes_alike_meet_each_stored_shape_as_its_mesh_lay(pose: PoseFreedom, space_path: Path) -> None:
    space = load(space_path)
    turn = Frame(cube_rotations()[4].double().numpy(), 1.0, np.zeros(3))
    for name in ("ring/0", "ring/1", "ring/2"):
        space.add(replace(space[name], frame=turn @ space[name].frame), replace=True)
    assert sorted(candidate_fields(space).rotation_rows.unique().tolist()) == [0, 4]
    lying = space["ring/1"].mesh(48)
    scan = virtual_scan(lying, count=2000, seed=0)
    found = fit_scan(space, scan, ScanFitConfig(pose=pose, points=512), frame=Frame.around(lying.vertices))
    np.testing.assert_allclose(found.frame.rotation, turn.rotation, atol=1e-6)
    assert found.error < 0.015
