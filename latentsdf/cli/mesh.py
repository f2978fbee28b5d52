"""`latentsdf mesh`: shapes of a space as files, or as one scene, in colours and levels of detail."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..mesh.endings import SCENE_ENDINGS
from ..space.file_info import SpaceInfo
from .arguments import Result, is_mesh_file, named_space
from .progress import Bar, say

if TYPE_CHECKING:
    import trimesh

    from ..space.shape import Shape


def mesh(options: Namespace) -> Result:
    """Run `latentsdf mesh`; raises ValueError and the other errors of `verbs.run`."""
    info = named_space(options.space, options.names)
    size = _code_size(options, info)
    out, scene = Path(options.out), is_mesh_file(options.out)
    ending = _ending(options, out, scene)
    sources = _color_files(options)
    from ..mesh.mesh_file import write_meshes
    from ..scan.color_source import load_colors, paint
    from ..space.store import load

    space, rows, shapes = load(options.space), [], {}
    with Bar("mesh", options.quiet, len(options.names)) as bar:
        for done, name in enumerate(options.names, 1):
            began = monotonic()
            target = out if scene else out / f"{name}.{ending}"
            source = None if name not in sources else load_colors(sources[name])
            levels, facts = _levels(space[name] if size is None else space[name].truncated(size), options)
            if source is not None:
                facts["color_distance"] = [paint(level, source) for level in levels][0]
            shapes[name] = levels
            if not scene:
                write_meshes({name: levels}, target, options.normals)
                shapes.clear()
            seconds = monotonic() - began
            rows.append({"name": name, "path": str(target), "faces": len(levels[0].faces), "seconds": seconds, **facts})
            bar.update(done, name)
        if scene:
            write_meshes(shapes, out, options.normals)
    for row in rows:
        say(_line(row, scene and len(rows) > 1))
    return {"meshes": rows}


def _line(row: dict[str, Any], scene: bool) -> str:
    label = f"{row['path']}  {row['name']}" if scene else row["path"]
    text = f"{label}  {row['faces']:,} faces  {row['seconds']:.1f} s"
    for number, level in enumerate(row.get("levels", ())):
        text += f"\n  level {number}: {level['faces']:,} faces, within {level['distance']:.4g} of the mesh"
    return text


def _ending(options: Namespace, out: Path, scene: bool) -> str:
    """The ending of files in a folder, once formats and options are known to go together.

    Raises:
        ValueError: a format that does not hold what is asked for.
    """
    levels = options.lod is not None
    ending = out.suffix[1:].lower() if scene else options.format or ("glb" if levels else "ply")
    if levels and ending not in ("glb", "gltf"):
        raise ValueError(f"--lod writes several levels into one file, which .{ending} cannot hold; write .glb")
    if scene and len(options.names) > 1 and out.suffix.lower() not in SCENE_ENDINGS:
        raise ValueError(
            f"{out} is one file, but {len(options.names)} shapes are asked for; give a folder, or a file ending in "
            f"{', '.join(SCENE_ENDINGS)}, which holds several"
        )
    for name in options.names if scene else ():
        if options.names.count(name) > 1:
            raise ValueError(f"{name} is asked for twice; give each NAME of a scene once")
    return ending


def _levels(shape: Shape, options: Namespace) -> tuple[list[trimesh.Trimesh], dict[str, Any]]:
    """The mesh of a shape, or its levels of detail, finest first, and facts of these."""
    surface = shape.mesh(options.resolution)
    if options.lod is None:
        return [surface], {}
    from ..inference.levels_of_detail import detail_levels

    levels = detail_levels(surface, shape.frame, list(options.lod), options.seed)
    facts = [
        {"tolerance": level.tolerance, "faces": len(level.mesh.faces), "distance": level.distance} for level in levels
    ]
    return [level.mesh for level in levels], {"levels": facts}


def _color_files(options: Namespace) -> dict[str, Path]:
    """The file whose colours each shape takes, by name; empty without `--colors`.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: a folder that holds no mesh of a name, or one file for several shapes.
    """
    if options.colors is None:
        return {}
    source = Path(options.colors)
    if source.is_dir():
        from ..mesh.folder import find_meshes

        meshes = dict(find_meshes(source)[0])
        missing = [name for name in options.names if name not in meshes]
        if missing:
            raise ValueError(f"{source} holds no mesh named {missing[0]}; --colors takes those of each NAME")
        return {name: meshes[name] for name in options.names}
    if not source.is_file():
        raise FileNotFoundError(f"no such file or folder: {source}")
    if len(options.names) > 1:
        raise ValueError(
            f"{source} is one source of colours for {len(options.names)} shapes; give the folder of meshes"
        )
    return {options.names[0]: source}


def _code_size(options: Namespace, info: SpaceInfo) -> int | None:
    """The prefix of the codes that `--code-size` asks for; None where it is the whole code."""
    size = options.code_size
    if size is None or size == info.code_size:
        return None
    if size not in info.prefix_sizes:
        known = ", ".join(str(length) for length in (*info.prefix_sizes, info.code_size))
        raise ValueError(
            f"{Path(options.space).name} was not trained to be read at {size} of {info.code_size} numbers; it can be "
            f"at {known} (train with --nested {size} for more)"
        )
    return size
