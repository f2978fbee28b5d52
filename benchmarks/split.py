"""One fixed split of a collection into training and held-out shapes, the same for every benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from latentsdf.core.names import class_of


def split(names: Sequence[str], held_out: float = 0.2, seed: int = 0) -> tuple[list[str], list[str]]:
    """Split by shape, with the same share of every class: (training names, held-out names).

    Args:
        names: of shapes; the class is the first folder.
        held_out: share of each class that is held out, rounded to the nearest number of shapes.
        seed: of the order.
    """
    classes: dict[str, list[str]] = {}
    for name in sorted(names):
        classes.setdefault(class_of(name), []).append(name)
    generator = np.random.default_rng(seed)
    unseen = set(_held_out(classes, held_out, generator))
    return [name for name in sorted(names) if name not in unseen], sorted(unseen)


def _held_out(classes: dict[str, list[str]], share: float, generator: np.random.Generator) -> Iterator[str]:
    for members in classes.values():
        order = generator.permutation(len(members))
        yield from (members[i] for i in order[: round(share * len(members))])
