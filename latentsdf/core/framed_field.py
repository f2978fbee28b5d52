"""Fields of the unit frame, queried in source units."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .field import SDF
from .frame import Frame


class FramedField(NamedTuple):
    """A signed distance function in source units: f(x) = scale * sdf(rotation @ (x - center) / scale).

    Attributes:
        sdf: the field in the unit frame, (N, 3) -> (N,).
        frame: source units <-> unit frame.
        dtype: of the queries of the field; the change of frame itself is computed in double precision.
    """

    sdf: SDF
    frame: Frame
    dtype: torch.dtype = torch.float32

    def __call__(self, points: Tensor) -> Tensor:
        """Signed distances (N,) in source units at points (N, 3) in source units, in the points' own dtype."""
        rotation = torch.as_tensor(self.frame.rotation.copy(), device=points.device)
        center = torch.as_tensor(self.frame.center.copy(), device=points.device)
        unit = (points.double() - center) @ rotation.T / self.frame.scale
        return self.frame.to_source_distance(self.sdf(unit.to(self.dtype))).to(points.dtype)
