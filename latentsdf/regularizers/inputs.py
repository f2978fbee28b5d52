"""Inputs of the term functions: each positional parameter name, and its value from a field and a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..core.field import SDF, Jet
from .batch import POINT_SETS, REMEDIES, Batch
from .disks import Disks
from .gradient import foot_gradient


class Reader:
    """Inputs of one field on one batch: one `Jet` for each set of points, computed at its first use.

    Args:
        sdf: the field, (N, 3) -> (N,).
        batch: points and measurements.
        second_order: sets of points at which second derivatives will be needed, as far as is known; it changes the
            cost alone.
    """

    def __init__(self, sdf: SDF, batch: Batch, second_order: frozenset[str] = frozenset()):
        self.sdf, self.batch, self.second_order = sdf, batch, second_order
        self._cache: dict[tuple[Any, ...], Any] = {}

    def cached(self, key: tuple[Any, ...], compute: Callable[[], Any]) -> Any:
        """Result of `compute` at the first use of the key."""
        if key not in self._cache:
            self._cache[key] = compute()
        return self._cache[key]

    def require(self, name: str) -> Any:
        """A field of the batch.

        Raises:
            ValueError: the batch does not have it.
        """
        value = getattr(self.batch, name)
        if value is None:
            raise ValueError(f"it needs {name!r}, but {REMEDIES[name]}")
        return value

    def jet(self, at: str) -> Jet:
        """Value and derivatives at a set of points; for `disks` at their centers."""
        points = self.require(at).centers if at == "disks" else self.require(at)
        return self.cached(("jet", at), lambda: Jet(self.sdf, points, order=2 if at in self.second_order else 1))

    def disks(self, at: str) -> Disks:
        """All disks at `disks`; at `near` the disk nearest to each of its points."""
        disks: Disks = self.require("disks")
        return disks if at == "disks" else self.cached(("disks", at), lambda: disks[self.require("near_disk")])

    def foot(self, at: str) -> Tensor:
        """Feet of a set of points on the surface, (N, 3), differentiable."""
        with torch.enable_grad():
            return self.cached(("foot", at), self.jet(at).project)

    def foot_gradient(self, at: str, knobs: Mapping[str, Any]) -> Tensor:
        """Gradients at the feet of a set of points, (N, 3), with the knobs `band` and `detach_foot`."""
        options = {name: knobs[name] for name in ("band", "detach_foot") if name in knobs}
        return self.cached(("foot gradient", at, *options.items()), lambda: foot_gradient(self.jet(at), **options))


def _laplacian(reader: Reader, at: str, knobs: Mapping[str, Any]) -> Tensor | None:
    """Laplacian at a set of points; None where the viscosity is 0, which saves the second derivatives."""
    return None if knobs.get("epsilon") == 0 else reader.jet(at).laplacian


class Input(NamedTuple):
    """One positional parameter of term functions.

    Attributes:
        read: (reader, set of points, knobs of the term) -> tensor, or None where the term does without.
        needs: sets of points at which it is defined -> further fields of the batch that it needs there.
    """

    read: Callable[[Reader, str, Mapping[str, Any]], Tensor | None]
    needs: Mapping[str, tuple[str, ...]]


_EVERYWHERE: Mapping[str, tuple[str, ...]] = dict.fromkeys(POINT_SETS, ())
_NEAR_DISK = {"near": ("disks", "near_disk")}
INPUTS: Mapping[str, Input] = {
    "value": Input(lambda reader, at, _: reader.jet(at).value, _EVERYWHERE),
    "gradient": Input(lambda reader, at, _: reader.jet(at).gradient, _EVERYWHERE),
    "laplacian": Input(_laplacian, _EVERYWHERE),
    "second_along_gradient": Input(lambda reader, at, _: reader.jet(at).second_along_gradient, _EVERYWHERE),
    "foot": Input(lambda reader, at, _: reader.foot(at), _EVERYWHERE),
    "foot_gradient": Input(Reader.foot_gradient, _EVERYWHERE),
    "space_hessian": Input(lambda reader, *_: reader.jet("space").hessian, {"surface": ("space",)}),
    "normals": Input(lambda reader, *_: reader.require("normals"), {"surface": ("normals",)}),
    "reliability": Input(lambda reader, *_: reader.batch.reliability, {"surface": ()}),
    "nearest": Input(lambda reader, *_: reader.require("nearest"), {"near": ("nearest",)}),
    "depth": Input(lambda reader, *_: reader.require("depth"), {"rays": ("depth",)}),
    "centers": Input(lambda reader, at, _: reader.disks(at).centers, _NEAR_DISK),
    "rotations": Input(lambda reader, at, _: reader.disks(at).rotations, _NEAR_DISK),
    "scales": Input(lambda reader, at, _: reader.disks(at).scales, {**_NEAR_DISK, "disks": ()}),
    "disk_normals": Input(lambda reader, at, _: reader.disks(at).normals, {**_NEAR_DISK, "disks": ()}),
    "code": Input(lambda reader, *_: reader.require("code"), {"code": ()}),
}
"""Every name that a positional parameter of a term function may have."""
