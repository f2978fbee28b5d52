"""`latentsdf search`: the shapes of a space nearest to a name, a mesh, a scan, or each file of a folder."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.names import UnknownShape, class_of
from ..mesh.endings import MESH_ENDINGS, SCAN_ENDINGS
from .arguments import Result, given_pose, load_scan, named_space
from .progress import Bar, say

if TYPE_CHECKING:
    from ..space.index import Index, Match
    from ..space.shape import Shape
    from ..space.space import LatentSpace


def search(options: Namespace) -> Result:
    """Run `latentsdf search`; raises UnknownShape, ValueError and the other errors of `verbs.run`."""
    info, path = named_space(options.space), Path(options.query)
    if options.query not in info.names and not path.exists():
        raise UnknownShape(options.query, info.names, Path(options.space).name)
    if options.verify and options.query not in info.names and path.suffix.lower() not in MESH_ENDINGS:
        raise ValueError("--verify compares surfaces, of a name or one mesh file; leave it out for scans and folders")
    given_pose(options, "free")
    among = _chosen(info.names, options)
    from ..space.index import Index
    from ..space.store import load

    space = load(options.space)
    index = Index(space, options.metric)
    if index.metric == "record" and options.pose is not None:
        raise ValueError("search records are the same in every pose; leave --pose out, or add --metric code")
    if options.query not in info.names and path.is_dir():
        return {**_search_folder(space, index, among, options), "metric": index.metric}
    matches = _matches(space, index, options.query, among, options)
    rows = [asdict(match) for match in matches]
    if options.verify:
        rows = _verified(space, options, rows)
    for row in rows:
        say(f"{row['distance']:.5f}  {row['name']}{'  ' + row['why'] if 'why' in row else ''}")
    return {"query": options.query, "metric": index.metric, "matches": rows}


def _verified(space: LatentSpace, options: Namespace, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Matches with how their surfaces are related to that of the query, the same ones first, then variants."""
    from ..mesh.load import load_mesh
    from ..mesh.relation import relate
    from ..mesh.repair import repair_mesh
    from ..mesh.surface import Surface
    from .duplicates import CELLS, TOLERANCES

    stored = options.query in space
    mesh = space[options.query].mesh(CELLS) if stored else repair_mesh(load_mesh(options.query))[0]
    asked, found = Surface(mesh), []
    with Bar("verify", options.quiet, len(rows)) as bar:
        for row in rows:
            try:
                there = Surface(space[row["name"]].mesh(CELLS))
                relation = relate((Path(options.query).stem, row["name"]), asked, there, TOLERANCES[1], variants=True)
            except ValueError as error:  # a code without a surface
                found.append({**row, "relation": None, "why": str(error)})
            else:
                why = "alike, not the same" if relation is None else str(relation)
                found.append({**row, "relation": relation and relation.to_dict(), "why": why})
            bar.update(len(found), row["name"])
    return sorted(found, key=lambda row: (row["relation"] is None, (row["relation"] or {}).get("kind") == "variant"))


def _search_folder(space: LatentSpace, index: Index, among: list[str] | None, options: Namespace) -> Result:
    """One row for each mesh or scan below a folder; a file that cannot be used is a row with its reason."""
    from ..mesh.folder import find_meshes

    folder = Path(options.query)
    files, nameless = find_meshes(folder, endings=tuple(dict.fromkeys((*MESH_ENDINGS, *SCAN_ENDINGS))))
    rows: list[dict[str, Any]] = []
    with Bar("search", options.quiet, len(files)) as bar:
        for name, file in files:
            try:
                matches = _matches(space, index, str(file), among, options)
            except (ValueError, OSError) as error:
                rows.append({"query": name, "reason": str(error)})
            else:
                rows.append({"query": name, "matches": [asdict(match) for match in matches]})
            bar.update(len(rows), name)
    if not any("matches" in row for row in rows):
        raise ValueError(f"none of the {len(rows)} files in {folder} could be searched by: {rows[0]['reason']}")
    for row in rows:
        found = "  ".join(f"{match['name']} {match['distance']:.3f}" for match in row.get("matches", ()))
        say(f"{row['query']:30s}  {found or row['reason']}")
    return {"queries": rows + [{"query": name, "reason": reason} for name, reason in nameless]}


def _chosen(names: tuple[str, ...], options: Namespace) -> list[str] | None:
    """Names of the classes that `--class` gives; None without.

    Raises:
        ValueError: a class that the space does not hold.
    """
    if not options.classes:
        return None
    known = sorted({class_of(name) for name in names} - {""})
    for name in options.classes:
        if name not in known:
            held = f"it holds {', '.join(known)}" if known else "its names carry no classes"
            raise ValueError(f"no shape of {Path(options.space).name} is of class {name!r}; {held}")
    return [name for name in names if class_of(name) in options.classes]


def _matches(space: LatentSpace, index: Index, query: str, among: list[str] | None, options: Namespace) -> list[Match]:
    """Matches of a name of the space, or of a mesh or scan file."""
    from ..mesh.load import NotAMesh, load_mesh
    from ..mesh.repair import repair_mesh

    surface = None
    if query not in space:
        try:
            surface = load_mesh(query)
        except NotAMesh:
            if index.metric == "code":
                return index.search(_scanned(space, query, options), options.k, among)
            from ..scan.scan_record import record_of_scan

            return index.search(record_of_scan(load_scan(query, options), options.seed), options.k, among, partial=True)
    if options.sensor is not None or options.cropped:
        raise ValueError(f"{query} is no point cloud, so no sensor saw it; leave --sensor and --cropped out")
    if surface is None:
        return index.search(query, options.k, among)
    if index.metric == "record":
        return index.search(repair_mesh(surface)[0], options.k, among)
    from ..inference.code_fitting import EncodeConfig
    from ..inference.encoding import encode_all

    config = EncodeConfig(**given_pose(options, "free"), seed=options.seed)
    shape = encode_all(space, [(Path(query).stem, surface)], config=config)[0]
    return index.search(shape, options.k, among)


def _scanned(space: LatentSpace, path: str, options: Namespace) -> Shape:
    """The shape that explains a scan, by its code alone."""
    from ..core.optimize import Stop
    from ..reconstruction.reconstruction import ReconstructConfig, reconstruct
    from ..reconstruction.scan_fitting import ScanFitConfig

    fit = ScanFitConfig(**given_pose(options, "placed"), seed=options.seed)
    result = reconstruct(space, load_scan(path, options), config=ReconstructConfig(fit=fit, refine=False))
    if result.stop is Stop.INTERRUPTED:
        raise KeyboardInterrupt
    return result.shape
