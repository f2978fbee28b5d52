"""Data terms: zero at the scan, non-zero off it, agreement with normals, and the prior of a code.

Every function is pure and returns a mean. u is the field.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.linalg import vector_norm


def surface(value: Tensor) -> Tensor:
    """Absolute value of the field at points of the surface, mean |u|.

    Source: first term of IGR (Gropp et al. 2020, data loss of equation 2) and SIREN (Sitzmann et al. 2020, equation 6).

    Args:
        value: (M,) signed distances at scan points.

    Returns:
        Mean of |value|, a scalar in units of length.
    """
    return value.abs().mean()


def off_surface(value: Tensor, *, alpha: float = 100.0) -> Tensor:
    """Penalty on small values off the surface, mean exp(-alpha |u|), against spurious sheets where nothing was scanned.

    Source: SIREN (Sitzmann et al. 2020), last term of equation 6.

    Args:
        value: (N,) signed distances at points of the cube.
        alpha: decay, in 1 / length; larger penalises a thinner layer around zero.

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
    """Deviation of the field's gradient from measured normals n.

    Source: SIREN (Sitzmann et al. 2020, equation 6), cosines; IGR (Gropp et al. 2020, equation 2), difference.

    Args:
        gradient: (M, 3) at scan points.
        normals: (M, 3) unit normals, outward (of any sign for `unsigned`).
        form: `cosine` is 1 - cos(grad u, n), `unsigned` 1 - |cos(grad u, n)|, `difference` |grad u - n|, which also
            asks for unit slope.

    Returns:
        Mean over the points, a scalar.

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
    """Gaussian prior of a code z, mean z_d^2 over the entries of one code or of several.

    Source: DeepSDF (Park et al. 2019), second term of equation 10, with the mean of its released inference.

    Args:
        code: (D,) or (S, D).

    Returns:
        Mean over all entries, a scalar.
    """
    return code.square().mean()
