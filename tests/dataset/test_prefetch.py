"""A dataset larger than its memory: the same samples as from memory, no more of them held than the limit allows."""

import shutil
import threading
from pathlib import Path

import h5py
import pytest
import torch
from conftest import TINY

from latentsdf.dataset.dataset import Dataset, Draw
from latentsdf.dataset.prefetch import OVERHEAD
from latentsdf.dataset.sample_store import SAMPLE_BYTES
from latentsdf.training.loop import train

COUNTS = {"band": 40, "near": 100, "uniform": 7}
STEP = 4 * (147 * SAMPLE_BYTES + 6 * OVERHEAD)
"""Most bytes of a step: four shapes, three groups, each of which may wrap around once."""


def draws(step: int) -> list[Draw]:
    generator = torch.Generator().manual_seed(step)
    rows = torch.randint(9, (4,), generator=generator)
    return [(rows, COUNTS, torch.rand(4, len(COUNTS), dtype=torch.float64, generator=generator))]


def drawn(dataset: Dataset, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    (draw,) = draws(step)
    return dataset.sample_at(*draw)


@pytest.fixture
def chunked_path(dataset_path: Path, tmp_path: Path) -> Path:
    """The dataset with one group stored in compressed chunks, as another program may have written it."""
    target = tmp_path / "chunked.h5"
    shutil.copy(dataset_path, target)
    with h5py.File(target, "r+") as file:
        group = file["shapes/00000003/near"]
        assert isinstance(group, h5py.Group)
        points = group["points"][()]  # type: ignore[index]
        del group["points"]
        group.create_dataset("points", data=points, chunks=True, compression="gzip")
    return target


@pytest.mark.parametrize("steps_held", [0.5, 8, 16])
def test_the_same_samples_arrive_within_the_limit(dataset_path: Path, steps_held: float):
    limit = steps_held * STEP
    whole, streamed = Dataset(dataset_path), Dataset(dataset_path, memory=limit / 2**30)
    with streamed.prefetched(draws, 5) as wait:
        reader = streamed._prefetch
        assert reader is not None
        for step in range(5, 105):
            wait(step)
            for ours, theirs in zip(drawn(streamed, step), drawn(whole, step), strict=True):
                assert torch.equal(ours, theirs)
        assert 0 < reader.peak <= max(limit, 2 * STEP)
    assert reader.held == 0 or not reader._held
    assert not any(thread.name == "prefetch" for thread in threading.enumerate())
    assert torch.equal(drawn(streamed, 3)[0], drawn(whole, 3)[0])
    streamed.close()


def test_what_was_not_planned_is_read_when_it_is_drawn(chunked_path: Path):
    whole, streamed = Dataset(chunked_path), Dataset(chunked_path, memory=0.0)
    with streamed.prefetched(draws, 0) as wait:
        wait(0)
        for step in (0, 50, 1):
            assert torch.equal(drawn(streamed, step)[1], drawn(whole, step)[1])
    streamed.close()


def test_a_file_that_was_cut_is_an_error_and_not_a_wait(dataset_path: Path, tmp_path: Path):
    target = tmp_path / "cut.h5"
    shutil.copy(dataset_path, target)
    streamed = Dataset(target, memory=0.0)
    with target.open("r+b") as file:
        file.truncate(20_000)

    def draw_all() -> None:
        with streamed.prefetched(draws, 0) as wait:
            for step in range(50):
                wait(step)
                drawn(streamed, step)

    with pytest.raises(ValueError, match="damaged or was replaced"):
        draw_all()
    streamed.close()


@pytest.mark.parametrize("threads", [1, 3])
def test_training_from_disk_is_training_from_memory_to_the_bit(
    dataset_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
):
    monkeypatch.setattr("latentsdf.training.loop.thread_count", lambda decoder, device: threads)
    from_memory = train(Dataset(dataset_path), TINY, steps=8)
    streamed = Dataset(dataset_path, memory=1e-4)
    from_disk = train(streamed, TINY, steps=8)
    streamed.close()
    assert torch.equal(from_memory.codes(), from_disk.codes())
    for ours, theirs in zip(from_memory.decoder.parameters(), from_disk.decoder.parameters(), strict=True):
        assert torch.equal(ours, theirs)
