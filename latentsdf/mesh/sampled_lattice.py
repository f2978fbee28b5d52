"""Values of a field at vertices of the lattice over a cube."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.arrays import Array, Indices
from ..core.field import SDF, evaluate


class SampledLattice:
    """The (resolution + 1)^3 vertices of the cube: index triples -> field minus level, the border outside.

    Args:
        sdf: the field, (N, 3) -> (N,).
        resolution: cells per axis.
        level: subtracted from its values.
        half_width: the cube is [-half_width, half_width]^3.
        like: a tensor whose device and dtype the query points take; float32 on the CPU if None.

    Attributes:
        smallest, largest: of all values so far.
        smallest_at: position of the smallest.
        recalls: whether a vertex that was evaluated before has the value that it had then. A field evaluated in another
            batch is rounded otherwise, and next to zero its sign may be another one.
    """

    def __init__(self, sdf: SDF, resolution: int, level: float, half_width: float, like: Tensor | None):
        self.sdf, self.resolution, self.level, self.half_width = sdf, resolution, level, half_width
        self.device: torch.device = torch.device("cpu") if like is None else like.device
        self.dtype: torch.dtype = torch.float32 if like is None else like.dtype
        self.spacing: float = 2.0 * half_width / resolution
        self.smallest, self.largest = np.inf, -np.inf
        self.smallest_at: list[float] = []
        self.recalls = False
        self._evaluated: list[tuple[Indices, NDArray[Any]]] = []
        self._sorted = False

    def points(self, index: NDArray[Any]) -> Array:
        """Coordinates (...) of indices (...), whole or between vertices."""
        return self.half_width * (2.0 * index / self.resolution - 1.0)

    def holds(self, cells: Indices) -> NDArray[np.bool_]:
        """Whether cells (3, N) lie in the cube; blocks at its upper end may be cut."""
        return np.asarray((cells < self.resolution).all(0))

    def queries(self, index: Indices) -> Tensor:
        """Points (K, 3) of index triples (3, K); beyond the last vertex they are at the last."""
        return torch.from_numpy(self.points(np.minimum(index, self.resolution).T)).to(self.device, self.dtype)

    def values(self, index: Indices) -> NDArray[Any]:
        """Field minus level (K,) at index triples (3, K); on the border at least the smallest positive number.

        Raises:
            ValueError: the field does not return (K,), or a number that is not finite.
        """
        if not self.recalls:
            return self._evaluate(index)
        keys, known = self._keys(index), self._known()
        values, new = np.empty(len(keys), known[0][1].dtype), np.ones(len(keys), dtype=bool)
        for known_keys, known_values in known:
            place = np.minimum(np.searchsorted(known_keys, keys), len(known_keys) - 1)
            same = new & (known_keys[place] == keys)
            values[same] = known_values[place[same]]
            new &= ~same
        if new.any():
            values[new] = self._evaluate(index[:, new])
        return values

    def _keys(self, index: Indices) -> Indices:
        """One number (K,) for each index triple (3, K)."""
        side = 2 * self.resolution + 2  # blocks may end beyond the cube
        return np.asarray((index[0] * side + index[1]) * side + index[2])

    def _known(self) -> list[tuple[Indices, NDArray[Any]]]:
        """Sorted keys and values of all vertices so far, in a few parts."""
        if len(self._evaluated) > 8 or not self._sorted:
            parts = [np.concatenate(part) for part in zip(*self._evaluated, strict=True)]
            keys, rows = np.unique(parts[0], return_index=True)
            self._evaluated, self._sorted = [(keys, parts[1][rows])], True
        return self._evaluated

    def _evaluate(self, index: Indices) -> NDArray[Any]:
        """Values (K,) at index triples (3, K), which are remembered."""
        count = index.shape[1]
        raw = evaluate(self.sdf, self.queries(index))
        if raw.shape != (count,):
            raise ValueError(f"an SDF must map (N, 3) to (N,); for N = {count} it returned {tuple(raw.shape)}")
        values = raw.detach().cpu()
        values = (values if values.dtype == torch.float64 else values.float()).numpy()
        values = values - values.dtype.type(self.level)
        if count == 0:
            return values
        smallest, largest = float(values.min()), float(values.max())
        if not (np.isfinite(smallest) and np.isfinite(largest)):
            bad = ~np.isfinite(values)
            where = self.points(index[:, int(np.argmax(bad))]).tolist()
            raise ValueError(
                f"the field is not finite at {bad.sum()} of {count} points, the first at {where}; "
                "a field to mesh must be finite in the whole cube"
            )
        if smallest < self.smallest:
            at = np.minimum(index[:, int(values.argmin())], self.resolution)
            self.smallest, self.smallest_at = smallest, self.points(at).round(4).tolist()
        self.largest = max(self.largest, largest)
        border = ((index == 0) | (index >= self.resolution)).any(0)
        values = np.where(border, np.maximum(values, np.finfo(values.dtype).tiny), values)
        keys = self._keys(index)
        order = np.argsort(keys, kind="stable") if self.recalls else slice(None)
        self._evaluated.append((keys[order], values[order]))
        return values
