"""Encoding of a batch of mesh files by a worker of a cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..core.hdf5 import one_line
from ..inference.code_fitting import EncodeConfig
from ..inference.encoding import encode_sampled, sample_for_codes
from ..inference.residual_fitting import SampledMesh, Target
from ..reconstruction.refinement import RefineConfig, RefinementStatus
from ..reconstruction.shape_overfitting import overfit, overfit_terms
from ..space.shape import Shape
from .worker_spaces import fits_of


class EncodeOptions(NamedTuple):
    """Options of `encode` beside the fit of codes.

    Attributes:
        config: of the fit.
        target: of residuals and meshes; None takes codes alone.
        overfit: whether shapes are corrected to their meshes.
        terms: objective of that; None solves.
        seed: of its samples.
    """

    config: EncodeConfig
    target: Target | None
    overfit: bool
    terms: str | dict[str, float] | None
    seed: int

    def overfitted(self, shape: Shape, file: str | Path) -> Shape:
        """The shape, corrected to its mesh where that is asked for; ValueError where there is no correction."""
        if not self.overfit:
            return shape
        terms = None if self.terms is None else overfit_terms(self.terms)
        found = overfit(shape, file, terms, RefineConfig(seed=self.seed))
        if found.status is not RefinementStatus.CORRECTED:
            raise ValueError(found.status.value)
        return found.shape


class EncodeTask(NamedTuple):
    """A batch of meshes.

    Attributes:
        space: file whose decoder reads the codes; it does not change.
        meshes: (name, file) of each.
        options: of the run.
    """

    space: Path
    meshes: tuple[tuple[str, Path], ...]
    options: EncodeOptions


class Encoded(NamedTuple):
    """A shape without its decoder, or the reason in one line why there is none."""

    name: str
    shape: Shape | str


def encode_batch(task: EncodeTask) -> list[Encoded]:
    """Sample the meshes of a batch and fit their codes together, as `encode` does on one machine."""
    options, files = task.options, dict(task.meshes)
    found: list[Encoded] = []
    sampled: list[tuple[str, SampledMesh]] = []
    for name, file in task.meshes:
        try:
            sampled.append((name, sample_for_codes(file, options.config)))
        except (ValueError, OSError) as error:
            found.append(Encoded(name, one_line(error)))
    nothing: Any = None
    if sampled:
        space, fitter = fits_of(task.space, options.config)
        for shape in encode_sampled(space, sampled, fitter, target=options.target):
            try:
                found.append(
                    Encoded(shape.name, replace(options.overfitted(shape, files[shape.name]), decoder=nothing))
                )
            except (ValueError, OSError) as error:
                found.append(Encoded(shape.name, one_line(error)))
    return found
