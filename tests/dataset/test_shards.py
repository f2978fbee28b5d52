"""A dataset in shards reads as one in a single file, and what is added to it leaves the files that are there alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from latentsdf.core.frame import Frame
from latentsdf.dataset.dataset import Dataset
from latentsdf.dataset.file import ShapeSamples, StoredShape, stored_shapes, write_part
from latentsdf.dataset.mesh_samples import MeshSamples
from latentsdf.dataset.sampling import QuerySamples, SamplingConfig
from latentsdf.dataset.shards import ShardPlan
from latentsdf.mesh.audit import Audit

CONFIG = SamplingConfig(near=60, uniform=30, band=10, lattice=4)
SHAPE = 100 * 8
AUDIT = Audit(
    vertices=4, faces=4, watertight=True, consistent_winding=True, components=1, degenerate_faces=0, boundary_edges=0,
    flipped_faces=0, volume=1.0, extents=(1.0, 1.0, 1.0), self_intersections=0, sign_disagreement=0.0,
)  # fmt: skip


def part(folder: Path, name: str) -> StoredShape:
    """A finished shape in a part file of its own; its samples are random, but always those of its name."""
    generator = np.random.default_rng(list(name.encode()))
    groups = {
        group: QuerySamples(generator.uniform(-1, 1, (count, 3)), generator.uniform(-1, 1, count))
        for group, count in (("near", 60), ("uniform", 30), ("band", 10))
    }
    lattice = generator.uniform(-1, 1, (4, 4, 4)).astype(np.float16)
    samples = MeshSamples(AUDIT, Frame.identity(), groups, lattice, None, np.ones(704, np.int8))  # type: ignore[arg-type]
    path = folder / f"{name}.h5"
    write_part(path, ShapeSamples(name, f"{name}.ply", f"digest of {name}", samples), CONFIG, 0)
    return stored_shapes(path)[name]


def write(target: Path, names: str, limit: float) -> ShardPlan:
    """Write the dataset of these shapes, those that it has from itself and the others from parts."""
    earlier = stored_shapes(target) if target.exists() else {}
    plan = ShardPlan(target, [earlier.get(name) or part(target.parent, name) for name in names], limit * SHAPE)
    plan.write(CONFIG, 0)
    return plan


def files(target: Path) -> dict[str, tuple[int, int]]:
    folder = target.with_name(f"{target.name}.shards")
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("*.h5")}


def assert_equal(target: Path, names: str, tmp_path: Path) -> None:
    """The dataset is that of the same shapes in one file, in memory and from disk."""
    whole = tmp_path / "whole" / "set.h5"
    whole.parent.mkdir(exist_ok=True)
    whole.unlink(missing_ok=True)
    write(whole, names, 1e9)
    theirs = Dataset(whole)
    for memory in (1.0, 0.0):
        ours = Dataset(target, memory=memory)
        assert ours.names == theirs.names == tuple(names)
        draws = [data.sample(range(len(names)), {"near": 60, "band": 7}, torch.Generator()) for data in (ours, theirs)]
        assert all(torch.equal(a, b) for a, b in zip(*draws, strict=True))
        assert torch.equal(ours.lattices(), theirs.lattices())
        ours.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A dataset of six shapes in two shards of four and two."""
    path = tmp_path / "set.h5"
    write(path, "acegik", 4)
    assert len(files(path)) == 2
    return path


def test_shards_read_as_one_file(target: Path, tmp_path: Path):
    assert_equal(target, "acegik", tmp_path)


def test_additions_leave_the_shards_as_they_are(target: Path, tmp_path: Path):
    before = files(target)
    plan = write(target, "abcdegik", 4)
    assert [shape.name for shape in plan.copied] == ["b", "d"]
    after = files(target)
    assert {name: after[name] for name in before} == before
    assert sorted(after) == ["00000.h5", "00001.h5", "00002.h5"]
    assert_equal(target, "abcdegik", tmp_path)
    assert not write(target, "abcdegik", 4).copied
    assert files(target) == after


def test_a_dataset_of_one_file_becomes_the_first_shard_as_it_is(tmp_path: Path):
    target = tmp_path / "set.h5"
    write(target, "ace", 4)
    assert not files(target)
    inode = target.stat().st_ino
    plan = write(target, "abcdef", 4)
    assert [shape.name for shape in plan.copied] == ["b", "d", "f"]
    assert files(target)["00000.h5"][0] == inode != target.stat().st_ino
    assert_equal(target, "abcdef", tmp_path)


def test_shards_without_shapes_go_and_small_ones_are_taken_into_the_new(target: Path, tmp_path: Path):
    write(target, "acegikmnop", 4)
    for added in "qrstu":
        names = "".join(sorted(set("acegikmnopqrstu"[: "acegikmnopqrstu".index(added) + 1])))
        write(target, names, 24 if added > "r" else 4)
    # A limit of 24 shapes makes every shard of less than three a small one.
    assert len(files(target)) < 6
    write(target, "mnop" + "ace", 4)
    assert_equal(target, "mnopace", tmp_path)
    write(target, "ac", 4)
    assert not files(target)
    assert_equal(target, "ac", tmp_path)


def test_a_missing_shard_is_named(target: Path):
    (target.parent / "set.h5.shards" / "00001.h5").unlink()
    with pytest.raises(ValueError, match=r"its shard set\.h5\.shards/00001\.h5 is not beside it"):
        Dataset(target)
