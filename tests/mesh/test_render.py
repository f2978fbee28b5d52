"""Images of solids whose outlines, depths and shades are known."""

import numpy as np
import pytest
import trimesh
from scipy.spatial import Delaunay
from trimesh.visual import ColorVisuals

from latentsdf.core.frame import UNIT_RADIUS, Frame
from latentsdf.mesh.rasterize import plane_coefficients, rasterize
from latentsdf.mesh.render import contact_sheet, framed, render
from latentsdf.mesh.shading_normals import corner_normals

SIZE = 96


def ball(radius=1.0, center=(0.0, 0.0, 0.0), subdivisions=4):
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return trimesh.Trimesh(mesh.vertices + np.array(center), mesh.faces, process=False)


def front(mesh, frame=None):
    """View along the x axis: y to the right, z up."""
    return render(mesh, SIZE, azimuth=0.0, elevation=0.0, frame=frame)


def painted(mesh, colour):
    mesh = mesh.copy()
    mesh.visual = ColorVisuals(mesh, vertex_colors=np.tile([*colour, 255], (len(mesh.vertices), 1)))
    return mesh


def joined(*meshes):
    whole = trimesh.util.concatenate(meshes)
    assert isinstance(whole, trimesh.Trimesh)
    return whole


def coverage(image):
    """Pixels that are not background."""
    return image.min(-1) < 255


@pytest.mark.parametrize(("azimuth", "elevation"), [(35.0, 25.0), (0.0, 0.0), (-80.0, 90.0)])
def test_the_outline_of_a_sphere_is_a_disc_without_holes(azimuth, elevation):
    image = render(ball(), SIZE, azimuth=azimuth, elevation=elevation)
    radius = SIZE / 2 * UNIT_RADIUS
    row, column = np.mgrid[:SIZE, :SIZE] + 0.5 - SIZE / 2
    distance = np.hypot(row, column)
    covered = coverage(image)
    assert covered[distance < radius - 1].all()
    assert not covered[distance > radius + 1].any()
    assert covered.sum() == pytest.approx(np.pi * (radius + 0.5) ** 2, rel=0.03)


def test_the_depth_buffer_counts_the_area_of_a_disc():
    mesh = ball(subdivisions=5)
    buffer = rasterize((np.asarray(mesh.vertices) * [100, 100, 100] + [128, 128, 0])[mesh.faces], 256)
    covered = buffer.face >= 0
    assert covered.sum() == pytest.approx(np.pi * 100**2, rel=2e-3)
    row, column = np.nonzero(covered)
    height = 100**2 - (row + 0.5 - 128) ** 2 - (column + 0.5 - 128) ** 2
    inner = height > 30**2
    np.testing.assert_allclose(buffer.depth[covered][inner], np.sqrt(height[inner]), atol=0.5)


def test_triangles_by_hand():
    near = [[0, 0, 2], [4, 0, 2], [0, 4, 2]]
    far = [[0, 0, 1], [8, 0, 1], [0, 8, 1]]
    sliver = [[7.2, 7.2, 5], [7.4, 7.2, 5], [7.2, 7.4, 5]]  # has no pixel centre
    beyond = [[-9, -9, 9], [-1, -9, 9], [-1, -1, 9]]
    for faces in ((near, far, sliver, beyond), (far, sliver, near, beyond)):
        buffer = rasterize(np.array(faces, dtype=float), 8)
        row, column = np.mgrid[:8, :8]
        expected = np.where(row + column < 4, 2, np.where(row + column < 8, 1, -np.inf))
        np.testing.assert_allclose(buffer.depth, expected)
        assert (buffer.face[row + column < 4] == faces.index(near)).all()
        assert (buffer.face[expected < 0] == -1).all()


def test_neighbours_leave_no_gap():
    generator = np.random.default_rng(0)
    points = np.concatenate([generator.uniform(0, 64, (400, 2)), [[0, 0], [64, 0], [0, 64], [64, 64]]])
    faces = Delaunay(points).simplices
    corners = np.concatenate([points, np.ones((len(points), 1))], axis=1)[faces]
    assert (rasterize(corners, 64).face >= 0).all()


def test_plane_coefficients_are_those_of_a_linear_function():
    corners = np.random.default_rng(0).uniform(0, 9, (20, 3, 2))
    values = 3 + 2 * (corners[..., 0] - 0.5) - 5 * (corners[..., 1] - 0.5)
    np.testing.assert_allclose(plane_coefficients(corners, values).T, np.tile([3, 2, -5], (20, 1)), rtol=1e-6)
    edge_on = np.array([[[0.0, 0], [1, 1], [2, 2]]])
    np.testing.assert_allclose(plane_coefficients(edge_on, np.array([[1.0, 2, 6]])).T, [[3, 0, 0]])


def test_the_nearer_sphere_hides_the_farther_one():
    red, green = painted(ball(0.5, (0.6, 0, 0)), (255, 0, 0)), painted(ball(0.5, (-0.6, 0, 0)), (0, 255, 0))
    for meshes in ((red, green), (green, red)):
        both = joined(*meshes)
        ahead, behind = front(both), render(both, SIZE, azimuth=180.0, elevation=0.0)
        for image, channel in ((ahead, 0), (behind, 1)):
            seen = image[SIZE // 2 - 5 : SIZE // 2 + 5, SIZE // 2 - 5 : SIZE // 2 + 5]
            assert (seen[..., channel] > 100).all()
            assert (np.delete(seen, channel, axis=-1) == 0).all()


def test_a_flat_face_has_one_colour_and_edges_stay_sharp():
    image = front(trimesh.creation.box((1, 1, 1)))
    rows, columns = np.nonzero(coverage(image))
    inner = image[rows.min() + 1 : rows.max(), columns.min() + 1 : columns.max()]
    assert inner.shape[0] > SIZE // 2
    assert np.ptp(inner.reshape(-1, 3), axis=0).max() <= 1
    corner = render(trimesh.creation.box((1, 1, 1)), SIZE)
    place = np.array([[0.31, 0.5], [0.69, 0.5], [0.5, 0.27]]) * SIZE  # on the left, the right and the upper face
    shades = [corner[int(y), int(x)].astype(int) for x, y in place]
    near = [np.abs(corner.astype(int) - shade).max(-1) <= 1 for shade in shades]
    assert all((mask.sum() > 400) for mask in near)
    assert not np.logical_and.reduce(near).any()
    assert np.logical_or.reduce(near).sum() > 0.85 * coverage(corner).sum()


def test_the_same_image_again_and_in_any_units():
    mesh = ball(subdivisions=2)
    image = render(mesh, SIZE)
    assert (render(mesh, SIZE) == image).all()
    moved = trimesh.Trimesh(mesh.vertices * 500 + 100, mesh.faces, process=False)
    assert np.abs(render(moved, SIZE).astype(int) - image).max() <= 1
    half = render(mesh, SIZE, frame=Frame(np.eye(3), 2 / UNIT_RADIUS, np.zeros(3)))
    assert coverage(half).sum() == pytest.approx(coverage(image).sum() / 4, rel=0.1)


def test_both_sides_of_an_open_mesh_are_drawn_alike():
    corners = np.array([[0, -1, -1], [0, 1, -1], [0, 1, 1], [0, -1, 1]], dtype=float)
    sheet = trimesh.Trimesh(corners, np.array([(0, 1, 2), (0, 2, 3)]), process=False)
    turned = trimesh.Trimesh(corners, np.array([(2, 1, 0), (3, 2, 0)]), process=False)
    image = front(sheet)
    assert np.abs(image.astype(int) - front(turned)).max() <= 1
    assert coverage(image).sum() == pytest.approx((SIZE * UNIT_RADIUS / 2**0.5) ** 2, rel=0.05)
    assert not coverage(render(sheet, SIZE, azimuth=90.0, elevation=0.0)).any()  # edge-on


def test_a_wall_on_a_plane_makes_a_hollow_darker_and_casts_a_shadow_away_from_the_lamp():
    plate = trimesh.creation.box((0.1, 2, 2))
    wall = trimesh.creation.box((0.5, 0.1, 2))
    both = joined(plate, trimesh.Trimesh(wall.vertices + [0.3, 0, 0], wall.faces, process=False))
    frame = Frame.around(plate.vertices)
    open_row, walled = (front(m, frame)[SIZE // 2].astype(int)[:, 0] for m in (plate, both))
    edge = round(SIZE / 2 * (1 + 0.05 * UNIT_RADIUS / np.sqrt(2.0025)))
    right, left = walled[edge + 1 :], walled[SIZE - edge - 2 :: -1]
    assert open_row[SIZE // 2] - right[0] > 20
    assert right[:8].mean() < left[:8].mean() - 10  # the lamp stands on the left
    assert left[0] < left[12]
    assert np.abs(left[20:26] - open_row[SIZE // 2]).max() < 8


def test_a_ground_lies_under_a_shape_and_is_white_at_the_edges():
    plain, image = (render(ball(0.5, (0, 0, 3)), SIZE, ground=ground) for ground in (False, True))
    assert (image[[0, -1]] > 252).all()
    assert (image[:, [0, -1]] > 252).all()
    grey = (np.ptp(image.astype(int), axis=-1) == 0) & (image[..., 0] < 240)
    row, column = np.nonzero(grey)
    assert len(row) > 200
    assert row.mean() > SIZE / 2
    assert (np.ptp(plain[coverage(plain)].astype(int), axis=-1) > 0).mean() > 0.9  # without a ground no grey is there
    below = render(ball(), SIZE, elevation=-20.0, ground=True)
    assert (below[:8] == 255).all()


def test_shapes_are_framed_by_what_is_seen_of_them():
    box = trimesh.creation.box((0.2, 6.0, 1.0))
    image = render(box, SIZE, azimuth=0.0, elevation=0.0, frame=framed(np.asarray(box.vertices), 0.0, 0.0, 0.8))
    row, column = np.nonzero(coverage(image))
    assert np.ptp(column) + 1 == pytest.approx(0.8 * SIZE, abs=2)
    assert np.ptp(row) + 1 == pytest.approx(0.8 * SIZE / 6, abs=2)
    assert row.mean() == pytest.approx((SIZE - 1) / 2, abs=0.6)


def test_normals_are_smooth_on_a_sphere_and_sharp_on_a_box():
    mesh = ball(subdivisions=3)
    rows = np.arange(0, len(mesh.faces), 7)
    normals = corner_normals(np.asarray(mesh.vertices), np.asarray(mesh.faces), rows)
    np.testing.assert_allclose(normals, np.asarray(mesh.vertices)[mesh.faces[rows]], atol=0.02)
    box = trimesh.creation.box()
    normals = corner_normals(np.asarray(box.vertices), np.asarray(box.faces), np.arange(12))
    np.testing.assert_allclose(normals, np.repeat(box.face_normals[:, None], 3, axis=1), atol=1e-9)


def test_a_crease_is_kept_where_the_other_faces_are_smooth():
    # a fan of two faces 30 degrees apart and a third at 90: the first two share a normal, the third does not
    angles = np.radians([0, 30, 90])
    out = np.array([[np.cos(a), 0, np.sin(a)] for a in (angles[0], *np.pi - angles[1:])])
    assert len(out) == 3
    ridge = np.array([[0.0, 0, 0], [0, 1, 0]])
    vertices = np.concatenate([ridge, out])
    faces = np.array([(0, 2, 1), (0, 1, 3), (0, 1, 4)])
    unit = np.cross(vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]])
    angle = np.degrees(np.arccos(unit @ unit.T))
    np.testing.assert_allclose([angle[0, 1], angle[0, 2], angle[1, 2]], [30, 90, 60], atol=1e-6)
    normals = corner_normals(vertices, faces, np.arange(3))
    shared = (unit[0] + unit[1]) / np.linalg.norm(unit[0] + unit[1])
    np.testing.assert_allclose(normals[:2, 0], np.stack([shared, shared]), atol=1e-9)
    np.testing.assert_allclose(normals[2], np.tile(unit[2], (3, 1)), atol=1e-9)


def test_a_contact_sheet_has_a_cell_for_each_mesh():
    sheet = np.asarray(contact_sheet([("a", [ball(), None]), ("b", [None, ball()])], ("x", "y"), size=40))
    assert sheet.shape == (26 + 80, 110 + 80, 3)
    cells = sheet[26:, 110:].reshape(2, 40, 2, 40, 3).min((1, 3, 4))
    assert (cells < 255).tolist() == [[True, False], [False, True]]


def test_a_mesh_without_area_is_refused():
    with pytest.raises(ValueError, match="no area to render"):
        render(trimesh.Trimesh(np.eye(3), np.array([(0, 1, 1)]), process=False))
