"""The shape that a request is about: one of the space, a morph of two, a mixture of up to four, or an upload's."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from ..core.frame import Frame
from ..space.morph import between
from ..space.shape import Shape
from .collection import Collection
from .pair_morphs import PairMorph, PairMorphs
from .query_values import Query
from .uploads import Uploads

MOST = 4
"""Shapes of a mixture at most."""


class Subject(NamedTuple):
    """A shape that is shown.

    Attributes:
        key: equal for requests about the same shape.
        shape: itself; of a morph the mixture of the codes, which stands for it until it is registered.
        upload: the upload that it comes from; None of the space.
        pair: the morph, and where on it; None of anything else.
    """

    key: Hashable
    shape: Shape
    upload: str | None = None
    pair: tuple[PairMorph, float] | None = None


def subject_of(query: Query, collection: Collection, uploads: Uploads, morphs: PairMorphs) -> Subject:
    """The subject of a query: `name=`, or `upload=`, or `mix=` several times with `weights=0.2,0.8`.

    Two shapes are morphed (`space.morph.Morph`); of three and four the codes are mixed.

    Raises:
        KeyError: a name or an upload that there is not.
        ValueError: no subject, or weights that do not fit.
    """
    if "upload" in query:
        key = query["upload"][0]
        return Subject(("upload", key), uploads[key].shape_or_fail(), key)
    with collection.lock:
        space, version = collection.space, collection.version
    if "mix" in query:
        names, weights = list(query["mix"]), _weights(query)
        if not 2 <= len(names) <= MOST or len(weights) != len(names):
            counts = f"{len(names)} and {len(weights)}"
            raise ValueError(f"a mixture takes 2 to {MOST} names and as many weights, got {counts}")
        shapes = [space[name] for name in names]
        pair = (morphs.of(shapes[0], shapes[1]), weights[1]) if len(names) == 2 else None
        return Subject((version, *names, *np.round(weights, 4).tolist()), mix(shapes, weights), pair=pair)
    if "name" not in query:
        raise ValueError("the request names no shape; give name=, upload= or mix= and weights=")
    name = query["name"][0]
    return Subject((version, name), space[name])


def mix(shapes: Sequence[Shape], weights: Sequence[float]) -> Shape:
    """Mix the codes, levels and frames of shapes; the rotation of the frame is that of the first.

    Args:
        shapes: of one decoder.
        weights: as many, of sum 1.
    """
    code = sum((w * shape.code for w, shape in zip(weights[1:], shapes[1:], strict=True)), weights[0] * shapes[0].code)
    frame = shapes[0].frame
    if len(shapes) == 2:
        frame = between(frame, shapes[1].frame, weights[1])
    elif len(shapes) > 2:
        scale = float(np.exp(np.dot(weights, [np.log(shape.frame.scale) for shape in shapes])))
        frame = Frame(frame.rotation, scale, np.dot(weights, [shape.frame.center for shape in shapes]))
    text = " + ".join(f"{w:.2f} {shape.name}" for w, shape in zip(weights, shapes, strict=True))
    level = sum(weight * shape.level for weight, shape in zip(weights, shapes, strict=True))
    return Shape(text, code, frame, shapes[0].decoder).at_level(level)


def _weights(query: Query) -> list[float]:
    try:
        weights = [float(text) for text in query["weights"][0].split(",")]
    except (KeyError, ValueError):
        raise ValueError("a mixture needs weights=, numbers separated by commas") from None
    total = sum(weights)
    if not (min(weights) >= 0 and np.isfinite(total) and total > 0):
        raise ValueError(f"weights of a mixture are not negative and not all zero, got {query['weights'][0]}")
    return [weight / total for weight in weights]
