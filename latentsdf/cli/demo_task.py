"""Encoding, judging and drawing of the shapes of the demo by worker processes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ..core.processes import Limits
from ..inference.code_fitting import EncodeConfig
from ..inference.rate_search import Target
from ..mesh.load import load_mesh
from ..mesh.metrics import compare
from ..plot.sheet import Albedo, draw_shape
from ..space.shape import Shape
from .encode_task import EncodeOptions, EncodeTask, encode_batch
from .worker_spaces import space_of

LIMITS = Limits(time=600.0, memory=8.0)
"""Of one batch: seconds, and GiB of its process."""
SAMPLES = 6000
"""Of each surface; the standard error of an F-score of .95 is then .003."""
RESOLUTION = 112
"""Lattice cells an axis of the surfaces that are judged and drawn."""


class DemoTask(NamedTuple):
    """A batch of meshes.

    Attributes:
        space: file of the space whose decoder and codes are used.
        meshes: (name, file, colour) of each.
        tolerance: distance at which the F-score must reach .95.
        size: pixels of a picture's side.
        seed: of samples and fits.
    """

    space: Path
    meshes: tuple[tuple[str, Path, Albedo], ...]
    tolerance: float
    size: int
    seed: int


class DemoShape(NamedTuple):
    """An encoded shape.

    Attributes:
        name: of it.
        shape: without its decoder, or the reason in one line why there is none.
        f_score: of its surface at 0.01 of the unit frame, against the mesh.
        picture: of its surface; None without one.
    """

    name: str
    shape: Shape | str
    f_score: float
    picture: Image.Image | None


def encode_and_draw(task: DemoTask) -> list[DemoShape]:
    """Encode the meshes of a batch, compare their surfaces with them, and draw these."""
    from dataclasses import replace

    options = EncodeOptions(EncodeConfig(seed=task.seed), Target(tolerance=task.tolerance), False, None, task.seed)
    files = {name: (file, colour) for name, file, colour in task.meshes}
    encoded = encode_batch(EncodeTask(task.space, tuple((name, file) for name, file, _ in task.meshes), options))
    decoder, found = space_of(task.space).decoder, []
    for name, shape in encoded:
        score, picture = 0.0, None
        if isinstance(shape, Shape):
            file, colour = files[name]
            try:
                surface = replace(shape, decoder=decoder).mesh(RESOLUTION)
            except ValueError:  # a code without a surface
                surface = None
            if surface is not None:
                score = compare(surface, load_mesh(file), samples=SAMPLES, seed=task.seed).f_scores[0.01]
                picture = draw_shape(surface, task.size, colour)
        found.append(DemoShape(name, shape, score, picture))
    return found
