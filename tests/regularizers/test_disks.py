"""Disks of scans whose planes are known, and of splat files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from latentsdf.core.frame import Frame
from latentsdf.regularizers import Disks
from latentsdf.scan.scan import Scan

RNG = np.random.default_rng(0)
GRID = np.stack(np.meshgrid(np.arange(9.0), np.arange(9.0), [2.0], indexing="ij"), -1).reshape(-1, 3)
BALL = RNG.normal(size=(3000, 3))
BALL /= np.linalg.norm(BALL, axis=1, keepdims=True)


def check_axes(disks: Disks) -> None:
    eye = torch.eye(3, dtype=torch.float64).expand(len(disks), 3, 3)
    torch.testing.assert_close(disks.rotations @ disks.rotations.transpose(1, 2), eye)
    torch.testing.assert_close(torch.linalg.det(disks.rotations), eye[:, 0, 0])


@pytest.mark.parametrize("normals", [None, np.tile([0.0, 0, -1], (81, 1))])
def test_disks_of_a_plane(normals) -> None:
    disks = Disks.from_scan(Scan(GRID, normals), neighbors=8)
    check_axes(disks)
    torch.testing.assert_close(disks.normals.abs(), torch.tensor([[0.0, 0, 1]]).double().expand(81, 3))
    middle = int(disks.nearest(torch.tensor([[4.1, 4.2, 2.0]]).double())[0])
    torch.testing.assert_close(disks.centers[middle], torch.tensor([4.0, 4, 2]).double())
    torch.testing.assert_close(disks.scales[middle], 2**0.5 * torch.tensor([1.0, 1.0, 0.1]).double())
    assert float(disks.opacities.min()) == 1


@pytest.mark.parametrize("known", [False, True])
def test_disks_of_a_sphere_face_outward_or_inward(known: bool) -> None:
    disks = Disks.from_scan(Scan(BALL, BALL if known else None))
    check_axes(disks)
    cosine = (disks.normals * disks.centers).sum(-1).abs()
    assert float(cosine.min()) > (1 - 1e-12 if known else 0.98)
    radius = disks.scales[:, 0]
    torch.testing.assert_close(disks.scales, radius[:, None] * torch.tensor([1.0, 1.0, 0.1]).double())
    # Ten of 3000 points fill a disk of this radius: pi r^2 = 10 / 3000 * 4 pi.
    assert float(radius.median()) == pytest.approx((4 * 10 / 3000) ** 0.5, rel=0.1)


def test_noise_repeats_and_sparse_scans() -> None:
    thick = Disks.from_scan(Scan(BALL), noise=0.05)
    assert float(thick.scales.amin(-1).min()) == 0.05
    assert len(Disks.from_scan(Scan(np.concatenate([GRID, GRID])))) == 81
    line = np.stack([np.arange(20.0), np.zeros(20), np.zeros(20)], 1)
    check_axes(Disks.from_scan(Scan(line)))
    check_axes(Disks.from_scan(Scan(line, np.tile([1.0, 0, 0], (20, 1)))))
    with pytest.raises(ValueError, match="8 distinct points are too few for disks of 10 neighbours"):
        Disks.from_scan(Scan(np.repeat(GRID[:8], 5, 0)))
    with pytest.raises(ValueError, match="neighbors >= 3"):
        Disks.from_scan(Scan(GRID), neighbors=2)


def test_disks_move_with_a_frame_and_are_chosen_by_rows() -> None:
    disks = Disks.from_scan(Scan(BALL))
    frame = Frame(Rotation.from_rotvec([0.1, 0.2, 0.3]).as_matrix(), 2.0, np.array([1.0, 2, 3]))
    moved = disks.transformed(frame)
    check_axes(moved)
    np.testing.assert_allclose(moved.centers.numpy(), frame.to_unit(BALL[np.lexsort(BALL.T[::-1])]))
    torch.testing.assert_close(moved.scales, disks.scales / 2)
    torch.testing.assert_close(moved.normals, disks.normals @ torch.tensor(frame.rotation.T))
    some = disks[disks.centers[:, 2] > 0]
    assert 0 < len(some) < len(disks)
    assert float(some.centers[:, 2].min()) > 0
    single = some.to(torch.float32, "cpu")
    assert {part.dtype for part in (single.centers, single.rotations, single.scales, single.opacities)} == {
        torch.float32
    }
    np.testing.assert_array_equal(disks.nearest(disks.centers[[5, 7]]).numpy(), [5, 7])
    assert len(disks.to_scan("ball")) == len(disks)
    with pytest.raises(ValueError, match=r"\(K, 3, 3\)"):
        Disks(disks.centers, disks.scales, disks.scales, disks.opacities)


NAMES = (
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "f_rest_0", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)


def splats(count: int = 6) -> np.ndarray:
    table = np.random.default_rng(3).normal(size=(count, len(NAMES))).astype("<f4")
    table[:, NAMES.index("scale_2")] -= 5
    return table


def write_splats(path: Path, table: np.ndarray, names: tuple[str, ...] = NAMES, text: bool = False) -> Path:
    layout = "ascii" if text else "binary_little_endian"
    header = f"ply\nformat {layout} 1.0\nelement vertex {len(table)}\n"
    header += "".join(f"property float {name}\n" for name in names) + "end_header\n"
    body = "".join(" ".join(map(str, row)) + "\n" for row in table.tolist()).encode() if text else table.tobytes()
    path.write_bytes(header.encode() + body)
    return path


@pytest.mark.parametrize("text", [False, True])
def test_a_splat_file_is_read_as_disks(tmp_path: Path, text: bool) -> None:
    table = splats()
    disks = Disks.load(write_splats(tmp_path / "splats.ply", table, text=text))
    by = {name: table[:, column].astype(np.float64) for column, name in enumerate(NAMES)}
    check_axes(disks)
    np.testing.assert_allclose(disks.centers.numpy(), np.stack([by["x"], by["y"], by["z"]], 1))
    np.testing.assert_allclose(disks.scales.numpy(), np.exp(np.stack([by[f"scale_{i}"] for i in range(3)], 1)))
    np.testing.assert_allclose(disks.opacities.numpy(), 1 / (1 + np.exp(-by["opacity"])))
    turned = Rotation.from_quat(np.stack([by["rot_1"], by["rot_2"], by["rot_3"], by["rot_0"]], 1)).as_matrix()
    np.testing.assert_allclose(disks.rotations.numpy(), turned, atol=1e-12)
    np.testing.assert_allclose(disks.normals.numpy(), turned[:, :, 2], atol=1e-12)


def test_broken_and_faint_splats_are_left_out(tmp_path: Path) -> None:
    table = splats()
    table[:, NAMES.index("opacity")] = [3, 3, 3, 3, -3, -3]
    table[0, NAMES.index("y")] = np.nan
    table[1, [NAMES.index(f"rot_{i}") for i in range(4)]] = 0
    table[2, NAMES.index("scale_0")] = 1e9
    path = write_splats(tmp_path / "splats.ply", table)
    assert len(Disks.load(path)) == 3
    assert len(Disks.load(path, min_opacity=0.5)) == 1
    with pytest.raises(ValueError, match="none of its 6 splats is usable .3 are finite.*lower min_opacity"):
        Disks.load(path, min_opacity=0.99)


def test_files_that_are_no_splats_are_refused_in_one_line(tmp_path: Path) -> None:
    plain = write_splats(tmp_path / "points.ply", splats()[:, :6].copy(), NAMES[:6])
    junk = tmp_path / "junk.ply"
    junk.write_text("junk")
    empty = write_splats(tmp_path / "empty.ply", splats(0))
    other = tmp_path / "a.splat"
    other.write_text("x")
    cut = tmp_path / "cut.ply"
    cut.write_bytes(write_splats(tmp_path / "whole.ply", splats()).read_bytes()[:-40])
    for path, says in (
        (plain, "no scale_0, scale_1, .*read a plain point cloud with Scan.load"),
        (junk, "not a readable splat PLY"),
        (empty, "empty.ply"),
        (cut, "not a readable splat PLY"),
        (other, "'.splat' is no splat ending"),
    ):
        with pytest.raises(ValueError, match=says) as caught:
            Disks.load(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match="nowhere.ply"):
        Disks.load(tmp_path / "nowhere.ply")
