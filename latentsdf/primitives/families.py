"""Parametric shape families: classes of watertight solids with known parameters."""

from __future__ import annotations

import difflib
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.field import SDF
from ..primitives import furnishings, hardware, vessels


@dataclass(frozen=True)
class Parameter:
    """One parameter of a family, with the range it is drawn from.

    Raises:
        ValueError: the range is empty or not finite.
    """

    name: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"parameter {self.name} needs finite low < high, got {self.low} and {self.high}")


@dataclass(frozen=True)
class Family:
    """A class of shapes: a map from a continuous parameter vector to a solid.

    Attributes:
        name: of the class.
        parameters: in the order of the parameter vector.
        build: the SDF of keyword parameters, in the unit frame, upright along +z, 1-Lipschitz.
    """

    name: str
    parameters: tuple[Parameter, ...]
    build: Callable[..., SDF]

    def sdf(self, values: Mapping[str, float]) -> SDF:
        """Build the solid of the given parameters.

        Args:
            values: every parameter of the family by name, each within its range.

        Returns:
            A signed distance function of the unit frame (a bound in places, 1-Lipschitz), within radius 0.97.

        Raises:
            ValueError: an unknown or missing name, or a value out of its range.
        """
        known = [parameter.name for parameter in self.parameters]
        for name in values:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
                raise ValueError(f"family {self.name} has no parameter {name!r}; {hint}")
        for parameter in self.parameters:
            if parameter.name not in values:
                raise ValueError(f"family {self.name} misses parameter {parameter.name!r}; it takes {known}")
            value = values[parameter.name]
            if not parameter.low <= value <= parameter.high:
                raise ValueError(
                    f"{self.name} parameter {parameter.name} must lie in "
                    f"[{parameter.low:g}, {parameter.high:g}], got {value:g}"
                )
        return self.build(**{name: float(values[name]) for name in known})

    def sample(self, seed: int | Sequence[int]) -> dict[str, float]:
        """Draw parameters uniformly from their ranges; equal seeds give equal values on every machine."""
        entropy = [seed] if isinstance(seed, int) else list(seed)
        # The name enters the seed so that the same seed is independent between families.
        generator = np.random.default_rng([zlib.crc32(self.name.encode()), *entropy])
        return {p.name: float(generator.uniform(p.low, p.high)) for p in self.parameters}

    def middle(self) -> dict[str, float]:
        """Parameters at the centres of their ranges."""
        return {p.name: (p.low + p.high) / 2 for p in self.parameters}


def _family(build: Callable[..., SDF], **ranges: tuple[float, float]) -> Family:
    return Family(build.__name__, tuple(Parameter(name, *span) for name, span in ranges.items()), build)


# Ranges are in the units of the builder, before the shape is scaled to the unit sphere.
FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        _family(
            hardware.airplane,
            body_radius=(0.09, 0.15),
            span=(0.7, 1.05),
            sweep=(0.05, 0.45),
            chord=(0.24, 0.36),
            tail=(0.22, 0.36),
            wing_at=(-0.1, 0.2),
            engine=(0.05, 0.08),
        ),
        _family(
            hardware.bolt,
            head_width=(0.42, 0.68),
            head_height=(0.22, 0.42),
            shank_radius=(0.2, 0.3),
            shank_length=(1.2, 1.9),
            thread_share=(0.5, 0.85),
        ),
        _family(
            vessels.bottle,
            body_radius=(0.28, 0.5),
            body_height=(0.8, 1.3),
            shoulder=(0.2, 0.5),
            neck_radius=(0.1, 0.16),
            neck_height=(0.25, 0.6),
        ),
        _family(
            hardware.bracket,
            width=(0.7, 1.2),
            height=(0.9, 1.4),
            reach=(0.8, 1.3),
            thickness=(0.1, 0.18),
            hole=(0.09, 0.15),
            gusset=(0.3, 0.6),
        ),
        _family(
            furnishings.chair,
            width=(0.75, 1.15),
            depth=(0.75, 1.0),
            leg_height=(0.65, 1.05),
            back_height=(0.7, 1.2),
            leg_width=(0.045, 0.075),
            back_fill=(0.3, 0.95),
            tilt=(0.0, 0.25),
        ),
        _family(
            hardware.gear,
            root=(0.68, 0.82),
            tooth_width=(0.4, 0.6),
            thickness=(0.2, 0.4),
            bore=(0.12, 0.2),
            hub=(0.0, 0.2),
            hole=(0.08, 0.13),
        ),
        _family(
            hardware.hammer,
            handle_length=(1.4, 2.0),
            handle_radius=(0.07, 0.11),
            head_radius=(0.15, 0.23),
            head_length=(0.4, 0.6),
            claw_length=(0.35, 0.6),
            claw_drop=(0.05, 0.3),
        ),
        _family(
            furnishings.lamp,
            base_radius=(0.3, 0.5),
            stem_height=(1.0, 1.6),
            stem_radius=(0.045, 0.08),
            shade_bottom=(0.45, 0.7),
            shade_top=(0.2, 0.4),
            shade_height=(0.45, 0.75),
        ),
        _family(
            vessels.mug,
            radius=(0.4, 0.6),
            height=(0.85, 1.3),
            taper=(0.8, 1.15),
            wall=(0.06, 0.1),
            handle_reach=(0.3, 0.45),
            handle_height=(0.5, 0.75),
            handle_radius=(0.05, 0.08),
        ),
        _family(
            hardware.ring,
            band_thickness=(0.07, 0.14),
            band_width=(0.12, 0.4),
            gem_radius=(0.22, 0.38),
            gem_height=(0.2, 0.4),
            table_share=(0.45, 0.75),
        ),
        _family(
            furnishings.shelf,
            width=(0.8, 1.4),
            height=(1.5, 2.2),
            depth=(0.35, 0.6),
            board=(0.06, 0.1),
            lower=(0.25, 0.42),
            upper=(0.55, 0.78),
        ),
        _family(
            furnishings.stool,
            seat_radius=(0.35, 0.55),
            seat_thickness=(0.08, 0.2),
            height=(0.9, 1.5),
            leg_radius=(0.045, 0.075),
            splay=(0.05, 0.3),
            ring_height=(0.25, 0.5),
        ),
        _family(
            furnishings.table,
            length=(1.2, 2.0),
            width=(0.8, 1.1),
            height=(0.6, 1.0),
            top=(0.07, 0.14),
            leg_width=(0.05, 0.09),
            inset=(0.02, 0.18),
            apron=(0.06, 0.18),
        ),
        _family(
            vessels.vase,
            foot=(0.2, 0.38),
            belly=(0.42, 0.7),
            belly_at=(0.35, 0.6),
            neck=(0.18, 0.32),
            lip=(0.25, 0.48),
            wall=(0.075, 0.1),
        ),
    )
}
"""The families by name, in alphabetical order."""
