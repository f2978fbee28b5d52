"""A table of terms, taken together: each set of points is differentiated once, whatever the terms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ..core.field import SDF
from .batch import Batch
from .inputs import INPUTS, Reader
from .term import Term


class Objective:
    """The weighted terms of a field on a batch, by name.

    Args:
        terms: the rows; two rows of one term must be taken on different sets of points.

    Raises:
        ValueError: no row, or two rows of one name.

    Example:
        >>> objective = Objective([Term(name="surface", weight=100), Term(name="eikonal", knobs={"p": 2})])
        >>> losses = objective(lambda x: x.norm(dim=-1) - 1, Batch(surface=torch.eye(3), space=2 * torch.eye(3)))
        >>> {name: float(value.detach()) for name, value in losses.items()}
        {'surface': 0.0, 'eikonal': 0.0}
    """

    def __init__(self, terms: Iterable[Term]):
        self.terms = tuple(terms)
        labels = [term.label for term in self.terms]
        if not labels:
            raise ValueError("an objective needs at least one term")
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"two rows are named {twice[0]!r}; merge them or take them on different points")

    def active(self, progress: float) -> tuple[Term, ...]:
        """The rows that weigh something at a moment of progress in [0, 1]."""
        if not 0 <= progress <= 1:
            raise ValueError(f"progress must lie in [0, 1], got {progress}")
        return tuple(term for term in self.terms if term.weight_at(progress) > 0)

    def needs(self, progress: float | None = None) -> frozenset[str]:
        """The fields of `Batch` that the rows take at a moment of progress, or at any (None)."""
        rows = self.terms if progress is None else self.active(progress)
        return frozenset().union(*(term.needs() for term in rows))

    def __call__(self, sdf: SDF, batch: Batch, progress: float = 0.0) -> dict[str, Tensor]:
        """Take every row that is active.

        Args:
            sdf: the field, in the frame of the batch.
            batch: points and data.
            progress: in [0, 1].

        Returns:
            Label of the row -> weight times term, scalars; their sum is the loss. A term by itself is that over
            `Term.weight_at(progress)`.

        Raises:
            ValueError: nothing is active, or a term needs what the batch or the field does not have.
        """
        rows = self.active(progress)
        if not rows:
            raise ValueError(f"no term weighs anything at progress {progress:g}")
        reader = Reader(sdf, batch, frozenset().union(*(term.bent(progress) for term in rows)))
        return {term.label: term.weight_at(progress) * _taken(term, reader, progress) for term in rows}


def _taken(term: Term, reader: Reader, progress: float) -> Tensor:
    """A term by itself, without its weight."""
    knobs = term.knobs_at(progress)
    try:
        inputs = [_joined(name, term.places, reader, knobs) for name in term.rule.inputs]
        return term.rule.function(*inputs, **{name: knobs[name] for name in term.rule.options})
    except ValueError as error:
        raise ValueError(f"term {term.label!r}: {error}") from error


def _joined(name: str, places: tuple[str, ...], reader: Reader, knobs: dict[str, Any]) -> Tensor | None:
    """One input at all the points that a term is taken at."""
    parts = [INPUTS[name].read(reader, place, knobs) for place in places]
    whole = [part for part in parts if part is not None]
    if len(whole) < len(parts):
        return None
    return whole[0] if len(whole) == 1 else torch.cat(whole)
