"""Upright poses: the angle about a known direction is found, and that direction is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from latentsdf import extract_mesh
from latentsdf.core.cube_rotations import cube_rotations
from latentsdf.core.frame import Frame
from latentsdf.core.lattice import lattice_vertices
from latentsdf.core.pose import FREEDOMS, Pose, active_freedoms, rotations
from latentsdf.core.upright import Direction, aligning_rotation, unit_direction, up_directions
from latentsdf.decoder import build_decoder
from latentsdf.decoder.linear import LinearConfig
from latentsdf.inference.code_fitting import EncodeConfig
from latentsdf.inference.encoding import encode
from latentsdf.inference.objective import CodeObjective, Guess
from latentsdf.inference.residuals import Residuals
from latentsdf.primitives import box, translate, union
from latentsdf.reconstruction.scan_fitting import ScanFitConfig, fit_scan
from latentsdf.scan.scan import Scan
from latentsdf.scan.virtual import virtual_scan
from latentsdf.space.shape import Shape
from latentsdf.space.space import LatentSpace

SEAT = union(
    box((0.5, 0.4, 0.08)),
    translate(box((0.06, 0.4, 0.35)), (-0.44, 0.0, 0.4)),
    translate(box((0.1, 0.1, 0.3)), (0.3, -0.3, -0.3)),
)
"""A board with a back and one leg: no rotation maps it to itself."""
SCAN = ScanFitConfig(pose="upright", points=512, starts=8)
Z = np.array([0.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def seat() -> trimesh.Trimesh:
    """The board in its unit frame, z up."""
    mesh = extract_mesh(SEAT, resolution=48)
    return trimesh.Trimesh(Frame.around(mesh.vertices).to_unit(mesh.vertices), mesh.faces, process=False)


@pytest.fixture(scope="module")
def space(seat: trimesh.Trimesh) -> LatentSpace:
    """The board and a ball, exact on a lattice; the board is stored lying, as a trained space may hold it."""
    side, turn = 33, torch.from_numpy(lying())
    places = lattice_vertices(side)
    frame = Frame.around(extract_mesh(SEAT, resolution=48).vertices)
    standing = torch.from_numpy(frame.to_source((places.double() @ turn).numpy())).float()
    decoder = build_decoder(LinearConfig(code_size=2, resolution=side)).eval().requires_grad_(False)
    decoder.state_dict()["basis"].copy_(torch.stack([SEAT(standing) / frame.scale, places.norm(dim=1) - 1 / 1.03]))
    return LatentSpace(
        decoder,
        [
            Shape("board", torch.tensor([1.0, 0.0]), Frame(lying(), 1.0, np.zeros(3)), decoder),
            Shape("ball", torch.tensor([0.0, 1.0]), Frame.identity(), decoder),
        ],
    )


def lying() -> NDArray[np.float64]:
    """Rotation from the axes of the board's mesh to those of its unit frame."""
    return cube_rotations()[7].double().numpy()


def found_turn(frame: Frame) -> Rotation:
    """The rotation of a fitted frame, from the axes of the thing to those of the board's mesh."""
    return Rotation.from_matrix(lying().T @ frame.rotation)


def turned_scan(seat: trimesh.Trimesh, turn: Rotation, views: int | None = None) -> Scan:
    """A scan of the turned board, half as large and elsewhere."""
    scan = virtual_scan(seat, count=3000, views=views, seed=1)
    return scan.transformed(Frame(turn.inv().as_matrix(), 2.0, np.array([0.3, 0.2, -0.1])))


@pytest.mark.parametrize("degrees", [37.0, 200.0, -80.0])
def test_a_turned_shape_comes_back_at_its_angle(space: LatentSpace, seat: trimesh.Trimesh, degrees: float) -> None:
    scan = turned_scan(seat, Rotation.from_euler("z", degrees, degrees=True))
    fit = fit_scan(space, scan, SCAN)
    vector = found_turn(fit.frame).as_rotvec(degrees=True)
    np.testing.assert_allclose(vector[:2], 0.0, atol=1e-3)
    assert abs((vector[2] - degrees + 180.0) % 360.0 - 180.0) < 2.0
    assert fit.frame.scale == pytest.approx(0.5, rel=0.02)


def test_a_tilted_shape_is_kept_upright(space: LatentSpace, seat: trimesh.Trimesh) -> None:
    turn = Rotation.from_euler("x", 20.0, degrees=True)
    scan = turned_scan(seat, turn)
    upright = found_turn(fit_scan(space, scan, SCAN).frame)
    np.testing.assert_allclose(upright.apply(Z), Z, atol=1e-4)
    assert np.degrees(upright.magnitude()) < 10.0
    told = found_turn(fit_scan(space, scan, replace(SCAN, up=tuple(turn.inv().apply(Z)), space_up="z")).frame)
    assert np.degrees((told * turn.inv()).magnitude()) < 2.0


def test_up_may_be_another_axis_than_that_of_the_meshes(space: LatentSpace, seat: trimesh.Trimesh) -> None:
    turn = Rotation.from_euler("xy", [-90.0, 130.0], degrees=True).inv()  # z becomes y, then about y
    scan = turned_scan(seat, turn, views=2)
    fit = fit_scan(space, scan, replace(SCAN, up="y", space_up="z"))
    assert np.degrees((found_turn(fit.frame) * turn.inv()).magnitude()) < 2.0
    np.testing.assert_allclose(found_turn(fit.frame).apply([0.0, 1.0, 0.0]), Z, atol=1e-4)


def test_a_mesh_is_encoded_at_its_angle(space: LatentSpace, seat: trimesh.Trimesh) -> None:
    mesh = seat.copy()
    mesh.apply_transform(trimesh.transformations.rotation_matrix(np.radians(-37.0), Z))
    mesh.apply_scale(30.0)
    config = EncodeConfig(pose="upright", points=512, samples=8000, steps=20)
    shape = encode(space, mesh, config=config)
    np.testing.assert_allclose(found_turn(shape.frame).as_rotvec(degrees=True), [0.0, 0.0, 37.0], atol=2.0)
    np.testing.assert_allclose(found_turn(shape.frame).apply(Z), Z, atol=1e-4)
    np.testing.assert_allclose(shape.code.numpy(), [1.0, 0.0], atol=0.05)


def test_slopes_are_those_of_the_angle_about_up(space: LatentSpace) -> None:
    decoder, generator = space.decoder, torch.Generator().manual_seed(1)
    pose = Pose(rotations(torch.randn(2, 3, generator=generator)), torch.tensor([0.2, -0.3]), torch.full((2, 3), 0.05))
    codes = torch.eye(2)
    groups = [Residuals(0.6 * torch.rand(1, 300, 3, generator=generator), torch.full((1, 300), 0.7))]
    up = torch.tensor([0.0, 0.6, 0.8])
    active = torch.tensor([True, True, *active_freedoms("upright")])
    objective = CodeObjective(decoder, 0.01, active, pose_weight=0.3, up=up)
    slope = objective.normal_equations(Guess(codes, pose), groups, 2.0).gradient
    assert slope.shape == (2, 2 + FREEDOMS - 2)
    step = torch.zeros(2, slope.shape[1], requires_grad=True)
    moved = objective.retract(Guess(codes, pose), -step)
    objective.losses(moved, groups, 2.0).sum().backward()
    assert step.grad is not None
    torch.testing.assert_close(slope, step.grad, atol=5e-3, rtol=2e-2)
    moved = objective.retract(Guess(codes, pose), 0.3 * torch.ones_like(step))
    assert moved.pose is not None
    torch.testing.assert_close(moved.pose.rotation @ up, pose.rotation @ up)


@pytest.mark.parametrize(
    ("up", "expected"), [("x", "x"), ((0.1, -0.9, 0.2), "y"), ((0.0, 0.0, -4.0), "z"), ((3.0, 1.0, 1.0), "x")]
)
def test_up_of_the_meshes_is_the_axis_nearest_to_that_of_the_scan(up: Direction, expected: Direction) -> None:
    own, theirs = up_directions(up, None)
    np.testing.assert_array_equal(theirs, unit_direction(expected))
    np.testing.assert_allclose(aligning_rotation(own, theirs) @ own, theirs, atol=1e-12)
    np.testing.assert_allclose(aligning_rotation(own, -own) @ own, -own, atol=1e-12)


@pytest.mark.parametrize("up", ["up", "", (0, 0, 0), (1, 2), (0.0, np.nan, 1.0)])
@pytest.mark.parametrize("config", [ScanFitConfig, EncodeConfig])
def test_impossible_directions_are_refused(config: type, up: Direction) -> None:
    for given in ({"up": up}, {"space_up": up}):
        with pytest.raises(ValueError, match="direction"):
            config(pose="upright", **given)
