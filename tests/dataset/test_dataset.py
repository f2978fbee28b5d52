"""Dataset: stored samples are exact, batches hold stored samples, and files that cannot be opened say why."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import trimesh

from latentsdf.core.names import class_of
from latentsdf.dataset.dataset import Dataset
from latentsdf.dataset.file import stored_shapes
from latentsdf.dataset.preparation import PrepareConfig, prepare
from latentsdf.dataset.sampling import SamplingConfig

SMALL = SamplingConfig(near=3000, uniform=500, band=800, band_resolution=64, lattice=9, truncation=0.3)
COUNTS = {"band": 40, "near": 100, "uniform": 7}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    (folder / "meshes" / "a").mkdir(parents=True)
    ball = trimesh.creation.icosphere(subdivisions=5, radius=50.0)
    ball.apply_translation([1e3, 0.0, 0.0])
    ball.export(folder / "meshes" / "a" / "ball.ply")
    trimesh.creation.box().export(folder / "meshes" / "a" / "box.off")
    trimesh.creation.torus(0.7, 0.3).export(folder / "meshes" / "ring.obj")
    target = folder / "set.h5"
    return prepare(folder / "meshes", target, config=PrepareConfig(sampling=SMALL), workers=1).path


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_facts_of_the_shapes(path: Path):
    dataset = Dataset(path)
    assert len(dataset) == 3
    assert dataset.names == ("a/ball", "a/box", "ring")
    assert dataset.classes == ("a", "a", "")
    assert dataset.config == SMALL
    assert dataset.truncation == 0.3
    assert dataset.groups == ("band", "near", "uniform")
    assert dataset.audits[1].faces == 12
    np.testing.assert_allclose(dataset.frames[0].center, [1e3, 0, 0], atol=1e-3)
    assert dataset.frames[0].scale == pytest.approx(50 * 1.03, rel=1e-5)


def test_distances_are_those_of_the_rounded_points(path: Path):
    dataset = Dataset(path)
    counts = {"band": 800, "near": 3000, "uniform": 500}
    points, distances = dataset.sample([0, 1], counts, generator())
    ball, half = 1 / 1.03, 1 / 1.03 / 3**0.5
    q = points[1].abs() - half
    exact = torch.stack([points[0].norm(dim=-1) - ball, q.clamp_min(0).norm(dim=-1) + q.amax(-1).clamp_max(0)])
    error = (distances - exact).abs()
    assert (error[1] <= exact[1].abs() * 2**-11 + 1e-6).all()
    assert (error[0] <= exact[0].abs() * 2**-11 + 3e-4).all()  # what the flat faces cut off the sphere


def test_lattices_are_clipped_distances(path: Path):
    dataset = Dataset(path)
    lattices = dataset.lattices()
    assert lattices.shape == (3, 9, 9, 9)
    axis = torch.linspace(-1, 1, 9)
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    exact = (grid.norm(dim=-1) - 1 / 1.03).clamp(-0.3, 0.3)
    assert (lattices[0] - exact).abs().max() < 5e-4
    assert torch.equal(dataset.lattices([2, 0]), lattices[[2, 0]])
    assert torch.equal(dataset.subset([1]).lattices(), lattices[1:2])


@pytest.mark.parametrize("memory", [4.0, 0.0])
def test_what_is_drawn_was_stored(path: Path, memory: float):
    dataset = Dataset(path, memory=memory)
    points, distances = dataset.sample(torch.tensor([2, 0, 2]), COUNTS, generator(3))
    assert points.shape == (3, 147, 3)
    assert points.dtype == torch.float32
    assert distances.shape == (3, 147)
    assert distances.dtype == torch.float32
    with h5py.File(path) as file:
        stored = {tuple(row) for row in file["shapes/00000002/band/points"][:].tolist()}  # type: ignore[index]
    assert all(tuple(row) in stored for row in points[2, :40].tolist())
    assert not torch.equal(points[0], points[2])
    again = Dataset(path).sample([2, 0, 2], COUNTS, generator(3))
    assert torch.equal(points, again[0])
    assert torch.equal(distances, again[1])
    dataset.close()


def test_a_full_draw_is_everything_once_and_a_larger_one_repeats(path: Path):
    dataset = Dataset(path)
    once, _ = dataset.sample([0], {"uniform": 500}, generator(1))
    twice, _ = dataset.sample([0], {"uniform": 1000}, generator(1))
    assert torch.equal(torch.cat([once, once], dim=1), twice)
    with h5py.File(path) as file:
        stored = np.asarray(file["shapes/00000000/uniform/points"], dtype=np.float32)
    np.testing.assert_array_equal(np.sort(once[0].numpy(), axis=0), np.sort(stored, axis=0))


def test_a_subset_is_a_view(path: Path):
    dataset = Dataset(path)
    part = dataset.subset([2, 0]).subset([1])
    assert part.names == ("a/ball",)
    assert len(part) == 1
    assert torch.equal(part.sample([0], COUNTS, generator(1))[0], dataset.sample([0], COUNTS, generator(1))[0])


def test_a_group_that_is_not_there(path: Path):
    dataset = Dataset(path)
    with pytest.raises(ValueError, match="no sample group 'far'; it has band, near, uniform"):
        dataset.sample([0], {"far": 3}, generator())
    points, distances = dataset.sample([0, 1], {"near": 0}, generator())
    assert (points.shape, distances.shape) == ((2, 0, 3), (2, 0))


def _marked(path: Path, **marks: object) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs.update(marks)
    return path


def test_what_cannot_be_opened_says_why(path: Path, tmp_path: Path):
    cut = tmp_path / "cut.h5"
    cut.write_bytes(path.read_bytes()[:-1000])
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(FileNotFoundError, match=r"none\.h5"):
        Dataset(tmp_path / "none.h5")
    for name in ("cut.h5", "text.h5"):
        with pytest.raises(ValueError, match="not a readable HDF5 file"):
            Dataset(tmp_path / name)
    with pytest.raises(ValueError, match="no 'format' mark"):
        Dataset(_marked(tmp_path / "other.h5"))
    with pytest.raises(ValueError, match=r"not a latentsdf-dataset file: it is a latentsdf-space"):
        Dataset(_marked(tmp_path / "space.h5", format="latentsdf-space", version=1))
    with pytest.raises(ValueError, match="version 99, this latentsdf reads up to 1; upgrade"):
        Dataset(_marked(tmp_path / "future.h5", format="latentsdf-dataset", version=99))
    with pytest.raises(ValueError, match="damaged dataset"):
        Dataset(_marked(tmp_path / "damaged.h5", format="latentsdf-dataset", version=1))


def test_without_lattices_and_without_a_group(path: Path, tmp_path: Path):
    with h5py.File(path) as source, h5py.File(tmp_path / "thin.h5", "w") as file:
        file.attrs.update(source.attrs)
        sampling = json.loads(str(source.attrs["config"]))
        sampling["sampling"]["lattice"] = 0
        file.attrs["config"] = json.dumps(sampling)
        source.copy("shapes", file)
        del file["shapes/00000001/near"]
    dataset = Dataset(tmp_path / "thin.h5")
    with pytest.raises(ValueError, match="without lattices"):
        dataset.lattices()
    with pytest.raises(ValueError, match="no 'near' samples"):
        dataset.sample([1], {"near": 5}, generator())


def test_a_replaced_file_is_noticed(path: Path, tmp_path: Path):
    copy = tmp_path / "copy.h5"
    copy.write_bytes(path.read_bytes())
    dataset = Dataset(copy)
    with h5py.File(copy, "r+") as file:
        file["shapes/00000001"].attrs["fingerprint"] = "another"
    with pytest.raises(ValueError, match="replaced since it was opened"):
        dataset.lattices()


def test_classes_and_stored_shapes(path: Path):
    assert [class_of(name) for name in ("chair/12", "chair", "a/b/c")] == ["chair", "", "a"]
    stored = stored_shapes(path, thorough=True)
    assert list(stored) == ["a/ball", "a/box", "ring"]
    assert stored["ring"].samples == 4300


def test_a_file_without_records_opens(path: Path, tmp_path: Path):
    old = tmp_path / "old.h5"
    shutil.copy(path, old)
    with h5py.File(old, "r+") as file:
        shapes = file["shapes"]
        assert isinstance(shapes, h5py.Group)
        for group in shapes.values():
            del group.attrs["record"]
    assert set(Dataset(old).records) == {None}
    assert all(record is not None for record in Dataset(path).records)
