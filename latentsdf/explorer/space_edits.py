"""Changes of a space file: delete, rename, tag and add shapes.

The file is read again first, so that nothing that another program added since is lost, and replaced in one step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ..space.shape import Shape
from ..space.space import LatentSpace
from ..space.store import append, load, save
from .collection import Collection

LONGEST_NAME = 200
MOST_TAGS, LONGEST_TAG = 16, 40


def delete_shape(collection: Collection, name: str) -> None:
    """Remove a shape from the file.

    Raises:
        PermissionError: the collection is read-only.
        KeyError: no such shape.
        ValueError: it is the last one.
        OSError: the disk refused; the file is untouched.
    """
    with collection.lock:
        path, space = _fresh(collection)
        space[name]
        if len(space) == 1:
            raise ValueError(f"{name!r} is the only shape of {path.name}, and a space holds at least one")
        _write(collection, path, space, (shape for shape in space.values() if shape.name != name))


def rename_shape(collection: Collection, name: str, new: str) -> None:
    """Give a shape another name, in its place.

    Raises:
        PermissionError, KeyError, OSError: as `delete_shape`.
        ValueError: the new name is taken or not a name.
    """
    with collection.lock:
        path, space = _fresh(collection)
        space[name]
        new = check_name(new)
        if new in space and new != name:
            raise ValueError(f"{path.name} already holds a shape named {new!r}; choose another name")
        shapes = (replace(shape, name=new) if shape.name == name else shape for shape in space.values())
        _write(collection, path, space, shapes)


def tag_shape(collection: Collection, name: str, tags: Sequence[str]) -> None:
    """Replace the tags of a shape; they are kept in its metadata.

    Raises:
        PermissionError, KeyError, OSError: as `delete_shape`.
        ValueError: too many tags, or one that is empty or too long.
    """
    with collection.lock:
        path, space = _fresh(collection)
        metadata = dict(space[name].metadata)
        cleaned = list(dict.fromkeys(" ".join(str(tag).split()) for tag in tags))
        if len(cleaned) > MOST_TAGS or not all(0 < len(tag) <= LONGEST_TAG for tag in cleaned):
            raise ValueError(f"a shape has at most {MOST_TAGS} tags of 1 to {LONGEST_TAG} characters, got {cleaned}")
        metadata.pop("tags", None)
        if cleaned:
            metadata["tags"] = cleaned
        append(path, [replace(space[name], metadata=metadata)], replace=True)
        collection.show(load(path))


def add_shape(collection: Collection, shape: Shape, name: str) -> None:
    """Add an encoded shape under a name.

    Raises:
        PermissionError, OSError: as `delete_shape`.
        ValueError: the name is taken or not a name.
    """
    with collection.lock:
        path, _ = _fresh(collection)
        append(path, [replace(shape, name=check_name(name))])
        collection.show(load(path))


def check_name(name: str) -> str:
    """A name that shapes can have: parts between slashes, none empty or of dots, since meshes are written under it.

    Raises:
        ValueError: it is none.
    """
    name = name.strip()
    parts = name.split("/")
    plain = name.isprintable() and "\\" not in name and ":" not in name and len(name) <= LONGEST_NAME
    if not plain or any(not part.strip() or part in (".", "..") for part in parts):
        raise ValueError(
            f"{name!r} is no name of a shape; a name is 1 to {LONGEST_NAME} characters such as chairs/windsor, without "
            "empty parts, '..', backslash and colon"
        )
    return name


def _fresh(collection: Collection) -> tuple[Path, LatentSpace]:
    """The file and the space as it is stored now."""
    if not collection.edit or collection.path is None:
        raise PermissionError("this page is read-only; start `latentsdf view` with --edit to change the space")
    collection.refresh()
    return collection.path, collection.space


def _write(collection: Collection, path: Path, old: LatentSpace, shapes: Iterable[Shape]) -> None:
    """Replace the file by the same space with other shapes, in the stored form of the old one."""
    space = LatentSpace(old.decoder, shapes, old.history)
    space.source, space.code_format, space.weight_format = old.source, old.code_format, old.weight_format
    save(space, path)
    collection.show(load(path))
