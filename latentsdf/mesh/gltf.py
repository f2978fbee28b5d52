"""Named meshes, with levels of detail, as one glTF 2.0 scene: binary (GLB) or text with embedded buffers."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from .precision import FINE, single_precision_error
from .vertex_data import linear_from_srgb, split_at_creases, vertex_colors

_COMPONENTS = {"float32": 5126, "uint32": 5125, "uint16": 5123, "uint8": 5121}
_TYPES = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}
_VERTICES, _TRIANGLES = 34962, 34963
_MATERIAL = {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.8}, "doubleSided": True}
"""Of all meshes: without one, glTF asks for bare metal, which most programs show nearly black."""


def glb_bytes(shapes: Mapping[str, Sequence[trimesh.Trimesh]], normals: bool = True) -> bytes:
    """Write named meshes as one GLB.

    A shape of one level is a node of its name. Of several levels, the finest is a node NAME_LOD0 of the scene, which
    lists the others, NAME_LOD1 and on, by the extension MSFT_lod: programs that do not know it show the finest level
    alone. Axes and units are those of the meshes; far from the origin the position is that of the node. Vertex colours
    are linear, as glTF asks, in 16 bits.

    Args:
        shapes: the levels of each shape by its name, finest first.
        normals: whether normals are written, smooth but for creases; programs draw facets without.
    """
    tree, data = _scene(shapes, normals)
    tree["buffers"] = [{"byteLength": len(data)}]
    text = json.dumps(tree, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 4)
    size = 12 + 8 + len(text) + 8 + len(data)
    return b"".join(
        (
            struct.pack("<4sII", b"glTF", 2, size),
            struct.pack("<I4s", len(text), b"JSON"),
            text,
            struct.pack("<I4s", len(data), b"BIN\0"),
            data,
        )
    )


def gltf_bytes(shapes: Mapping[str, Sequence[trimesh.Trimesh]], normals: bool = True) -> bytes:
    """Write named meshes as one text file, as `glb_bytes` does; its buffer is embedded in base64."""
    tree, data = _scene(shapes, normals)
    uri = "data:application/octet-stream;base64," + base64.b64encode(data).decode("ascii")
    tree["buffers"] = [{"byteLength": len(data), "uri": uri}]
    return json.dumps(tree, separators=(",", ":")).encode("utf-8")


def _scene(shapes: Mapping[str, Sequence[trimesh.Trimesh]], normals: bool) -> tuple[dict[str, Any], bytes]:
    buffer, meshes, nodes, roots = _Buffer(), [], [], []
    for name, levels in shapes.items():
        roots.append(len(nodes))
        for number, mesh in enumerate(levels):
            label = name if len(levels) == 1 else f"{name}_LOD{number}"
            primitive, center = _primitive(buffer, mesh, normals)
            nodes.append({"name": label, "mesh": len(meshes)} | ({} if center is None else {"translation": center}))
            meshes.append({"name": label, "primitives": [primitive]})
        if len(levels) > 1:
            lower = list(range(roots[-1] + 1, len(nodes)))
            nodes[roots[-1]]["extensions"] = {"MSFT_lod": {"ids": lower}}
    tree: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "latentsdf"},
        "scene": 0,
        "scenes": [{"nodes": roots}],
        "nodes": nodes,
        "meshes": meshes,
        "materials": [_MATERIAL],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
    }
    if len(nodes) > len(roots):
        tree["extensionsUsed"] = ["MSFT_lod"]
    return tree, bytes(buffer.data)


def _primitive(buffer: _Buffer, mesh: trimesh.Trimesh, normals: bool) -> tuple[dict[str, Any], list[float] | None]:
    """The glTF primitive of a mesh, and the origin of its positions where they do not start at zero."""
    vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces)
    rows = np.arange(len(vertices))
    directions = None
    if normals:
        rows, faces, directions = split_at_creases(mesh)
    center = None
    if single_precision_error(vertices) > FINE:
        center = ((vertices.min(0) + vertices.max(0)) / 2).tolist()
        vertices = vertices - center
    attributes = {"POSITION": buffer.add(vertices[rows].astype(np.float32), _VERTICES, bounds=True)}
    if directions is not None:
        attributes["NORMAL"] = buffer.add(directions.astype(np.float32), _VERTICES)
    colors = vertex_colors(mesh)
    if colors is not None:
        shares = colors[rows] / 255.0
        shares[:, :3] = linear_from_srgb(shares[:, :3])
        attributes["COLOR_0"] = buffer.add(np.round(shares * 65535).astype(np.uint16), _VERTICES, normalized=True)
    for name, values in mesh.vertex_attributes.items():
        attributes[f"_{name}"] = buffer.add(np.asarray(values, dtype=np.float32)[rows, None], _VERTICES)
    index = faces.astype(np.uint16 if len(rows) < 65535 else np.uint32)
    primitive = {"attributes": attributes, "indices": buffer.add(index.reshape(-1, 1), _TRIANGLES), "material": 0}
    return primitive, center


class _Buffer:
    """Arrays one after the other, each at a multiple of four bytes."""

    def __init__(self):
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(self, values: NDArray[Any], target: int, bounds: bool = False, normalized: bool = False) -> int:
        """Append an array (N, K), one to four numbers a row, and give the number of its accessor."""
        packed = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
        self.views.append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(packed), "target": target})
        accessor: dict[str, Any] = {
            "bufferView": len(self.views) - 1,
            "componentType": _COMPONENTS[values.dtype.name],
            "count": len(values),
            "type": _TYPES[values.shape[1]],
        }
        if bounds:
            accessor |= {"min": values.min(0).tolist(), "max": values.max(0).tolist()}
        if normalized:
            accessor["normalized"] = True
        self.accessors.append(accessor)
        self.data += packed + bytes(-len(packed) % 4)
        return len(self.accessors) - 1
