"""A fixed split of shapes into training and held-out ones, the same share of every class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def split(names: Sequence[str], held_out: float = 0.2, seed: int = 0) -> tuple[list[str], list[str]]:
    """Training names and held-out names, both sorted.

    Args:
        names: of shapes; the class is the first folder.
        held_out: share of each class that is held out, rounded to the nearest number of shapes.
        seed: of the order.
    """
    classes: dict[str, list[str]] = {}
    for name in sorted(names):
        classes.setdefault(name.split("/", 1)[0] if "/" in name else "", []).append(name)
    generator, unseen = np.random.default_rng(seed), set()
    for members in classes.values():
        order = generator.permutation(len(members))
        unseen.update(members[row] for row in order[: round(held_out * len(members))])
    return [name for name in sorted(names) if name not in unseen], sorted(unseen)
