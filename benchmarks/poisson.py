"""Screened Poisson reconstruction (Kazhdan and Hoppe 2013) by PyMeshLab, a dependency of the benchmarks alone."""

from __future__ import annotations

import numpy as np
import trimesh

from latentsdf.scan.scan import Scan

NEIGHBOURS = 10


def screened_poisson(scan: Scan, depth: int = 8) -> trimesh.Trimesh:
    """Reconstruct the surface of a scan, with its own normals or PyMeshLab's estimated and oriented ones.

    Args:
        scan: points in their own units; a sensor orients estimated normals.
        depth: of the octree.
    """
    try:
        import pymeshlab
    except ImportError:
        raise SystemExit("Poisson needs PyMeshLab, for benchmarks alone: pip install pymeshlab") from None
    meshes = pymeshlab.MeshSet()
    points = np.ascontiguousarray(scan.points)
    if scan.normals is None:
        meshes.add_mesh(pymeshlab.Mesh(vertex_matrix=points))
        one = scan.sensor is not None and scan.sensor.ndim == 1
        known = {"flipflag": True, "viewpos": np.asarray(scan.sensor)} if one else {}
        meshes.compute_normal_for_point_clouds(k=NEIGHBOURS, **known)
        if scan.sensor is not None and not one:
            normals = meshes.current_mesh().vertex_normal_matrix()
            normals = normals * np.where(np.einsum("nd,nd->n", scan.sensor - points, normals) < 0, -1.0, 1.0)[:, None]
            meshes.add_mesh(pymeshlab.Mesh(vertex_matrix=points, v_normals_matrix=normals))
    else:
        meshes.add_mesh(pymeshlab.Mesh(vertex_matrix=points, v_normals_matrix=np.ascontiguousarray(scan.normals)))
    meshes.generate_surface_reconstruction_screened_poisson(depth=depth)
    surface = meshes.current_mesh()
    return trimesh.Trimesh(surface.vertex_matrix(), surface.face_matrix(), process=False)
