"""Processes that work on one run together, started by `torchrun`: sums, tables divided by rows, one clock."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from textwrap import shorten
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

TIMEOUT = 600.0
"""Seconds after which a process that does not answer is given up; the longest checkpoint is written in less."""


class Ranks:
    """The processes of a run, or this one alone; every method with a message is called by all of them in one order.

    Args:
        rank: number of this process; 0 reads, writes and reports.
        size: number of processes.
        device: that messages are sent from, the one of the network.

    Attributes:
        rank, size, device: as given.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: torch.device | None = None):
        self.rank: int = rank
        self.size: int = size
        self.device: torch.device = device or torch.device("cpu")
        self._began = time.monotonic()
        self._seconds, self._interrupted, self._any_interrupted = 0.0, False, False

    @property
    def seconds(self) -> float:
        """Seconds since these ranks began, by the clock of rank 0 at the last `sum`: the same for all."""
        return self._seconds if self.size > 1 else time.monotonic() - self._began

    def agreed_interrupt(self, interrupted: bool) -> bool:
        """Agree on an interruption: any that a process said before the last `sum`; the next one tells of this one."""
        self._interrupted = interrupted
        return self._any_interrupted if self.size > 1 else interrupted

    def sum(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Sums of float32 tensors (...) over all processes, in one message, the same to the bit for all.

        Raises:
            ConnectionError: another process no longer answers.
        """
        if self.size == 1:
            return list(tensors)
        seconds = time.monotonic() - self._began if self.rank == 0 else 0.0
        notes = torch.tensor([seconds, float(self._interrupted)], device=self.device)
        flat = torch.cat([*(tensor.detach().reshape(-1) for tensor in tensors), notes])
        with self.answered():
            dist.all_reduce(flat)
            *sums, notes = flat.split([*(tensor.numel() for tensor in tensors), 2])
            self._seconds, interrupted = notes.tolist()
        self._any_interrupted = interrupted > 0
        return [found.view(tensor.shape) for found, tensor in zip(sums, tensors, strict=True)]

    def broadcast(self, tensor: Tensor) -> None:
        """Replace the numbers of a tensor (...) by those of rank 0."""
        if self.size > 1:
            sent = tensor.detach().to(self.device).contiguous()
            with self.answered():
                dist.broadcast(sent, src=0)
            tensor.detach().copy_(sent)

    def share(self, value: Any) -> Any:
        """The plain JSON value that rank 0 gives, for all."""
        if self.size == 1:
            return value
        text = json.dumps(value).encode() if self.rank == 0 else b""
        length = torch.tensor([len(text)], device=self.device)
        self.broadcast(length)
        sent = torch.zeros(int(length), dtype=torch.uint8, device=self.device)
        if self.rank == 0:
            sent.copy_(torch.frombuffer(bytearray(text), dtype=torch.uint8))
        self.broadcast(sent)
        return json.loads(bytes(sent.tolist()))

    def scatter(self, table: Tensor | None, owned: Sequence[Tensor], like: Tensor) -> Tensor:
        """The rows of a table that this process owns.

        Args:
            table: (S, ...) of rank 0; others give None.
            owned: rows (N,) of each process.
            like: a tensor (N, ...) of any number of rows, for the shape and dtype of a row.
        """
        if self.size == 1:
            assert table is not None
            return table
        most = max(map(len, owned))
        received = torch.empty(most, *like.shape[1:], dtype=like.dtype, device=self.device)
        parts = None
        if table is not None:
            parts = [torch.zeros_like(received) for _ in owned]
            for part, rows in zip(parts, owned, strict=True):
                part[: len(rows)] = table[rows.to(table.device)].to(self.device)
        with self.answered():
            dist.scatter(received, parts, src=0)
        return received[: len(owned[self.rank])].clone()

    def gather(self, part: Tensor, owned: Sequence[Tensor]) -> Tensor | None:
        """The table of which every process owns some rows, for rank 0; None for the others.

        Args:
            part: (N, ...) the rows of this process.
            owned: rows (N,) of each process.
        """
        if self.size == 1:
            return part
        most = max(map(len, owned))
        sent = torch.zeros(most, *part.shape[1:], dtype=part.dtype, device=self.device)
        sent[: len(part)] = part.detach()
        parts = [torch.empty_like(sent) for _ in owned] if self.rank == 0 else None
        with self.answered():
            dist.gather(sent, parts, dst=0)
        if parts is None:
            return None
        table = torch.empty(sum(map(len, owned)), *part.shape[1:], dtype=part.dtype, device=self.device)
        for found, rows in zip(parts, owned, strict=True):
            table[rows.to(table.device)] = found[: len(rows)]
        return table

    @contextlib.contextmanager
    def answered(self) -> Iterator[None]:
        """Raise the errors of messages in the block as a ConnectionError that says what to do."""
        try:
            yield
        except RuntimeError as error:
            raise ConnectionError(
                f"process {self.rank} of {self.size}: another process of this run does not answer any more "
                f"({shorten(str(error), 100)}); see its own message, then start all of them again, with --resume "
                "where a checkpoint was written"
            ) from error


def launched() -> tuple[int, int]:
    """Rank of this process and number of processes, as `torchrun` tells them; (0, 1) without it.

    Raises:
        ValueError: the launcher's variables are no such numbers.
    """
    given = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    try:
        rank, size = map(int, given)
    except ValueError:
        raise ValueError(f"RANK and WORLD_SIZE must be numbers, got {given}; start with torchrun") from None
    return (rank, size) if size > 1 else (0, 1)


def own_device(name: str) -> str:
    """Name of the device of this process: of `cuda`, where several run on a machine, the GPU of its local rank.

    Raises:
        ValueError: more processes than GPUs.
    """
    count = torch.cuda.device_count() if name == "cuda" and launched()[1] > 1 else 0
    if not count:
        return name
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if local >= count:
        raise ValueError(f"{local + 1} processes on a machine with {count} GPUs; start torchrun with one for each")
    return f"cuda:{local}"


@contextlib.contextmanager
def open_ranks(device: torch.device, timeout: float = TIMEOUT) -> Iterator[Ranks]:
    """Join the processes that `torchrun` started (gloo on a CPU, NCCL on CUDA), or be one alone without it.

    Args:
        device: `own_device` of the network.
        timeout: seconds after which a process that does not answer is given up.

    Yields:
        The ranks.

    Raises:
        ConnectionError: the processes do not find each other.
        ValueError: the launcher's variables are not as `torchrun` sets them.
    """
    rank, size = launched()
    if size == 1:
        yield Ranks(device=device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(seconds=timeout))
        dist.barrier()
    except (RuntimeError, ValueError) as error:
        raise ConnectionError(
            f"process {rank} of {size} does not reach the others ({shorten(str(error), 160)}); start all of them with "
            "torchrun, with the same --rdzv-endpoint, and where a machine has several networks name the one in "
            "GLOO_SOCKET_IFNAME or NCCL_SOCKET_IFNAME"
        ) from error
    try:
        yield Ranks(rank, size, device)
    finally:
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()
