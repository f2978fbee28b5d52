"""Runs of samples read from the disk in the background, in the order of the file, before the steps that use them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from .sample_store import SAMPLE_BYTES, Piece, Run, StoredSamples

OVERHEAD = 1200
"""Bytes that are counted for each run beside its samples: two tensors and an entry of a table."""
_WAIT = 0.2
_AT_ONCE = 64


class Prefetch:
    """A reader in the background that holds the runs of the steps to come.

    The steps are read in sweeps: the runs of many steps in the order of their places, so that the disk reads forward.
    A sweep takes half of the memory; it is read while the steps of the one before are taken. The first is one step,
    each later one twice as long as that before it until it fills its half. What is read does not depend on any of this.

    Args:
        samples: of the file.
        plan: step -> all runs that it takes, in any order; called in the background.
        first: the first step.
    """

    def __init__(self, samples: StoredSamples, plan: Callable[[int], Iterable[Run]], first: int):
        self._samples, self._plan = samples, plan
        self._held: dict[Run, tuple[Piece, int]] = {}
        self._change = threading.Condition()
        self._taken_to, self._read_to, self._stopped = first, first, False
        self.held = self.peak = 0
        """Bytes held now, and the most that were."""
        self._thread = threading.Thread(target=self._work, args=(first,), daemon=True, name="prefetch")
        self._thread.start()

    def wait(self, step: int) -> None:
        """Wait until the runs of a step are held, or the reader has failed; earlier steps are done with."""
        with self._change:
            self._taken_to = max(self._taken_to, step)
            self._change.notify_all()
            while self._read_to <= step and not self._stopped:
                self._change.wait(_WAIT)

    def take(self, run: Run) -> Piece:
        """The samples of a run, no longer held afterwards; read now where they were not planned.

        Raises:
            ValueError, OSError: as `StoredSamples.read`.
        """
        with self._change:
            found = self._held.get(run)
            if found is not None:
                piece, uses = found
                if uses > 1:
                    self._held[run] = piece, uses - 1
                else:
                    del self._held[run]
                    self.held -= _cost(run)
                return piece
        return self._samples.read(run)

    def close(self) -> None:
        """Stop the reader and let go of what it read."""
        with self._change:
            self._stopped = True
            self._change.notify_all()
        self._thread.join()
        self._held.clear()

    def _work(self, step: int) -> None:
        """Read sweep after sweep; an error ends it, and the step that needs what is missing meets it again."""
        try:
            length, before = 1, step
            while True:
                sweep, end = self._next_sweep(step, length)
                with self._change:
                    # The sweep before this one may still be in use, the one before that must not be.
                    while self._taken_to < before and not self._stopped:
                        self._change.wait(_WAIT)
                    if self._stopped:
                        return
                runs = sorted(sweep, key=self._samples.place)
                for part in range(0, len(runs), _AT_ONCE):
                    if self._stopped:
                        return
                    self._keep({run: (self._samples.read(run), sweep[run]) for run in runs[part : part + _AT_ONCE]})
                with self._change:
                    self._read_to = end
                    self._change.notify_all()
                before, step, length = step, end, 2 * length
        except Exception:
            with self._change:
                self._stopped = True
                self._change.notify_all()

    def _next_sweep(self, step: int, length: int) -> tuple[dict[Run, int], int]:
        """Runs of up to `length` steps and how often each is used, and the step after them; one step at least."""
        sweep: dict[Run, int] = {}
        size, end = 0, step
        while end < step + length:
            runs = list(self._plan(end))
            size += sum(map(_cost, runs))
            if end > step and size > self._samples.memory / 2:
                break
            for run in runs:
                sweep[run] = sweep.get(run, 0) + 1
            end += 1
        return sweep, end

    def _keep(self, found: dict[Run, tuple[Piece, int]]) -> None:
        """Hold runs, each for a number of uses."""
        with self._change:
            for run, (piece, uses) in found.items():
                if run in self._held:
                    uses += self._held[run][1]
                else:
                    self.held += _cost(run)
                self._held[run] = piece, uses
            self.peak = max(self.peak, self.held)


def _cost(run: Run) -> int:
    """Bytes that a run holds."""
    return (run.stop - run.start) * SAMPLE_BYTES + OVERHEAD
