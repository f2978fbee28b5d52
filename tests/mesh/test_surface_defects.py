"""Components, genus and roughness of surfaces whose answers are known."""

import numpy as np
import pytest
import trimesh

from latentsdf.core.frame import Frame
from latentsdf.mesh.metrics import GHOST_DISTANCE, compare
from latentsdf.mesh.surface_defects import NEIGHBOURHOOD, TOUCHING, roughness, topology


def ball(radius=0.5, subdivisions=3, center=(0.0, 0.0, 0.0)):
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return trimesh.Trimesh(mesh.vertices + np.array(center), mesh.faces, process=False)


def ring(center=(0.0, 0.0, 0.0)):
    mesh = trimesh.creation.torus(0.3, 0.1, major_sections=32, minor_sections=16)
    return trimesh.Trimesh(mesh.vertices + np.array(center), mesh.faces, process=False)


def together(*meshes):
    """One mesh of several, vertices kept apart."""
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
    faces = np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts[:-1], strict=True)])
    return trimesh.Trimesh(np.concatenate([mesh.vertices for mesh in meshes]), faces, process=False)


def topology_of(mesh):
    found = topology(mesh)
    return found.components, found.genus


def voxels(cells):
    """Boundary of a set of unit cells: two triangles a face, one vertex a position."""
    cells, faces, corners = set(cells), [], {}
    for cell in sorted(cells):
        for axis in range(3):
            for side in (0, 1):
                step = np.eye(3, dtype=int)[axis]
                if tuple(np.array(cell) + (2 * side - 1) * step) in cells:
                    continue
                u, v = np.eye(3, dtype=int)[(axis + 1) % 3], np.eye(3, dtype=int)[(axis + 2) % 3]
                start = np.array(cell) + side * step
                loop = [tuple(start), tuple(start + u), tuple(start + u + v), tuple(start + v)]
                a, b, c, d = (corners.setdefault(corner, len(corners)) for corner in (loop if side else loop[::-1]))
                faces += [(a, b, c), (a, c, d)]
    return trimesh.Trimesh(np.array(list(corners)) * 0.1, faces, process=False)


def test_components_and_genus_of_solids():
    assert topology_of(ball()) == (1, 0)
    assert topology_of(ring()) == (1, 1)
    assert topology_of(together(ring(), ring((0, 0, 0.5)))) == (2, 2)
    assert topology_of(together(ball(0.5), ball(0.2))) == (2, 0)  # a cavity is a surface of its own
    plate = [(x, y, 0) for x in range(5) for y in range(3)]
    assert topology_of(voxels(plate)) == (1, 0)
    assert topology_of(voxels(set(plate) - {(1, 1, 0), (3, 1, 0)})) == (1, 2)  # a double torus


def test_a_crumb_is_a_component_however_small():
    assert topology_of(together(ball(0.5), ball(0.001, 0, (0.6, 0, 0)))) == (2, 0)


def test_pieces_in_contact_are_one_component():
    seat, leg = trimesh.creation.box((0.5, 0.5, 0.05)), trimesh.creation.box((0.05, 0.05, 0.4))

    def chair(gap):
        moved = trimesh.Trimesh(leg.vertices - [0.1, 0.1, 0.225 + gap], leg.faces, process=False)
        return together(seat, moved, trimesh.Trimesh(moved.vertices + [0.2, 0.2, 0], leg.faces, process=False))

    assert topology_of(chair(0)) == (1, 0)
    assert topology_of(chair(-0.02)) == (1, 0)
    assert topology_of(chair(0.5 * TOUCHING)) == (1, 0)
    assert topology_of(chair(2 * TOUCHING)) == (3, 0)


def test_equal_vertices_are_merged_and_open_meshes_have_no_genus():
    corners = ring().triangles.reshape(-1, 3)
    soup = trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False)
    assert topology_of(soup) == (1, 1)
    torn = trimesh.Trimesh(ball().vertices, ball().faces[1:], process=False)
    assert topology_of(torn) == (1, None)


def test_pieces_that_share_a_vertex_are_one_component_with_handles_of_their_own():
    corner_to_corner = voxels([(0, 0, 0), (1, 1, 1)])
    assert len(corner_to_corner.vertices) == 15
    assert topology_of(corner_to_corner) == (1, 0)
    edge_to_edge = voxels([(0, 0, 0), (1, 1, 0)])
    assert topology_of(edge_to_edge) == (1, None)  # four faces at an edge


def test_neither_winding_nor_order_of_faces_matters():
    generator = np.random.default_rng(0)
    faces = ring().faces[generator.permutation(len(ring().faces))]
    faces = np.where(generator.random(len(faces))[:, None] < 0.5, faces[:, ::-1], faces)
    assert topology_of(trimesh.Trimesh(ring().vertices, faces, process=False)) == (1, 1)


@pytest.mark.parametrize("radius", [0.3, 0.9])
def test_roughness_of_a_sphere_is_its_curvature(radius):
    # chord c uniform in c^2 up to r^2: mean angle 2 asin(c / 2R) = 2 r / 3 R
    expected = np.degrees(2 * NEIGHBOURHOOD / (3 * radius))
    assert roughness(ball(radius, 7)) == pytest.approx(expected, rel=0.03)


def test_roughness_of_planes_and_of_bumps():
    assert roughness(trimesh.creation.box((1, 1, 1e-3))) < 1  # two sides of a thin sheet are not an edge
    smooth = ball(0.9, 6)
    bumps = np.random.default_rng(0).normal(0, 1, len(smooth.vertices))[:, None]
    found = []
    for size in (0, 1e-3, 4e-3):
        rough = trimesh.Trimesh(smooth.vertices * (1 + size * bumps), smooth.faces, process=False)
        found.append(roughness(rough))
    assert found[0] < 1 < 5 < found[1] < 0.5 * found[2]


def test_roughness_of_a_cube_is_that_of_its_edges():
    # pairs across an edge, per unit of its length: 4 r^3 t / (3 sin t) for normals at an angle t; in all: pi r^2 area
    r, angle, length, area = NEIGHBOURHOOD, np.pi / 2, 12, 6
    expected = 90 * 4 * r**3 * angle * length / (3 * np.pi * r**2 * area)
    found = np.mean([roughness(trimesh.creation.box(), seed) for seed in range(4)])
    assert found == pytest.approx(expected, rel=0.1)


def test_ghost_area_is_the_share_of_what_is_added_and_missing_area_of_what_is_not_there():
    body, ghost = ball(0.5, 4), ball(0.2, 4, (0.75, 0, 0))
    more = compare(together(body, ghost), body, samples=20_000)
    assert more.ghost_area == pytest.approx(0.04 / 0.29, abs=0.01)
    assert more.missing_area == 0
    assert (more.components, more.components_true, more.genus, more.genus_true) == (2, 1, 0, 0)
    less = compare(body, together(body, ghost), samples=20_000)
    assert less.missing_area == pytest.approx(0.04 / 0.29, abs=0.01)
    assert less.ghost_area == 0
    assert (less.components, less.components_true) == (1, 2)
    same = compare(body, body, samples=1000)
    assert same.ghost_area == same.missing_area == 0
    assert same.roughness == pytest.approx(same.roughness_true, rel=0.05)


def test_a_missing_leg_is_missing_area():
    plate = {(x, y, 0) for x in range(8) for y in range(8)}
    legs = [{(x, 0, z) for z in range(1, 9)} for x in (0, 7)]
    truth, torn = voxels(plate | legs[0] | legs[1]), voxels(plate | legs[0])
    found = compare(torn, truth)
    cell = 0.1 / Frame.around(truth.vertices).scale
    near = 4 * GHOST_DISTANCE / cell  # faces of the lost leg, 33 in all, that are within reach of the plate
    assert found.missing_area == pytest.approx((33 - near) / (truth.area / 0.01), abs=0.01)
    assert found.ghost_area < 1 / (torn.area / 0.01)  # at most the face of the plate that closes the hole
    assert found.components == found.components_true == 1
