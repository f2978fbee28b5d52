"""Morphs between pairs of shapes, registered on a thread; until then codes are mixed."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict

import trimesh

from ..space.morph import Morph, MorphConfig, between
from ..space.shape import Shape
from .preview_mesh import lattice_mesh

PREVIEW = MorphConfig(resolution=41)
"""Of the morph that follows a dragged slider; a step takes a few hundredths of a second."""
KEPT = 4
"""Pairs that are kept."""
_LOG = logging.getLogger(__name__)


class PairMorph:
    """The morph of two shapes, coarse and fine.

    Args:
        a, b: shapes of one decoder.
    """

    def __init__(self, a: Shape, b: Shape):
        self.a, self.b = a, b
        self._coarse, self._fine = _Prepared(Morph(a, b, PREVIEW)), _Prepared(Morph(a, b))
        self._coarse.start()

    @property
    def busy(self) -> bool:
        """Whether something is computed still."""
        threads = (self._coarse.thread, self._fine.thread)
        return any(thread is not None and thread.is_alive() for thread in threads)

    @property
    def ready(self) -> bool:
        """Whether steps between the ends can be meshed at once."""
        return self._coarse.ready.is_set()

    def preview(self, t: float) -> trimesh.Trimesh | None:
        """Mesh the step at t coarsely; None where the morph is not ready, or t or an end has no step.

        Raises:
            ValueError: no surface there.
        """
        if not self.ready or not 0.0 < t < 1.0 or min(self._coarse.morph.volumes) == 0:
            return None
        return lattice_mesh(self._coarse.morph.step(t).values, between(self.a.frame, self.b.frame, t))

    def wait(self, seconds: float = 120.0) -> None:
        """Wait until the fine morph is ready too, or so many seconds have passed; the first call begins it."""
        self._fine.start()
        self._fine.ready.wait(seconds)

    def join(self, seconds: float) -> None:
        """Wait until nothing is computed any more, each thread so many seconds at most."""
        for prepared in (self._coarse, self._fine):
            if prepared.thread is not None:
                prepared.thread.join(seconds)

    def at(self, t: float) -> Shape:
        """The shape at t of the fine morph."""
        return self._fine.morph.at(t)


class _Prepared:
    """A morph whose ends are registered on a thread."""

    def __init__(self, morph: Morph):
        self.morph, self.ready = morph, threading.Event()
        self._lock = threading.Lock()
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, unless it has begun."""
        with self._lock:
            if self.thread is None:
                self.thread = threading.Thread(target=self._prepare, daemon=True)
                self.thread.start()

    def _prepare(self) -> None:
        try:
            if min(self.morph.volumes) > 0:
                self.morph.step(0.5)
        except Exception:
            _LOG.warning("the morph of %s and %s failed", self.morph.a.name, self.morph.b.name, exc_info=True)
        self.ready.set()


class PairMorphs:
    """Morphs of the pairs that were asked for last."""

    def __init__(self) -> None:
        self._pairs: OrderedDict[tuple[int, int], PairMorph] = OrderedDict()
        self._dropped: list[PairMorph] = []
        self._lock = threading.Lock()

    def of(self, a: Shape, b: Shape) -> PairMorph:
        """The morph of two shapes; its preparation begins where it is new."""
        key = id(a), id(b)
        with self._lock:
            pair = self._pairs.pop(key, None)
            if pair is None or pair.a is not a or pair.b is not b:
                pair = PairMorph(a, b)
            self._pairs[key] = pair
            while len(self._pairs) > KEPT:
                self._dropped.append(self._pairs.popitem(last=False)[1])
            self._dropped = [item for item in self._dropped if item.busy]
            return pair

    def close(self, seconds: float) -> None:
        """Wait for what is still computed: a process must not end within a library."""
        with self._lock:
            pairs = [*self._pairs.values(), *self._dropped]
        for pair in pairs:
            pair.join(seconds)
