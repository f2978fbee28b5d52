"""A sparse B-spline solver for signed distance functions: an SSD-energy solver after NeuralSSD."""

from latentsdf.solver.correction import Corrected, Correction
from latentsdf.solver.galerkin import Solution, SolveConfig, solve
from latentsdf.solver.learned import learned_weights
from latentsdf.solver.reliability import robust_weights, weight_gradient
from latentsdf.solver.spline_field import SplineField
from latentsdf.solver.views import merge_views

__all__ = [
    "Corrected",
    "Correction",
    "Solution",
    "SolveConfig",
    "SplineField",
    "learned_weights",
    "merge_views",
    "robust_weights",
    "solve",
    "weight_gradient",
]
