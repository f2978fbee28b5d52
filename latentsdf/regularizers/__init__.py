"""What a field must satisfy beside the data: terms by name, presets by paper, and the objective that takes them."""

from .batch import Batch
from .disks import Disks
from .evidence import code_prior, normals, off_surface, surface
from .gradient import (
    directional_divergence,
    divergence,
    eikonal,
    foot_gradient,
    heat,
    level_set_alignment,
    viscosity,
)
from .objective import Objective
from .presets import PRESETS, preset, terms_of
from .pulling import disk_orthogonality, disk_tangency, disk_thinness, pull, pull_to_disks
from .rays import RayPoints, free_space, ray_points
from .ssd import ssd_energy
from .term import TERMS, VISCOSITY, Anneal, Term

__all__ = [
    "PRESETS",
    "TERMS",
    "VISCOSITY",
    "Anneal",
    "Batch",
    "Disks",
    "Objective",
    "RayPoints",
    "Term",
    "code_prior",
    "directional_divergence",
    "disk_orthogonality",
    "disk_tangency",
    "disk_thinness",
    "divergence",
    "eikonal",
    "foot_gradient",
    "free_space",
    "heat",
    "level_set_alignment",
    "normals",
    "off_surface",
    "preset",
    "pull",
    "pull_to_disks",
    "ray_points",
    "ssd_energy",
    "surface",
    "terms_of",
    "viscosity",
]
