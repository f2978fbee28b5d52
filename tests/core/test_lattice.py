import pytest
import torch

from latentsdf.core.lattice import cell_centres, lattice_vertices, trilinear_corners


def test_vertices_lie_on_the_faces_of_the_cube_x_slowest() -> None:
    vertices = lattice_vertices(3)
    assert vertices.shape == (27, 3)
    assert vertices.dtype == torch.float32
    assert vertices[0].tolist() == [-1.0, -1.0, -1.0]
    assert vertices[-1].tolist() == [1.0, 1.0, 1.0]
    assert vertices[(2 * 3 + 1) * 3 + 0].tolist() == [1.0, 0.0, -1.0]


def test_centres_lie_half_a_cell_inside_and_a_margin_continues_them() -> None:
    centres = cell_centres(4, dtype=torch.float64)
    assert centres.dtype == torch.float64
    assert centres.shape == (64, 3)
    assert centres[:4, 2].tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert centres[1 * 16 + 2 * 4 + 3].tolist() == [-0.25, 0.25, 0.75]
    wider = cell_centres(4, 1, dtype=torch.float64)
    assert wider[:6, 2].tolist() == [-1.25, -0.75, -0.25, 0.25, 0.75, 1.25]
    assert torch.equal(wider.view(6, 6, 6, 3)[1:-1, 1:-1, 1:-1].reshape(-1, 3), centres)


@pytest.mark.parametrize("resolution", [2, 5, 16])
def test_weights_sum_to_one_and_linear_functions_are_reproduced(resolution: int) -> None:
    generator = torch.Generator().manual_seed(0)
    points = 2.0 * torch.rand(4, 25, 3, generator=generator, dtype=torch.float64) - 1.0
    index, weight = trilinear_corners(points, resolution)
    assert index.shape == weight.shape == (4, 25, 8)
    assert float(weight.min()) >= 0.0
    torch.testing.assert_close(weight.sum(-1), torch.ones(4, 25, dtype=torch.float64))
    slope = torch.tensor([0.3, -2.0, 5.0], dtype=torch.float64)
    table = lattice_vertices(resolution, dtype=torch.float64) @ slope + 0.7
    torch.testing.assert_close((table[index] * weight).sum(-1), points @ slope + 0.7)


def test_vertices_read_their_own_value() -> None:
    table = torch.rand(125, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    index, weight = trilinear_corners(lattice_vertices(5, dtype=torch.float64), 5)
    assert torch.equal((table[index] * weight).sum(-1), table)


def test_points_outside_read_the_nearest_point_of_the_cube_and_have_no_slope_outward() -> None:
    table = torch.rand(27, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = torch.tensor([[3.0, 0.2, -0.4], [-1.5, -9.0, 2.0]], dtype=torch.float64, requires_grad=True)
    index, weight = trilinear_corners(points, 3)
    assert int(index.min()) >= 0
    assert int(index.max()) < 27
    value = (table[index] * weight).sum(-1)
    index, weight = trilinear_corners(points.detach().clamp(-1.0, 1.0), 3)
    torch.testing.assert_close(value.detach(), (table[index] * weight).sum(-1))
    (slope,) = torch.autograd.grad(value.sum(), points)
    assert float(slope[0, 0]) == 0.0
    assert slope[1].tolist() == [0.0, 0.0, 0.0]
    assert float(slope[0, 1:].abs().min()) > 0.0


def test_weights_are_differentiable_in_the_points() -> None:
    table = torch.rand(64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = torch.tensor([[0.1, -0.5, 0.8], [-0.9, 0.2, 0.4]], dtype=torch.float64, requires_grad=True)

    def read(points: torch.Tensor) -> torch.Tensor:
        index, weight = trilinear_corners(points, 4)
        return (table[index] * weight).sum(-1)

    assert torch.autograd.gradcheck(read, (points,))


def test_lattices_without_a_cell_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 vertices per axis, got 1"):
        lattice_vertices(1)
    with pytest.raises(ValueError, match="cells >= 1"):
        cell_centres(0)
    with pytest.raises(ValueError, match="margin >= 0"):
        cell_centres(4, -1)
