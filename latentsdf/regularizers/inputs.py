"""What the arguments of the term functions are called, and how each is read from a field and a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..core.field import SDF, Jet
from .batch import REMEDIES, SETS, Batch
from .disks import Disks
from .gradient import foot_gradient


class Reader:
    """Reads inputs of one field on one batch: one `Jet` a set of points, taken when it is first asked for.

    Args:
        sdf: the field, (N, 3) -> (N,).
        batch: the points and the data.
        bent: sets of points where second derivatives will be asked for, as far as is known; it saves time.
    """

    def __init__(self, sdf: SDF, batch: Batch, bent: frozenset[str] = frozenset()):
        self.sdf, self.batch, self.bent = sdf, batch, bent
        self._kept: dict[tuple[Any, ...], Any] = {}

    def once(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """What `make` returned when this key was first used."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def fact(self, name: str) -> Any:
        """A field of the batch.

        Raises:
            ValueError: this batch does not have it.
        """
        found = getattr(self.batch, name)
        if found is None:
            raise ValueError(f"it needs {name!r}, but {REMEDIES[name]}")
        return found

    def jet(self, at: str) -> Jet:
        """The jet at a set of points; `disks` are their centers."""
        points = self.fact(at)
        places = points.centers if at == "disks" else points
        return self.once(("jet", at), lambda: Jet(self.sdf, places, order=2 if at in self.bent else 1))

    def disks(self, at: str) -> Disks:
        """All disks at `disks`; at `near` the disk nearest to each of its points."""
        disks: Disks = self.fact("disks")
        return disks if at == "disks" else self.once(("disks", at), lambda: disks[self.fact("near_disk")])

    def foot(self, at: str) -> Tensor:
        """Feet of a set of points on the surface, (N, 3), differentiable."""
        with torch.enable_grad():
            return self.once(("foot", at), self.jet(at).project)

    def foot_gradient(self, at: str, knobs: Mapping[str, Any]) -> Tensor:
        """Gradients at the feet of a set of points, (N, 3), by the knobs `band` and `detach_foot`."""
        options = {name: knobs[name] for name in ("band", "detach_foot") if name in knobs}
        return self.once(("foot gradient", at, *options.items()), lambda: foot_gradient(self.jet(at), **options))


def _laplacian(reader: Reader, at: str, knobs: Mapping[str, Any]) -> Tensor | None:
    """None where the viscosity is 0, so that no second derivative is taken for it."""
    return None if knobs.get("epsilon") == 0 else reader.jet(at).laplacian


class Input(NamedTuple):
    """One argument that term functions may have.

    Attributes:
        read: (reader, set of points, knobs of the term) -> tensor, or None where the term does without.
        known: sets of points where it can be had -> further fields of the batch that it takes there.
    """

    read: Callable[[Reader, str, Mapping[str, Any]], Tensor | None]
    known: Mapping[str, tuple[str, ...]]


_EVERYWHERE: Mapping[str, tuple[str, ...]] = dict.fromkeys(SETS, ())
_NEAR_DISK = {"near": ("disks", "near_disk")}
INPUTS: Mapping[str, Input] = {
    "value": Input(lambda reader, at, _: reader.jet(at).value, _EVERYWHERE),
    "gradient": Input(lambda reader, at, _: reader.jet(at).gradient, _EVERYWHERE),
    "laplacian": Input(_laplacian, _EVERYWHERE),
    "bend": Input(lambda reader, at, _: reader.jet(at).second_along_gradient, _EVERYWHERE),
    "foot": Input(lambda reader, at, _: reader.foot(at), _EVERYWHERE),
    "foot_gradient": Input(Reader.foot_gradient, _EVERYWHERE),
    "space_hessian": Input(lambda reader, *_: reader.jet("space").hessian, {"surface": ("space",)}),
    "normals": Input(lambda reader, *_: reader.fact("normals"), {"surface": ("normals",)}),
    "reliability": Input(lambda reader, *_: reader.batch.reliability, {"surface": ()}),
    "nearest": Input(lambda reader, *_: reader.fact("nearest"), {"near": ("nearest",)}),
    "depth": Input(lambda reader, *_: reader.fact("depth"), {"rays": ("depth",)}),
    "centers": Input(lambda reader, at, _: reader.disks(at).centers, _NEAR_DISK),
    "rotations": Input(lambda reader, at, _: reader.disks(at).rotations, _NEAR_DISK),
    "scales": Input(lambda reader, at, _: reader.disks(at).scales, {**_NEAR_DISK, "disks": ()}),
    "disk_normals": Input(lambda reader, at, _: reader.disks(at).normals, {**_NEAR_DISK, "disks": ()}),
    "code": Input(lambda reader, *_: reader.fact("code"), {"code": ()}),
}
"""Every name that a positional argument of a term function may have."""
