import numpy as np
import pytest
import torch
from torch import Tensor

from latentsdf.core.field import Jet
from latentsdf.core.frame import Frame
from latentsdf.core.framed_field import FramedField

TURN = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""A quarter turn about z."""


def unit_sphere(points: Tensor) -> Tensor:
    return points.norm(dim=-1) - 1.0


def test_a_sphere_of_the_unit_frame_has_the_radius_and_centre_of_its_frame() -> None:
    field = FramedField(unit_sphere, Frame(TURN, 250.0, np.array([100.0, -40.0, 7.0])))
    points = torch.tensor([[100.0, -40.0, 7.0], [350.0, -40.0, 7.0], [100.0, -40.0, 507.0]])
    torch.testing.assert_close(field(points), torch.tensor([-250.0, 0.0, 250.0]))
    assert field(points).dtype == torch.float32
    assert field(points.double()).dtype == torch.float64


def test_rotation_takes_source_axes_to_unit_axes() -> None:
    field = FramedField(lambda points: points[:, 1] - 0.5, Frame(TURN, 2.0, np.zeros(3)))
    points = torch.tensor([[1.0, 0.0, 0.0], [3.0, 5.0, -2.0], [0.0, 4.0, 0.0]])
    torch.testing.assert_close(field(points), points[:, 0] - 1.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_field_is_queried_in_its_own_dtype(dtype: torch.dtype) -> None:
    seen = []

    def spy(points: Tensor) -> Tensor:
        seen.append(points.dtype)
        return unit_sphere(points)

    FramedField(spy, Frame.identity(), dtype)(torch.zeros(2, 3))
    assert seen == [dtype]


def test_far_coordinates_keep_their_precision() -> None:
    field = FramedField(unit_sphere, Frame(np.eye(3), 0.5, np.full(3, 1e6)))
    points = torch.tensor([[1e6 + 1.0, 1e6, 1e6]], dtype=torch.float64)
    torch.testing.assert_close(field(points), torch.tensor([0.5], dtype=torch.float64))


def test_gradients_stay_unit_normals_in_source_axes() -> None:
    field = FramedField(unit_sphere, Frame(TURN, 3.0, np.array([1.0, 2.0, 3.0])), torch.float64)
    jet = Jet(field, torch.tensor([[5.0, 2.0, 3.0], [1.0, 2.0, -4.0]], dtype=torch.float64))
    torch.testing.assert_close(jet.gradient, torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0]], dtype=torch.float64))
