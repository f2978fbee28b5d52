"""Pieces that the true shape lacks are cut out of a decoded field, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from latentsdf.codec.adjustment import Adjustment
from latentsdf.core.frame import Frame
from latentsdf.core.lattice import lattice_vertices
from latentsdf.decoder.linear import Linear, LinearConfig
from latentsdf.inference.ghost_cuts import SPECK, without_ghosts
from latentsdf.space.shape import Shape
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load, save
from latentsdf.space.stored_figures import stored_figures

BALLS = {"body": ([-0.3, 0.0, 0.0], 0.4), "limb": ([0.35, 0.0, 0.1], 0.2), "ghost": ([0.6, 0.5, -0.5], 0.2)}


def _shape(parts: dict[str, tuple[list[float], float]]) -> Shape:
    """A shape whose code decodes to a union of balls, 10 times as large in source units."""
    points = lattice_vertices(33)
    fields = [(points - torch.tensor(center)).norm(dim=-1) - radius for center, radius in parts.values()]
    decoder = Linear(LinearConfig(code_size=2, resolution=33)).requires_grad_(False).eval()
    decoder.mean.copy_(torch.stack(fields).amin(0).flatten())
    decoder.basis.zero_()
    return Shape("a", torch.zeros(2), Frame(np.eye(3), 10.0, np.zeros(3)), decoder)


def _mesh(*names: str) -> trimesh.Trimesh:
    balls = [trimesh.creation.icosphere(subdivisions=3, radius=BALLS[name][1]) for name in names]
    for ball, name in zip(balls, names, strict=True):
        ball.apply_translation(BALLS[name][0])
    offsets = np.cumsum([0] + [len(ball.vertices) for ball in balls])
    faces = [ball.faces + offset for ball, offset in zip(balls, offsets, strict=False)]
    return trimesh.Trimesh(10.0 * np.concatenate([ball.vertices for ball in balls]), np.concatenate(faces))


def test_a_ghost_goes_and_a_true_piece_stays() -> None:
    shape = _shape(BALLS)
    found = without_ghosts(shape, _mesh("body", "limb"))
    assert isinstance(found.correction, Adjustment)
    assert found.correction.nbytes == 10
    assert found.least_piece == pytest.approx(SPECK, rel=0.05)
    pieces = sorted(piece.volume for piece in found.mesh(96).split())
    assert pieces == pytest.approx([4 / 3 * np.pi * (10 * radius) ** 3 for radius in (0.2, 0.4)], rel=0.08)
    assert found.mode == "code"


def test_a_shape_without_ghosts_keeps_its_field_and_pieces() -> None:
    shape = _shape({name: BALLS[name] for name in ("body", "limb")})
    found = without_ghosts(shape, _mesh("body", "limb"))
    assert isinstance(found.correction, Adjustment)
    assert (found.correction.nbytes, found.level, found.by_code) == (4, 0.0, True)
    assert len(found.mesh(64).split()) == 2
    points = torch.rand(100, 3, generator=torch.Generator().manual_seed(0)) * 20 - 10
    assert torch.equal(found(points), shape(points))


def test_crumbs_are_left_out_of_meshes_and_a_true_part_as_small_is_not() -> None:
    crumbs = {"body": ([-0.3, 0.0, 0.0], 0.5), "one": ([0.7, 0.5, 0.0], 0.07), "two": ([0.7, -0.5, 0.3], 0.08)}
    shape = _shape(crumbs)
    body = trimesh.creation.icosphere(subdivisions=3, radius=5.0).apply_translation([-3.0, 0.0, 0.0])
    assert len(shape.mesh(64).split()) == 3
    # Two boxes cut the crumbs out of the field where they are ghosts of some area; made smaller, meshes leave them out.
    for scale, boxes in ((1.0, 2), (0.4, 0)):
        small = _shape(
            {name: (at, radius if name == "body" else scale * radius) for name, (at, radius) in crumbs.items()}
        )
        found = without_ghosts(small, body)
        assert isinstance(found.correction, Adjustment)
        assert len(found.correction.boxes.low) == boxes
        assert len(found.mesh(128).split()) == 1
    part = trimesh.creation.icosphere(subdivisions=3, radius=0.7).apply_translation([7.0, 5.0, 0.0])
    both = trimesh.util.concatenate([body, part])
    assert isinstance(both, trimesh.Trimesh)
    assert len(without_ghosts(shape, both).mesh(128).split()) == 2


def test_a_box_that_would_cut_something_true_is_not_taken() -> None:
    """A ghost shell around a true ball: every box around the shell holds the ball."""
    shape = _shape({"true": ([0.0, 0.0, 0.0], 0.2)})
    points = lattice_vertices(33)
    shell = ((points.norm(dim=-1) - 0.7).abs() - 0.08).flatten()
    shape.decoder.mean.copy_(torch.minimum(shape.decoder.mean, shell))  # type: ignore[union-attr]
    truth = trimesh.creation.icosphere(subdivisions=3, radius=2.0)
    found = without_ghosts(shape, truth).correction
    assert isinstance(found, Adjustment)
    assert len(found.boxes.low) == 0


def test_cuts_live_in_a_file_of_a_space(tmp_path: Path) -> None:
    shape = without_ghosts(_shape(BALLS), _mesh("body", "limb"))
    save(LatentSpace(shape.decoder, [shape]), tmp_path / "space.h5")
    stored = load(tmp_path / "space.h5")["a"]
    assert isinstance(stored.correction, Adjustment)
    points = torch.rand(100, 3, generator=torch.Generator().manual_seed(0)) * 20 - 10
    assert torch.equal(stored(points), shape(points))
    (figures,) = stored_figures(tmp_path / "space.h5")
    assert (figures.mode, figures.correction_bytes) == ("code", 10)
    with pytest.raises(ValueError, match="no second derivatives"):
        _ = stored.smooth_sdf
