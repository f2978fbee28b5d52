"""What the data say directly: zero on the points, not zero off them, the normals' direction, a probable code.

Every function is pure and returns a mean.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.linalg import vector_norm


def surface(value: Tensor) -> Tensor:
    """Size of the field at points of the surface.

    Source: IGR (Gropp et al. 2020), SIREN (Sitzmann et al. 2020).

    Args:
        value: (M,) signed distances at scan points.

    Returns:
        Mean of |value|, a scalar in units of length.
    """
    return value.abs().mean()


def off_surface(value: Tensor, *, alpha: float = 100.0) -> Tensor:
    """Nearness to zero at points off the surface, so that no sheet appears where nothing was scanned.

    Source: SIREN (Sitzmann et al. 2020).

    Args:
        value: (N,) signed distances at points of the box.
        alpha: decay, in 1 / length; larger punishes a thinner layer about zero.

    Returns:
        Mean of exp(-alpha * |value|), a scalar.

    Raises:
        ValueError: alpha is not positive.
    """
    if not alpha > 0:
        raise ValueError(f"the alpha of off_surface must be positive, got {alpha}")
    return torch.exp(-alpha * value.abs()).mean()


def normals(
    gradient: Tensor, normals: Tensor, *, form: Literal["cosine", "unsigned", "difference"] = "cosine"
) -> Tensor:
    """Disagreement of the field's gradient with measured normals.

    Source: SIREN (Sitzmann et al. 2020) for the cosines, IGR (Gropp et al. 2020) for the difference.

    Args:
        gradient: (M, 3) at scan points.
        normals: (M, 3) unit normals, outward (any side for `unsigned`).
        form: `cosine` is 1 - cos, `unsigned` 1 - |cos|, `difference` |gradient - normal|, which asks for unit slope
            as well.

    Returns:
        Mean, a scalar.

    Raises:
        ValueError: unknown form.
    """
    if form == "difference":
        return vector_norm(gradient - normals, dim=-1).mean()
    cosine = torch.cosine_similarity(gradient, normals, dim=-1)
    if form == "cosine":
        return (1 - cosine).mean()
    if form == "unsigned":
        return (1 - cosine.abs()).mean()
    raise ValueError(f"the form of normals is 'cosine', 'unsigned' or 'difference', got {form!r}")


def code_prior(code: Tensor) -> Tensor:
    """Mean squared entry of a code, or of several.

    Source: DeepSDF (Park et al. 2019), as in its released inference.

    Args:
        code: (D,) or (S, D).

    Returns:
        A scalar.
    """
    return code.square().mean()
