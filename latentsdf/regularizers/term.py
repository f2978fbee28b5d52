"""Row of an objective: a term, its weight, schedule, knobs and sets of points.

A term is a pure function whose positional parameters are read from field and batch by their NAMES (`inspect.signature`,
`INPUTS`), and whose keyword-only parameters are its knobs.
"""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

from torch import Tensor

from .data_terms import code_prior, normals, off_surface, surface
from .gradient import directional_divergence, divergence, eikonal, heat, level_set_alignment, viscosity
from .inputs import INPUTS
from .pulling import disk_orthogonality, disk_tangency, disk_thinness, pull, pull_to_disks
from .rays import free_space
from .ssd import ssd_energy

VISCOSITY: Mapping[str, tuple[tuple[float, float], ...]] = {
    "srb": ((0.0, 0.5), (0.2, 0.4), (0.4, 0.04), (0.6, 0.005), (0.8, 0.0)),
    "shapenet": ((0.0, 1.0), (0.3, 0.25), (0.4, 0.0)),
    "scut": ((0.0, 1.0), (0.6, 0.0)),
    "room": ((0.0, 0.5), (0.5, 0.01), (0.6, 0.0)),
}
"""Schedules (progress, epsilon) of ViscoReg's released runs by data set, for frames with max |coordinate| = 1."""


@dataclass(frozen=True)
class Rule:
    """Function of a term and its defaults.

    Attributes:
        function: pure; its name is the term's, its positional parameters are `INPUTS`, its keyword-only ones knobs.
        on: the sets of points at which it is evaluated; several make one mean.
        knobs: values of knobs instead of the function's own defaults, and knobs of its inputs.
    """

    function: Callable[..., Tensor]
    on: tuple[str, ...]
    knobs: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def inputs(self) -> dict[str, bool]:
        """The function's positional parameters, and whether each is optional."""
        parameters = inspect.signature(self.function).parameters.values()
        return {item.name: item.default is not item.empty for item in parameters if item.kind is not item.KEYWORD_ONLY}

    @cached_property
    def options(self) -> dict[str, Any]:
        """The function's keyword-only parameters and their defaults."""
        parameters = inspect.signature(self.function).parameters.values()
        return {item.name: item.default for item in parameters if item.kind is item.KEYWORD_ONLY}

    @cached_property
    def point_sets(self) -> tuple[str, ...]:
        """The sets of points at which every input is defined."""
        defined = [INPUTS[name].needs for name in self.inputs]
        return tuple(at for at in defined[0] if all(at in other for other in defined))


TERMS: Mapping[str, Rule] = {
    rule.function.__name__: rule
    for rule in (
        Rule(surface, on=("surface",)),
        Rule(off_surface, on=("space",)),
        Rule(normals, on=("surface",)),
        Rule(free_space, on=("rays",)),
        Rule(eikonal, on=("space",)),
        Rule(viscosity, on=("space",), knobs={"epsilon": VISCOSITY["srb"]}),
        Rule(level_set_alignment, on=("near",), knobs={"detach_foot": False}),
        Rule(divergence, on=("space",)),
        Rule(directional_divergence, on=("space",)),
        Rule(heat, on=("space",)),
        Rule(pull, on=("near",)),
        Rule(pull_to_disks, on=("near",)),
        Rule(disk_tangency, on=("disks",)),
        Rule(disk_orthogonality, on=("near",)),
        Rule(disk_thinness, on=("disks",)),
        Rule(ssd_energy, on=("surface",)),
        Rule(code_prior, on=("code",)),
    )
}
"""Every term by name."""


class Anneal(NamedTuple):
    """Linear change of a weight to another between two values of progress."""

    begin: float
    end: float
    weight: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Term:
    """One row of an objective, as data; progress runs from 0 to 1 over a fit.

    Raises:
        ValueError: an unknown term or knob (the message names the nearest), a set of points at which the term is not
            defined, or a number out of its range.
    """

    name: str
    """Key of `TERMS`."""
    weight: float = 1.0
    """Factor of the term. Larger enforces it more, relative to the others."""
    start: float = 0.0
    """Progress at which it becomes active."""
    stop: float = 1.0
    """Progress at which it becomes inactive; 1 keeps it to the end."""
    anneal: Anneal | None = None
    """Change of its weight over progress; None keeps it constant."""
    knobs: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of the term's function. (progress, value) pairs are interpolated linearly."""
    on: tuple[str, ...] = ()
    """Sets of points at which it is evaluated, together as one mean; empty takes those of `TERMS`."""

    def __post_init__(self) -> None:
        if self.name not in TERMS:
            raise ValueError(f"unknown term {self.name!r}; {suggestion(self.name, TERMS)}")
        defaults = {**self.rule.options, **self.rule.knobs}
        for knob, value in self.knobs.items():
            if knob not in defaults:
                hint = suggestion(knob, defaults) if defaults else "it has none"
                raise ValueError(f"term {self.name!r} has no knob {knob!r}; {hint}")
            if isinstance(value, tuple | list):
                _check_knots(self.name, knob, value)
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ValueError(f"the weight of term {self.name!r} must be at least 0 and finite, got {self.weight}")
        if not 0 <= self.start < self.stop <= 1:
            raise ValueError(f"term {self.name!r}: start {self.start} and stop {self.stop} must rise within [0, 1]")
        if self.anneal is not None:
            object.__setattr__(self, "anneal", Anneal(*self.anneal))  # JSON stores a list
            begin, end, weight = self.anneal
            if not (0 <= begin < end <= 1 and 0 <= weight < math.inf):
                raise ValueError(
                    f"the anneal of term {self.name!r} needs 0 <= begin < end <= 1 and a weight of at least 0, got "
                    f"{begin}, {end} and {weight}"
                )
        object.__setattr__(self, "on", (self.on,) if isinstance(self.on, str) else tuple(self.on))
        defined = self.rule.point_sets
        for at in self.on:
            if at not in defined:
                raise ValueError(f"term {self.name!r} cannot be taken on {at!r}, only on {', '.join(defined)}")
        if len(set(self.on)) != len(self.on):
            raise ValueError(f"term {self.name!r} names a set of points twice: {', '.join(self.on)}")

    @property
    def rule(self) -> Rule:
        """Its function and default sets of points."""
        return TERMS[self.name]

    @property
    def point_sets(self) -> tuple[str, ...]:
        """The sets of points at which it is evaluated."""
        return self.on or self.rule.on

    @property
    def label(self) -> str:
        """Its name in logs, followed by its sets of points where these are not the default."""
        return self.name if self.point_sets == self.rule.on else f"{self.name}@{'+'.join(self.point_sets)}"

    def weight_at(self, progress: float) -> float:
        """Weight at a progress in [0, 1]; 0 outside [start, stop)."""
        if progress < self.start or (progress >= self.stop and self.stop < 1):
            return 0.0
        if self.anneal is None:
            return self.weight
        begin, end, weight = self.anneal
        return _interpolate(((begin, self.weight), (end, weight)), progress)

    def knobs_at(self, progress: float) -> dict[str, Any]:
        """Value of every knob at a progress in [0, 1]."""
        values = {**self.rule.options, **self.rule.knobs, **self.knobs}
        return {
            name: _interpolate(value, progress) if isinstance(value, tuple | list) else value
            for name, value in values.items()
        }

    def second_order_sets(self, progress: float) -> frozenset[str]:
        """The sets of points at which it needs second derivatives, at a progress in [0, 1]."""
        inputs = self.rule.inputs
        if "space_hessian" in inputs:
            return frozenset({"space"})
        viscous = self.knobs_at(progress).get("epsilon") != 0
        needed = "second_along_gradient" in inputs or ("laplacian" in inputs and viscous)
        return frozenset(self.point_sets) if needed else frozenset()

    def needs(self) -> frozenset[str]:
        """The fields of a batch that it needs."""
        required = [name for name, optional in self.rule.inputs.items() if not optional]
        sets = self.point_sets
        return frozenset(sets).union(*(INPUTS[name].needs[at] for name in required for at in sets))


def suggestion(name: str, known: Iterable[str]) -> str:
    """Hint for an unknown name: the most similar known name, or all of them."""
    names = sorted(known)
    similar = difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {similar[0]!r}? ({len(names)} known)" if similar else f"known are {', '.join(names)}"


def _check_knots(term: str, knob: str, knots: Any) -> None:
    try:
        pairs = [(float(at), float(value)) for at, value in knots]
    except (TypeError, ValueError):
        pairs = []
    times = [at for at, _ in pairs]
    if not pairs or not all(0 <= at <= 1 for at in times) or any(b <= a for a, b in pairwise(times)):
        raise ValueError(
            f"a schedule of knob {knob!r} of term {term!r} is (progress, value) pairs with progress rising in [0, 1], "
            f"got {knots}"
        )


def _interpolate(knots: Iterable[tuple[float, float]], progress: float) -> float:
    """Piecewise linear through (progress, value) pairs, constant before the first and after the last."""
    pairs = list(knots)
    if progress <= pairs[0][0]:
        return pairs[0][1]
    for (a, low), (b, high) in pairwise(pairs):
        if progress < b:
            return low + (high - low) * (progress - a) / (b - a)
    return pairs[-1][1]
