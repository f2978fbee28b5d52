"""Depth images of a sphere, rendered by its equation, and views with poses: back to points with their sensors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from latentsdf.scan.depth_image import Camera, DepthFrame, depth_views, read_depth
from latentsdf.scan.posed_views import load_posed_views
from latentsdf.scan.rgbd_folder import rgbd_frames
from latentsdf.scan.scan import Scan

CENTER, RADIUS = np.array([0.5, -0.2, 1.0]), 0.7
CAMERA = Camera((90.0, 80.0), (39.5, 31.0), 1000.0)
ROWS, COLUMNS = 60, 80


def poses(count: int = 6, distance: float = 2.5) -> list[np.ndarray]:
    """Cameras around the sphere that look at its centre from places apart."""
    found = []
    for number in range(count):
        turn = Rotation.from_euler("yx", [360 * number / count, 35 * (-1) ** number], degrees=True).as_matrix()
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = turn, CENTER - distance * turn[:, 2]
        found.append(pose)
    return found


def rendered(pose: np.ndarray, camera: Camera = CAMERA) -> np.ndarray:
    """Depths along the optical axis of the sphere, in the numbers of an image; 0 beside it."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    rays = np.stack([(columns - camera.principal[0]) / camera.focal[0], (rows - camera.principal[1]) / camera.focal[1]])
    rays = np.moveaxis(np.concatenate([rays, np.ones((1, ROWS, COLUMNS))]), 0, -1)
    center = pose[:3, :3].T @ (CENTER - pose[:3, 3])
    along, squared = rays @ center, (rays**2).sum(-1)
    inside = along**2 - squared * (center @ center - RADIUS**2)
    z = np.where(inside > 0, (along - np.sqrt(np.maximum(inside, 0))) / squared, 0)
    return np.round(z * camera.depth_scale).astype(np.uint16)


def save(path: Path, depth: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(depth).save(path)


def check_views(views: Sequence[Scan], wanted: Sequence[np.ndarray], atol: float) -> None:
    assert len(views) == len(wanted)
    for view, pose in zip(views, wanted, strict=True):
        assert view.sensor is not None
        np.testing.assert_allclose(view.sensor, pose[:3, 3], atol=1e-9)
        np.testing.assert_allclose(np.linalg.norm(view.points - CENTER, axis=1), RADIUS, atol=atol)
        outward = (view.points - CENTER) / RADIUS
        facing = np.einsum("nd,nd->n", view.sensor - view.points, outward)
        assert facing.min() > -0.03
        assert len(view) > 500


def text(pose: np.ndarray) -> str:
    return "\n".join(" ".join(f"{value:.9f}" for value in row) for row in pose)


def seven_scenes(folder: Path) -> dict[str, Any]:
    for number, pose in enumerate(poses()):
        depth = rendered(pose)
        depth[0, :] = 65535  # no measurement either
        save(folder / f"frame-{number:06d}.depth.png", depth)
        (folder / f"frame-{number:06d}.pose.txt").write_text(text(pose))
    return {"camera": (90, 80, 39.5, 31.0)}


def three_d_match(folder: Path) -> dict[str, Any]:
    seven_scenes(folder)
    (folder / "camera-intrinsics.txt").write_text("90 0 39.5\n0 80 31\n0 0 1\n")
    return {}


def scannet(folder: Path) -> dict[str, Any]:
    (folder / "pose").mkdir()
    (folder / "intrinsic").mkdir()
    (folder / "intrinsic" / "intrinsic_depth.txt").write_text("90 0 39.5 0\n0 80 31 0\n0 0 1 0\n0 0 0 1\n")
    for number, pose in enumerate(poses()):
        save(folder / "depth" / f"{10 * number}.png", rendered(pose))
        (folder / "pose" / f"{10 * number}.txt").write_text(text(pose))
    save(folder / "depth" / "55.png", rendered(poses()[0]))
    (folder / "pose" / "55.txt").write_text(text(np.full((4, 4), -np.inf)))  # tracking lost
    return {}


def tum(folder: Path) -> dict[str, Any]:
    fine = Camera(CAMERA.focal, CAMERA.principal, 5000.0)
    depths, truth, colors = ["# depth maps"], ["# ground truth"], ["# color images"]
    for number, pose in enumerate(poses()):
        save(folder / "depth" / f"{number}.png", rendered(pose, fine))
        save(folder / "rgb" / f"{number}.png", np.full((ROWS, COLUMNS, 3), (10 * number, 20, 30), np.uint8))
        depths.append(f"{100 + number}.0 depth/{number}.png")
        colors.append(f"{100 + number}.01 rgb/{number}.png")
        for shift, time in ((0, 0.004), (50, 0.012), (50, -0.5)):  # a nearer one, and others that are wrong
            numbers = [*(pose[:3, 3] + shift), *Rotation.from_matrix(pose[:3, :3]).as_quat()]
            truth.append(f"{100 + number + time:.4f} " + " ".join(f"{value:.12f}" for value in numbers))
    save(folder / "depth" / "lost.png", rendered(poses()[0], fine))
    depths.append("200.0 depth/lost.png")
    for name, lines in (("depth", depths), ("groundtruth", truth), ("rgb", colors)):
        (folder / f"{name}.txt").write_text("\n".join(lines))
    (folder / "camera.txt").write_text("90 80 39.5 31")
    return {}


@pytest.mark.parametrize("layout", [seven_scenes, three_d_match, scannet, tum])
def test_the_common_layouts_give_the_sphere_back(tmp_path: Path, layout: Any) -> None:
    frames, notes = rgbd_frames(tmp_path, 50, **layout(tmp_path))
    views = depth_views(frames, 10**6)
    check_views(views, poses(), atol=2e-3 if layout is not tum else 4e-4)
    assert notes == (("1 of 7 images have no pose",) if layout in (scannet, tum) else ())
    if layout is tum:
        for number, view in enumerate(views):
            assert view.colors is not None
            assert (view.colors == (10 * number, 20, 30)).all()


def test_frames_are_thinned_and_the_usual_camera_is_named(tmp_path: Path) -> None:
    seven_scenes(tmp_path)
    frames, notes = rgbd_frames(tmp_path, 3)
    assert [frame.depth.name[6:12] for frame in frames] == ["000000", "000002", "000005"]
    assert frames[0].camera == Camera((585.0, 585.0), (320.0, 240.0), 1000.0)
    assert notes[0] == "3 of 6 images used"
    assert "585 585 320 240 taken" in notes[1]
    assert rgbd_frames(tmp_path, 3, depth_scale=256)[0][0].camera.depth_scale == 256
    few = depth_views(frames, 300)
    assert [len(view) for view in few] == [100, 100, 100]
    np.testing.assert_array_equal(few[0].points, depth_views(frames, 300)[0].points)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no depth images with poses: wanted are depth.txt and groundtruth.txt"):
        rgbd_frames(tmp_path / "empty", 3)


def test_a_list_of_views_mixes_clouds_and_depth_images(tmp_path: Path) -> None:
    one, two, three = poses(3)
    save(tmp_path / "one.png", rendered(one))
    save(tmp_path / "shade.png", np.full((ROWS, COLUMNS, 3), 77, np.uint8))
    whole = depth_views([DepthFrame(tmp_path / "one.png", pose, CAMERA) for pose in (np.eye(4),)], 10**6)[0].points
    np.save(tmp_path / "two.npy", (whole @ one[:3, :3].T + one[:3, 3] - two[:3, 3]) @ two[:3, :3])
    np.save(tmp_path / "three.npy", whole @ one[:3, :3].T + one[:3, 3])
    listed = {
        "intrinsics": {"fx": 90, "fy": 80, "cx": 39.5, "cy": 31},
        "views": [
            {"file": "two.npy", "camera_to_world": two[:3].tolist()},
            {"file": "three.npy", "sensor": one[:3, 3].tolist()},
            {"file": "one.png", "camera_to_world": one.tolist(), "color": "shade.png"},
        ],
    }
    (tmp_path / "poses.json").write_text(json.dumps(listed))
    views = load_posed_views(tmp_path / "poses.json", 10**6)
    assert [len(view) for view in views] == [len(whole)] * 3
    for view, pose in zip(views, (two, one, one), strict=True):
        np.testing.assert_allclose(np.linalg.norm(view.points - CENTER, axis=1), RADIUS, atol=2e-3)
        assert view.sensor is not None
        np.testing.assert_allclose(view.sensor, pose[:3, 3])
    assert views[2].colors is not None
    assert (views[2].colors == 77).all()
    (tmp_path / "list.json").write_text(json.dumps(listed["views"][:2]))
    assert len(load_posed_views(tmp_path / "list.json", 10)) == 2


@pytest.mark.parametrize(
    ("views", "says"),
    [
        ([], 'wanted is a list of views, or an object with such a list under "views"'),
        ([{"sensor": [0, 0, 0]}], "view 0 names no file"),
        ([{"file": "b.npy", "sensor": [0, 0, 0]}], "view 0: no such file"),
        ([{"file": "a.npy"}], "view 0 needs either its sensor, 3 numbers, or camera_to_world"),
        ([{"file": "a.npy", "sensor": [0, 0]}], "a sensor is 3 finite numbers"),
        ([{"file": "a.npy", "sensor": [0, 0, 0], "pose": 1}], "unknown key 'pose'; known are camera_to_world"),
        ([{"file": "a.npy", "camera_to_world": [1, 2, 3]}], "a pose is 4 rows of 4 numbers"),
        ([{"file": "a.npy", "camera_to_world": (2 * np.eye(4)).tolist()}], "are no rotation"),
        ([{"file": "a.npy", "camera_to_world": np.diag([1.0, 1, -1, 1]).tolist()}], "are no rotation"),
        ([{"file": "d.png", "sensor": [0, 0, 0]}], "is a depth image and needs camera_to_world"),
        ([{"file": "d.png", "camera_to_world": np.eye(4).tolist()}], "is a depth image and needs intrinsics"),
    ],
)
def test_what_is_wrong_in_a_list_of_views_is_said(tmp_path: Path, views: list, says: str) -> None:
    np.save(tmp_path / "a.npy", np.eye(3))
    save(tmp_path / "d.png", np.ones((2, 2), np.uint16))
    (tmp_path / "poses.json").write_text(json.dumps(views))
    with pytest.raises((ValueError, FileNotFoundError), match=says):
        load_posed_views(tmp_path / "poses.json", 100)


def test_images_that_are_no_depths_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "color.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="color.png is no depth image: wanted is one channel of 16 bits"):
        read_depth(tmp_path / "color.png")
    (tmp_path / "junk.png").write_bytes(b"junk")
    with pytest.raises(ValueError, match="junk.png: not a readable image"):
        read_depth(tmp_path / "junk.png")
    save(tmp_path / "empty.png", np.zeros((4, 4), np.uint16))
    with pytest.raises(ValueError, match="none of the 1 depth images measured anything"):
        depth_views([DepthFrame(tmp_path / "empty.png", np.eye(4), CAMERA)], 10)
    with pytest.raises(ValueError, match="must be positive and finite"):
        Camera((0.0, 1.0), (0.0, 0.0))
