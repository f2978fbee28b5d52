"""Named meshes as 3MF files: a ZIP archive with one XML model (3MF Core Specification 1.3, materials extension)."""

from __future__ import annotations

import posixpath
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Mapping
from io import BytesIO
from os import PathLike
from xml.sax.saxutils import quoteattr

import numpy as np
import trimesh

from ..core.arrays import Array, Indices
from .precision import decimal_format, text_rows
from .vertex_data import vertex_colors

_CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
_MATERIAL = "http://schemas.microsoft.com/3dmanufacturing/material/2015/02"
_PRODUCTION = "http://schemas.microsoft.com/3dmanufacturing/production/2015/06"
_MODEL = "3D/3dmodel.model"
_RELATION = "http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_DEPTH = 20
"""Components within components at most."""


def threemf_bytes(meshes: Mapping[str, trimesh.Trimesh]) -> bytes:
    """Write named meshes as one 3MF file, each an object of its name, with vertex colours where it has them.

    3MF knows lengths only with a unit: the numbers are those of the meshes, and the unit is millimetres.
    """
    resources, items = [], []
    for number, (name, mesh) in enumerate(meshes.items()):
        body, identity = _object(name, mesh, 2 * number + 1)
        resources.append(body)
        items.append(f'<item objectid="{identity}"/>')
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    model = (
        f'{head}<model unit="millimeter" xml:lang="en" xmlns="{_CORE}" xmlns:m="{_MATERIAL}">'
        f"<resources>{''.join(resources)}</resources><build>{''.join(items)}</build></model>"
    )
    types = (
        f'{head}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/></Types>'
    )
    relations = (
        f'{head}<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Target="/{_MODEL}" Id="rel0" Type="{_RELATION}"/></Relationships>'
    )
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path, text in (("[Content_Types].xml", types), ("_rels/.rels", relations), (_MODEL, model)):
            archive.writestr(zipfile.ZipInfo(path), text, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _object(name: str, mesh: trimesh.Trimesh, first: int) -> tuple[str, int]:
    """The resources of a mesh, and the number of its object; `first` and the one after are free numbers."""
    vertices, faces, colors = np.asarray(mesh.vertices), np.asarray(mesh.faces), vertex_colors(mesh)
    number = decimal_format(vertices)
    places = text_rows(f'<vertex x="{number}" y="{number}" z="{number}"/>', vertices)
    head, attributes = "", ""
    if colors is None:
        triangles = text_rows('<triangle v1="%d" v2="%d" v3="%d"/>', faces)
    else:
        palette, of_vertex = np.unique(colors, axis=0, return_inverse=True)
        swatches = text_rows('<m:color color="#%02X%02X%02X%02X"/>', palette)
        head = f'<m:colorgroup id="{first}">{swatches}</m:colorgroup>'
        attributes = f' pid="{first}" pindex="0"'
        template = f'<triangle v1="%d" v2="%d" v3="%d" pid="{first}" p1="%d" p2="%d" p3="%d"/>'
        triangles = text_rows(template, np.column_stack([faces, of_vertex.reshape(-1)[faces]]))
    mesh_text = f"<mesh><vertices>{places}</vertices><triangles>{triangles}</triangles></mesh>"
    identity = first + 1
    opening = f'<object id="{identity}" type="model" name={quoteattr(name)}{attributes}>'
    return f"{head}{opening}{mesh_text}</object>", identity


def read_threemf(path: str | PathLike[str]) -> trimesh.Trimesh:
    """Read the objects that a 3MF file builds as one mesh, in their places; units and colours are left out.

    Returns:
        The mesh, without vertices where the file builds nothing.

    Raises:
        ValueError: not a 3MF archive, or a reference that leads nowhere.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _Reader(archive).build()
    except (zipfile.BadZipFile, ElementTree.ParseError, KeyError) as error:
        raise ValueError(f"no 3MF archive: {error}") from error


class _Reader:
    """The models of an archive, read when they are referred to."""

    def __init__(self, archive: zipfile.ZipFile):
        self.archive = archive
        self.objects: dict[tuple[str, str], ElementTree.Element] = {}
        self.parts: list[tuple[Array, Indices]] = []

    def build(self) -> trimesh.Trimesh:
        path = self._model_path()
        model = self._read(path)
        for item in model.iterfind(f"{{{_CORE}}}build/{{{_CORE}}}item"):
            self._add(path, item, np.eye(4), 0)
        starts = np.cumsum([0] + [len(vertices) for vertices, _ in self.parts])
        vertices = np.concatenate([vertices for vertices, _ in self.parts] or [np.empty((0, 3))])
        faces = [faces + start for (_, faces), start in zip(self.parts, starts[:-1], strict=True)]
        return trimesh.Trimesh(vertices, np.concatenate(faces or [np.empty((0, 3), np.int64)]), process=False)

    def _model_path(self) -> str:
        """The path of the start part, by the relationships of the package."""
        root = ElementTree.fromstring(self.archive.read("_rels/.rels"))
        targets = [item.get("Target", "") for item in root if item.get("Type") == _RELATION]
        return targets[0].lstrip("/") if targets else _MODEL

    def _read(self, path: str) -> ElementTree.Element:
        model = ElementTree.fromstring(self.archive.read(path))
        for item in model.iterfind(f"{{{_CORE}}}resources/{{{_CORE}}}object"):
            self.objects[path, item.get("id", "")] = item
        return model

    def _add(self, path: str, reference: ElementTree.Element, outer: Array, depth: int) -> None:
        """Add the meshes of a build item or a component, under the transform of what it lies in."""
        if depth > _DEPTH:
            raise ValueError(f"components refer to each other more than {_DEPTH} deep")
        elsewhere = reference.get(f"{{{_PRODUCTION}}}path")
        if elsewhere is not None:
            path = posixpath.normpath(elsewhere.lstrip("/"))
            if not any(known == path for known, _ in self.objects):
                self._read(path)
        matrix = outer @ _matrix(reference.get("transform"))
        found = self.objects.get((path, reference.get("objectid", "")))
        if found is None:
            raise ValueError(f"no object {reference.get('objectid')!r} in {path}")
        mesh = found.find(f"{{{_CORE}}}mesh")
        if mesh is not None:
            self.parts.append(_transformed(mesh, matrix))
        for component in found.iterfind(f"{{{_CORE}}}components/{{{_CORE}}}component"):
            self._add(path, component, matrix, depth + 1)


def _matrix(text: str | None) -> Array:
    """The 4 x 4 matrix on column vectors of the twelve numbers of a transform, which acts on rows."""
    matrix = np.eye(4)
    if text is not None:
        matrix[:3] = np.array(text.split(), dtype=np.float64).reshape(4, 3).T
    return matrix


def _transformed(mesh: ElementTree.Element, matrix: Array) -> tuple[Array, Indices]:
    places = [[v.get(axis) for axis in "xyz"] for v in mesh.iterfind(f"{{{_CORE}}}vertices/{{{_CORE}}}vertex")]
    corners = [
        [t.get(corner) for corner in ("v1", "v2", "v3")]
        for t in mesh.iterfind(f"{{{_CORE}}}triangles/{{{_CORE}}}triangle")
    ]
    vertices = np.array(places, dtype=np.float64).reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
    faces = np.array(corners, dtype=np.int64).reshape(-1, 3)
    # A reflection turns faces inside out.
    return vertices, faces if np.linalg.det(matrix[:3, :3]) > 0 else faces[:, ::-1]
