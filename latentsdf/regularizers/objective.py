"""Weighted sum of terms; the field is differentiated once at each set of points, whatever the terms."""

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
    """Weighted terms of a field on a batch, by name: loss = sum_k weight_k(progress) term_k(field, batch).

    Args:
        terms: the rows; two rows of one term need different sets of points.

    Raises:
        ValueError: no row, or two rows of one name.

    Example:
        >>> objective = Objective([Term(name="surface", weight=100), Term(name="eikonal", knobs={"p": 2})])
        >>> losses = objective(lambda x: x.norm(dim=-1) - 1, Batch(surface=torch.eye(3), space=2 * torch.eye(3)))
        >>> {name: float(value.detach()) for name, value in losses.items()}
        {'surface': 0.0, 'eikonal': 0.0}
    """

    def __init__(self, terms: Iterable[Term]):
        self.terms: tuple[Term, ...] = tuple(terms)
        labels = [term.label for term in self.terms]
        if not labels:
            raise ValueError("an objective needs at least one term")
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"two rows are named {twice[0]!r}; merge them or give them different points")

    def active(self, progress: float) -> tuple[Term, ...]:
        """The rows with a positive weight at a progress in [0, 1].

        Raises:
            ValueError: progress is outside of [0, 1].
        """
        if not 0 <= progress <= 1:
            raise ValueError(f"progress must lie in [0, 1], got {progress}")
        return tuple(term for term in self.terms if term.weight_at(progress) > 0)

    def needs(self, progress: float | None = None) -> frozenset[str]:
        """Fields of `Batch` that the rows need at a progress in [0, 1], or at any (None)."""
        rows = self.terms if progress is None else self.active(progress)
        return frozenset().union(*(term.needs() for term in rows))

    def second_order(self, progress: float) -> frozenset[str]:
        """Sets of points at which active rows read second derivatives, at a progress in [0, 1]."""
        return frozenset().union(*(term.second_order_sets(progress) for term in self.active(progress)))

    def __call__(self, sdf: SDF, batch: Batch, progress: float = 0.0) -> dict[str, Tensor]:
        """Evaluate every active row.

        Args:
            sdf: the field, in the frame of the batch.
            batch: points and measurements.
            progress: of the fit, in [0, 1].

        Returns:
            Label of the row -> weight times term, scalars; their sum is the loss. Divide by
            `Term.weight_at(progress)` for the term alone.

        Raises:
            ValueError: no row is active, or a term needs what the batch or the field does not have.
        """
        rows = self.active(progress)
        if not rows:
            raise ValueError(f"no term has a weight at progress {progress:g}; change their start, stop or anneal")
        reader = Reader(sdf, batch, self.second_order(progress))
        return {term.label: term.weight_at(progress) * _evaluate_term(term, reader, progress) for term in rows}


def _evaluate_term(term: Term, reader: Reader, progress: float) -> Tensor:
    """A term without its weight."""
    knobs = term.knobs_at(progress)
    try:
        inputs = [_read_input(name, term.point_sets, reader, knobs) for name in term.rule.inputs]
        return term.rule.function(*inputs, **{name: knobs[name] for name in term.rule.options})
    except ValueError as error:
        raise ValueError(f"term {term.label!r}: {error}") from error


def _read_input(name: str, point_sets: tuple[str, ...], reader: Reader, knobs: dict[str, Any]) -> Tensor | None:
    """One input at all points of a term, one set after the other."""
    parts = [INPUTS[name].read(reader, at, knobs) for at in point_sets]
    values = [part for part in parts if part is not None]
    if len(values) < len(parts):
        return None
    return values[0] if len(values) == 1 else torch.cat(values)
