"""Values that are made from the decoder and the codes of a space, kept until these change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from torch import nn

_KEPT = 4
"""Values that are kept, the last used ones."""

T = TypeVar("T")


class _Kept(NamedTuple):
    value: object
    weights: tuple[int, ...]
    of_codes: bool


class DerivedValues:
    """What is made of a space once and read many times, such as fields of its stored codes on a lattice.

    A value is made again after a weight of the decoder was replaced or changed in place, and after `codes_changed`
    where it was made of codes.

    Args:
        decoder: of the space.
    """

    def __init__(self, decoder: nn.Module):
        self._decoder = decoder
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def get(self, key: str, make: Callable[[], T], *, of_codes: bool) -> T:
        """The value of a key, made if there is none of the present weights and codes.

        Args:
            key: says what is made, and by which settings.
            make: called without arguments.
            of_codes: whether the value depends on the codes of the space.
        """
        tensors = [*self._decoder.parameters(), *self._decoder.buffers()]
        # `_version` counts changes in place.
        weights = tuple(number for tensor in tensors for number in (id(tensor), tensor.data_ptr(), tensor._version))
        known = self._kept.pop(key, None)
        if known is None or known.weights != weights:
            known = _Kept(make(), weights, of_codes)
        self._kept[key] = known
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return known.value  # pyright: ignore[reportReturnType]

    def codes_changed(self) -> None:
        """Forget what was made of codes."""
        self._kept = OrderedDict((key, kept) for key, kept in [*self._kept.items()] if not kept.of_codes)
