"""Point clouds of every format: the points, normals, colours and sensors that were written come back."""

from __future__ import annotations

import importlib.util
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh

from latentsdf.mesh.vertex_data import vertex_colors
from latentsdf.scan.color_source import load_colors, paint
from latentsdf.scan.merge import merge_views
from latentsdf.scan.pcd import lzf_decompressed
from latentsdf.scan.scan import Scan

DRAW = np.random.default_rng(3)
POINTS = DRAW.normal(size=(60, 3)).astype(np.float32).astype(np.float64)
NORMALS = POINTS / np.linalg.norm(POINTS, axis=1, keepdims=True)
COLORS = DRAW.integers(0, 256, (60, 3)).astype(np.uint8)


def check(scan: Scan, normals: bool = True, colors: bool = True, atol: float = 0.0) -> None:
    np.testing.assert_allclose(scan.points, POINTS, rtol=0, atol=atol)
    if normals:
        assert scan.normals is not None
        np.testing.assert_allclose(scan.normals, NORMALS, atol=1e-6)
    else:
        assert scan.normals is None
    if colors:
        np.testing.assert_array_equal(scan.colors, COLORS)
    else:
        assert scan.colors is None


def rows(*columns: np.ndarray, by: str = " ") -> str:
    return "".join(by.join(repr(float(value)) for value in row) + "\n" for row in np.hstack(columns))


def test_columns_of_text_are_known_by_name_or_by_what_they_hold(tmp_path: Path) -> None:
    intensity = np.full((60, 1), -512.0)
    for name, content, normals, colors in (
        ("a.xyz", rows(POINTS, NORMALS, COLORS), True, True),
        ("b.xyz", rows(POINTS, COLORS, NORMALS), True, True),
        ("c.txt", rows(POINTS, COLORS, by=";"), False, True),
        ("d.pts", "60\n" + rows(POINTS, intensity, COLORS), False, True),
        ("e.csv", "X,Y,Z,Nx,Ny,Nz,R,G,B\n" + rows(POINTS, NORMALS, COLORS, by=","), True, True),
        ("f.csv", '"time","x","y","z"\n' + rows(intensity, POINTS, by=","), False, False),
        ("g.asc", "//X Y Z R G B\n" + rows(POINTS, COLORS), False, True),
        ("h.csv", "x,y,z,red,green,blue\n" + rows(POINTS, COLORS / 255, by=","), False, True),
    ):
        (tmp_path / name).write_text(content)
        check(Scan.load(tmp_path / name), normals, colors)
    (tmp_path / "i.csv").write_text("x,y,z\n1,2,3\n1,2\n")
    with pytest.raises(ValueError, match=r"not a readable .csv scan \(its rows have from 2 to 3 columns"):
        Scan.load(tmp_path / "i.csv")
    (tmp_path / "j.csv").write_text("a,b,c\n1,2,3\n")
    with pytest.raises(ValueError, match=r"not a readable .csv scan"):
        Scan.load(tmp_path / "j.csv")


def test_arrays_and_archives_of_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.hstack([POINTS, NORMALS, COLORS]))
    check(Scan.load(tmp_path / "a.npy"))
    np.savez(tmp_path / "b.npz", points=POINTS, normals=NORMALS, colors=COLORS / 255, sensor=[0.0, 0, 9])
    scan = Scan.load(tmp_path / "b.npz")
    check(scan)
    np.testing.assert_array_equal(scan.sensor, [0, 0, 9])
    np.savez(tmp_path / "c.npz", anything=POINTS)
    check(Scan.load(tmp_path / "c.npz"), False, False)
    np.savez(tmp_path / "d.npz", one=POINTS, two=POINTS)
    with pytest.raises(ValueError, match=r"no array named points or xyz or vertices or pos; it holds one, two"):
        Scan.load(tmp_path / "d.npz")
    np.savez(tmp_path / "e.npz", points=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        Scan.load(tmp_path / "e.npz")


def test_ply_and_obj_points_have_colours(tmp_path: Path) -> None:
    names = ["x", "y", "z", "nx", "ny", "nz"]
    header = "".join(f"property float {name}\n" for name in names)
    header += "".join(f"property uchar {name}\n" for name in ("red", "green", "blue"))
    table = np.zeros(60, [(name, "<f4") for name in names] + [(name, "u1") for name in ("red", "green", "blue")])
    for name, column in zip(table.dtype.names or (), np.hstack([POINTS, NORMALS, COLORS]).T, strict=True):
        table[name] = column
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex 60\n{header}end_header\n".encode()
    (tmp_path / "a.ply").write_bytes(head + table.tobytes())
    check(Scan.load(tmp_path / "a.ply"))
    (tmp_path / "b.obj").write_text("".join("v " + line + "\n" for line in rows(POINTS, COLORS / 255).splitlines()))
    check(Scan.load(tmp_path / "b.obj"), normals=False)


# --- PCD ---------------------------------------------------------------------------------------------------------


def lzf_compressed(data: bytes) -> bytes:
    """A plain compressor for the LZF format: the longest match among the places of the same three bytes."""
    out, literal, seen, at = bytearray(), bytearray(), {}, 0

    def flush() -> None:
        for start in range(0, len(literal), 32):
            piece = literal[start : start + 32]
            out.append(len(piece) - 1)
            out.extend(piece)
        literal.clear()

    while at < len(data):
        key = data[at : at + 3]
        start = seen.get(key, -1)
        seen[key] = at
        if len(key) < 3 or start < 0 or at - start > 8192:
            literal.append(data[at])
            at += 1
            continue
        length = 3
        while length < 264 and at + length < len(data) and data[start + length] == data[at + length]:
            length += 1
        flush()
        offset = at - start - 1
        if length - 2 < 7:
            out.append((length - 2) << 5 | offset >> 8)
        else:
            out += bytes([7 << 5 | offset >> 8, length - 2 - 7])
        out.append(offset & 255)
        at += length
    flush()
    return bytes(out)


def pcd(data: str, viewpoint: str = "0 0 0 1 0 0 0", packed: str = "F") -> bytes:
    number = (COLORS[:, 0].astype(np.uint32) << 16) | (COLORS[:, 1].astype(np.uint32) << 8) | COLORS[:, 2]
    code = "<f4" if packed == "F" else "<u4"
    names = ["x", "y", "z", "normal_x", "normal_y", "normal_z"]
    table = np.zeros(60, [(name, "<f4") for name in names] + [("rgb", code), ("_", "u1", (3,)), ("ring", "<u2")])
    for name, column in zip(names, np.hstack([POINTS, NORMALS]).T, strict=True):
        table[name] = column
    table["rgb"], table["ring"] = number.view(code), 7
    header = (
        "# .PCD v0.7\nVERSION 0.7\nFIELDS x y z normal_x normal_y normal_z rgb _ ring\nSIZE 4 4 4 4 4 4 4 1 2\n"
        f"TYPE F F F F F F {packed} U U\nCOUNT 1 1 1 1 1 1 1 3 1\nWIDTH 60\nHEIGHT 1\n"
        f"VIEWPOINT {viewpoint}\nPOINTS 60\n"
        f"DATA {data}\n"
    ).encode()
    if data == "ascii":
        lines = []
        for row in table:
            color = repr(float(row["rgb"])) if packed == "F" else str(row["rgb"])
            lines.append(" ".join([*(repr(float(row[name])) for name in names), color, "0 0 0", str(row["ring"])]))
        return header + "\n".join(lines).encode()
    if data == "binary":
        return header + table.tobytes()
    flat = b"".join(np.ascontiguousarray(table[name]).tobytes() for name in table.dtype.names or ())
    body = lzf_compressed(flat)
    return header + struct.pack("<II", len(body), len(flat)) + body


@pytest.mark.parametrize("packed", ["F", "U"])
@pytest.mark.parametrize("data", ["ascii", "binary", "binary_compressed"])
def test_pcd_of_every_encoding(tmp_path: Path, data: str, packed: str) -> None:
    (tmp_path / "a.pcd").write_bytes(pcd(data, packed=packed))
    scan = Scan.load(tmp_path / "a.pcd")
    check(scan)
    assert scan.notes == ()


def test_damaged_pcd_is_refused_and_a_viewpoint_named(tmp_path: Path) -> None:
    (tmp_path / "a.pcd").write_bytes(pcd("binary", viewpoint="1 2 3 1 0 0 0"))
    assert "states the viewpoint 1 2 3" in Scan.load(tmp_path / "a.pcd").notes[0]
    for content, says in (
        (pcd("binary")[:-1], "it ends after"),
        (pcd("binary_compressed")[:-1], "it ends after"),
        (pcd("binary").replace(b"DATA binary", b"DATA zipped"), "none of ascii, binary"),
        (pcd("ascii").replace(b"COUNT 1", b"COUNT"), "do not have as many words"),
        (b"# .PCD\nVERSION 0.7\n", "no DATA line"),
    ):
        (tmp_path / "a.pcd").write_bytes(content)
        with pytest.raises(ValueError, match=says):
            Scan.load(tmp_path / "a.pcd")


def test_lzf_copies_may_run_into_what_they_write() -> None:
    for text in (b"a" * 1000, b"abc" * 400 + b"x", bytes(range(256)) * 40):
        packed = lzf_compressed(text)
        assert len(packed) < len(text) / 4 or len(set(text)) == 256
        assert lzf_decompressed(packed, len(text)) == text
    assert lzf_decompressed(b"\x00a\xe0\xff\x00", 1 + 9 + 255) == b"a" * 265
    for damaged in (b"\x20\xff", b"\x00a\xe0", b"\x05ab"):
        with pytest.raises(ValueError, match="damaged"):
            lzf_decompressed(damaged, 8)


# --- LAS, LAZ, E57 -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(importlib.util.find_spec("laspy") is None, reason="laspy is not installed")
@pytest.mark.parametrize("ending", ["las", "laz"])
def test_las_keeps_its_coordinates(tmp_path: Path, ending: str) -> None:
    if ending == "laz":
        pytest.importorskip("lazrs")
    laspy = pytest.importorskip("laspy")
    header = laspy.LasHeader(point_format=2, version="1.2")
    header.scales, header.offsets = [1e-4] * 3, [5e5, 4e6, 0.0]
    cloud = laspy.LasData(header)
    cloud.x, cloud.y, cloud.z = (POINTS + [5e5, 4e6, 0]).T
    for scale in (1, 257):  # eight bits as they are, and eight bits in sixteen
        cloud.red, cloud.green, cloud.blue = (COLORS.astype(np.uint16) * scale).T
        cloud.write(str(tmp_path / f"a.{ending}"))
        scan = Scan.load(tmp_path / f"a.{ending}")
        np.testing.assert_allclose(scan.points - [5e5, 4e6, 0], POINTS, rtol=0, atol=5.1e-5)
        np.testing.assert_array_equal(scan.colors, COLORS)


@pytest.mark.skipif(importlib.util.find_spec("pye57") is None, reason="pye57 is not installed")
def test_the_scans_of_e57_are_moved_to_one_frame_and_have_sensors(tmp_path: Path) -> None:
    pye57 = pytest.importorskip("pye57")
    file = pye57.E57(str(tmp_path / "a.e57"), mode="w")
    data = dict(zip(("cartesianX", "cartesianY", "cartesianZ"), POINTS.T, strict=True))
    data |= dict(zip(("colorRed", "colorGreen", "colorBlue"), COLORS.T, strict=True))
    quarter = np.array([np.sqrt(0.5), 0, 0, np.sqrt(0.5)])  # about z
    file.write_scan_raw(data, rotation=np.array([1.0, 0, 0, 0]), translation=np.array([5.0, 6, 7]))
    file.write_scan_raw(data, rotation=quarter, translation=np.array([0.0, 0, 1]))
    file.close()
    scan = Scan.load(tmp_path / "a.e57")
    turned = np.column_stack([-POINTS[:, 1], POINTS[:, 0], POINTS[:, 2] + 1])
    np.testing.assert_allclose(scan.points, np.concatenate([POINTS + [5, 6, 7], turned]), atol=1e-5)
    np.testing.assert_array_equal(scan.sensor, np.repeat([[5.0, 6, 7], [0, 0, 1]], 60, axis=0))
    np.testing.assert_array_equal(scan.colors, np.concatenate([COLORS, COLORS]))
    assert scan.cropped


@pytest.mark.parametrize(("ending", "package"), [("las", "laspy"), ("laz", "laspy"), ("e57", "pye57")])
def test_a_missing_extra_is_named(tmp_path: Path, ending: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / f"a.{ending}").write_bytes(b"junk")
    with pytest.raises(ImportError, match=rf"a.{ending}: reading .{ending} needs .* 'latentsdf\[(las|e57)\]'"):
        Scan.load(tmp_path / f"a.{ending}")


# --- colours of a scan -------------------------------------------------------------------------------------------


def test_colours_go_with_the_points() -> None:
    broken = POINTS.copy()
    broken[7] = np.nan
    scan = Scan(broken, sensor=np.array([0.0, 0, 9]), colors=COLORS)
    np.testing.assert_array_equal(scan.colors, np.delete(COLORS, 7, axis=0))
    part = scan.select(np.array([3, 1]))
    np.testing.assert_array_equal(part.colors, COLORS[[3, 1]])
    assert (
        scan.transformed(scan.frame()).colors is scan.colors
        or (scan.transformed(scan.frame()).colors == scan.colors).all()
    )
    assert scan.colors is not None
    merged = merge_views([scan, scan])
    np.testing.assert_array_equal(merged.colors, np.concatenate([scan.colors, scan.colors]))
    assert merge_views([scan, Scan(POINTS, sensor=np.zeros(3))]).colors is None
    with pytest.raises(ValueError, match="60 points need as many colors"):
        Scan(POINTS, colors=COLORS[:5])


def test_a_mesh_takes_the_colours_of_the_nearest_points(tmp_path: Path) -> None:
    sphere = trimesh.creation.icosphere(subdivisions=4)
    shades = np.round((sphere.vertices + 1) * 127).astype(np.uint8)
    np.savez(tmp_path / "ball.npz", points=sphere.vertices, colors=shades)
    coarse = trimesh.creation.icosphere(subdivisions=2, radius=1.1)
    assert paint(coarse, load_colors(tmp_path / "ball.npz")) == pytest.approx(0.1, abs=1e-3)
    painted = vertex_colors(coarse)
    assert painted is not None
    wanted = np.round((coarse.vertices / 1.1 + 1) * 127).astype(int)
    assert np.abs(painted[:, :3].astype(int) - wanted).max() <= 6
    np.save(tmp_path / "bare.npy", POINTS)
    coarse.export(str(tmp_path / "bare.stl"))
    for name in ("bare.npy", "bare.stl"):
        with pytest.raises(ValueError, match="bare holds no colours; give a mesh or scan that does"):
            load_colors(tmp_path / name)
