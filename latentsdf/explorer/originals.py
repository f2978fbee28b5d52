"""Source meshes of stored shapes, where their files are there."""

from __future__ import annotations

from pathlib import Path

import trimesh

from ..mesh.endings import MESH_ENDINGS
from ..mesh.load import load_mesh
from ..mesh.repair import repair_mesh
from ..space.shape import Shape


class Originals:
    """Files of source meshes: below a folder by the names of shapes, else as the metadata of a shape say.

    Args:
        folder: that the space was prepared from; None looks at the metadata alone.
    """

    def __init__(self, folder: str | Path | None = None):
        self.folder: Path | None = None if folder is None else Path(folder)

    def file_of(self, shape: Shape) -> Path | None:
        """The file of a shape's source; None where there is none."""
        if self.folder is not None:
            for ending in MESH_ENDINGS:
                for suffix in (ending, ending.upper()):
                    path = self.folder / f"{shape.name}{suffix}"
                    if path.is_file() and path.resolve().is_relative_to(self.folder.resolve()):
                        return path
        source = shape.metadata.get("source")
        if isinstance(source, str) and Path(source).suffix.lower() in MESH_ENDINGS and Path(source).is_file():
            return Path(source)
        return None

    def mesh_of(self, shape: Shape) -> trimesh.Trimesh:
        """The source mesh of a shape, repaired as for encoding.

        Raises:
            FileNotFoundError: its file is not there.
            ValueError: the file cannot be read.
        """
        path = self.file_of(shape)
        if path is None:
            raise FileNotFoundError(
                f"the source mesh of {shape.name!r} is not here; give its folder: latentsdf view --meshes MESH_DIR"
            )
        return repair_mesh(load_mesh(path))[0]
