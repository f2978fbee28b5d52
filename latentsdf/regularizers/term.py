"""One row of an objective: which term, how heavy, from when to when, with which knobs."""

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
"""Schedules of epsilon of ViscoReg's released runs, by data set: (progress, epsilon), in frames with
max |coordinate| = 1."""


@dataclass(frozen=True)
class Rule:
    """How a term is taken unless its row says otherwise.

    Attributes:
        function: the pure function; its positional arguments are `INPUTS`, its keyword-only ones are knobs.
        on: the sets of points it is taken at; more than one are taken together, as one mean.
        knobs: values of knobs instead of the function's own defaults, and knobs of the reading of its inputs.
    """

    function: Callable[..., Tensor]
    on: tuple[str, ...]
    knobs: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def inputs(self) -> dict[str, bool]:
        """The function's positional arguments, and whether it can do without."""
        found = inspect.signature(self.function).parameters.items()
        return {name: item.default is not item.empty for name, item in found if item.kind is not item.KEYWORD_ONLY}

    @cached_property
    def options(self) -> dict[str, Any]:
        """The function's keyword-only arguments and their own defaults."""
        found = inspect.signature(self.function).parameters.items()
        return {name: item.default for name, item in found if item.kind is item.KEYWORD_ONLY}

    @cached_property
    def places(self) -> tuple[str, ...]:
        """The sets of points where every input is known."""
        known = [INPUTS[name].known for name in self.inputs]
        return tuple(place for place in known[0] if all(place in other for other in known))


TERMS: Mapping[str, Rule] = {
    "surface": Rule(surface, ("surface",)),
    "off_surface": Rule(off_surface, ("space",)),
    "normals": Rule(normals, ("surface",)),
    "free_space": Rule(free_space, ("rays",)),
    "eikonal": Rule(eikonal, ("space",)),
    "viscosity": Rule(viscosity, ("space",), {"epsilon": VISCOSITY["srb"]}),
    "level_set_alignment": Rule(level_set_alignment, ("near",), {"detach_foot": False}),
    "divergence": Rule(divergence, ("space",)),
    "directional_divergence": Rule(directional_divergence, ("space",)),
    "heat": Rule(heat, ("space",)),
    "pull": Rule(pull, ("near",)),
    "pull_to_disks": Rule(pull_to_disks, ("near",)),
    "disk_tangency": Rule(disk_tangency, ("disks",)),
    "disk_orthogonality": Rule(disk_orthogonality, ("near",)),
    "disk_thinness": Rule(disk_thinness, ("disks",)),
    "ssd_energy": Rule(ssd_energy, ("surface",)),
    "code_prior": Rule(code_prior, ("code",)),
}
"""Every term by name."""


class Anneal(NamedTuple):
    """A weight that goes linearly to another between two moments of progress, and stays there."""

    begin: float
    end: float
    weight: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Term:
    """One row of an objective, as data. Progress runs from 0 to 1 over a fit.

    Raises:
        ValueError: an unknown term or knob (the message names the nearest), a set of points where the term cannot be
            taken, or a number out of its range.
    """

    name: str
    """Key of `TERMS`."""
    weight: float = 1.0
    """Factor on the term. Larger obeys it more and the others less."""
    start: float = 0.0
    """Progress from which on it counts."""
    stop: float = 1.0
    """Progress from which on it counts no more; 1 keeps it to the end."""
    anneal: Anneal | None = None
    """Where its weight goes over progress; None keeps it."""
    knobs: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of the term's function. A tuple of (progress, value) pairs is linear in between."""
    on: tuple[str, ...] = ()
    """Sets of points it is taken at, together as one mean; empty takes those of `TERMS`."""

    def __post_init__(self):
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
            raise ValueError(
                f"term {self.name!r} needs 0 <= start < stop <= 1, got start {self.start} and stop {self.stop}"
            )
        if self.anneal is not None:
            object.__setattr__(self, "anneal", Anneal(*self.anneal))  # a stored one is a list
            begin, end, weight = self.anneal
            if not (0 <= begin < end <= 1 and 0 <= weight < math.inf):
                raise ValueError(
                    f"the anneal of term {self.name!r} needs 0 <= begin < end <= 1 and a weight of at least 0, got "
                    f"{begin}, {end} and {weight}"
                )
        object.__setattr__(self, "on", (self.on,) if isinstance(self.on, str) else tuple(self.on))
        places = self.rule.places
        for place in self.on:
            if place not in places:
                raise ValueError(f"term {self.name!r} cannot be taken on {place!r}, only on {', '.join(places)}")
        if len(set(self.on)) != len(self.on):
            raise ValueError(f"term {self.name!r} names a set of points twice: {', '.join(self.on)}")

    @property
    def rule(self) -> Rule:
        """Its function and where it is taken by default."""
        return TERMS[self.name]

    @property
    def places(self) -> tuple[str, ...]:
        """The sets of points it is taken at."""
        return self.on or self.rule.on

    @property
    def label(self) -> str:
        """Its name in logs: with the sets of points where these are not the usual ones."""
        return self.name if self.places == self.rule.on else f"{self.name}@{'+'.join(self.places)}"

    def weight_at(self, progress: float) -> float:
        """The factor at a moment of progress; 0 outside [start, stop)."""
        if progress < self.start or (progress >= self.stop and self.stop < 1):
            return 0.0
        if self.anneal is None:
            return self.weight
        begin, end, weight = self.anneal
        return _between(((begin, self.weight), (end, weight)), progress)

    def knobs_at(self, progress: float) -> dict[str, Any]:
        """Every knob's value at a moment of progress."""
        values = {**self.rule.options, **self.rule.knobs, **self.knobs}
        return {
            name: _between(value, progress) if isinstance(value, tuple | list) else value
            for name, value in values.items()
        }

    def bent(self, progress: float) -> frozenset[str]:
        """The sets of points where it asks for second derivatives."""
        inputs = self.rule.inputs
        if "space_hessian" in inputs:
            return frozenset({"space"})
        needed = "bend" in inputs or ("laplacian" in inputs and self.knobs_at(progress).get("epsilon") != 0)
        return frozenset(self.places) if needed else frozenset()

    def needs(self) -> frozenset[str]:
        """The fields of a batch that it takes."""
        taken = [name for name, optional in self.rule.inputs.items() if not optional]
        return frozenset(self.places).union(*(INPUTS[name].known[place] for name in taken for place in self.places))


def suggestion(name: str, known: Iterable[str]) -> str:
    """The nearest of the known names, or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {near[0]!r}? ({len(names)} known)" if near else f"known are {', '.join(names)}"


def _check_knots(term: str, knob: str, knots: Any) -> None:
    try:
        pairs = [(float(at), float(value)) for at, value in knots]
    except (TypeError, ValueError):
        pairs = []
    moments = [at for at, _ in pairs]
    if not pairs or not all(0 <= at <= 1 for at in moments) or any(b <= a for a, b in pairwise(moments)):
        raise ValueError(
            f"a schedule of knob {knob!r} of term {term!r} is (progress, value) pairs with progress rising in [0, 1], "
            f"got {knots}"
        )


def _between(knots: Iterable[tuple[float, float]], progress: float) -> float:
    """Piecewise linear through (progress, value) pairs, constant before the first and after the last."""
    pairs = list(knots)
    if progress <= pairs[0][0]:
        return pairs[0][1]
    for (a, low), (b, high) in pairwise(pairs):
        if progress < b:
            return low + (high - low) * (progress - a) / (b - a)
    return pairs[-1][1]
