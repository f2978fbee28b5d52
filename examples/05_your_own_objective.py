"""A signed distance function of one's own, meshed, scanned, and fitted again by an objective of one's own."""

import os

import torch

import latentsdf as ls
from latentsdf.primitives import smooth_union, sphere, torus
from latentsdf.scan import virtual_scan

TINY = bool(os.environ.get("LATENTSDF_TINY"))
solid = smooth_union(sphere(0.35), torus(0.55, 0.15), radius=0.1)


def wavy(points: torch.Tensor) -> torch.Tensor:
    """Any callable from points (N, 3) to distances (N,) is a field; this one adds waves to the analytic solid."""
    return solid(points) + 0.01 * torch.sin(20.0 * points).prod(-1)


truth = ls.extract_mesh(wavy, 48 if TINY else 128)
scan = virtual_scan(truth, count=5000, noise=0.002)

# Terms by name, weight and time; `ls.regularizers.TERMS` lists them, and a preset's name would do as well.
terms = [ls.Term(name="surface", weight=3000), ls.Term(name="normals", weight=100)]
terms += [ls.Term(name="eikonal", weight=50, on=("surface", "space")), ls.Term(name="divergence", weight=20, stop=0.5)]
fitted = ls.fit(scan, terms, ls.FitConfig(steps=20 if TINY else 600))
print(fitted.stop.value, {name: round(value, 4) for name, value in fitted.trace[-1].items()})
print(f"F at 0.01: {ls.compare(fitted.mesh(48 if TINY else 128), truth).f_scores[0.01]:.3f}")
