"""Crumbs of trained shapes are left out of meshes by the number of their true parts."""

from __future__ import annotations

import numpy as np
import torch

from latentsdf.core.frame import Frame
from latentsdf.core.lattice import lattice_vertices
from latentsdf.decoder.linear import Linear, LinearConfig
from latentsdf.space.kept_pieces import with_kept_pieces
from latentsdf.space.shape import Shape


def _balls(*balls: tuple[tuple[float, float, float], float]) -> Shape:
    points = lattice_vertices(65)
    decoder = Linear(LinearConfig(code_size=2, resolution=65)).requires_grad_(False).eval()
    decoder.mean.copy_(
        torch.stack([(points - torch.tensor(at)).norm(dim=-1) - radius for at, radius in balls]).amin(0).flatten()
    )
    decoder.basis.zero_()
    return Shape("a", torch.zeros(2), Frame(np.eye(3), 1.0, np.zeros(3)), decoder)


def test_a_crumb_goes_and_a_torn_part_stays() -> None:
    crumb = _balls(((-0.2, 0.0, 0.0), 0.6), ((0.8, 0.0, 0.0), 0.03))
    assert len(crumb.mesh(96).split()) == 2
    kept = with_kept_pieces(crumb, 1)
    assert kept.by_code
    assert len(kept.mesh(96).split()) == 1
    assert with_kept_pieces(crumb, 2) is crumb
    torn = _balls(((-0.2, 0.0, 0.0), 0.6), ((0.8, 0.0, 0.0), 0.15))
    assert with_kept_pieces(torn, 1).least_piece == 0.0


def test_a_field_without_a_surface_is_returned_as_it_is() -> None:
    nothing = _balls(((0.0, 0.0, 0.0), -1.0))
    assert with_kept_pieces(nothing, 1) is nothing
