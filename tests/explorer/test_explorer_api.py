"""Answers of the explorer's server, its errors, and who it answers."""

from __future__ import annotations

import io
import json
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from page_client import Client

from latentsdf.cli import main
from latentsdf.core.frame import Frame
from latentsdf.core.lattice import lattice_vertices
from latentsdf.explorer import plane_map
from latentsdf.explorer.byte_cache import ByteCache
from latentsdf.explorer.guards import TOKEN, is_own_host, refusal
from latentsdf.explorer.packets import pack_packet, unpack_packet
from latentsdf.explorer.page_server import ViewConfig, view
from latentsdf.explorer.preview_mesh import lattice_mesh
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load, save

BALL = {"name": "ball/1"}


def packet(client: Client, path: str, query: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    status, body, _ = client.ask(f"api/{path}", query)
    assert status == 200, body
    return unpack_packet(body)


def test_a_packet_keeps_header_and_arrays() -> None:
    arrays = {"a": np.arange(5, dtype=np.int8), "b": np.array([[0.5, -2.0]], dtype=np.float32)}
    header, found = unpack_packet(pack_packet({"name": "ünï"}, arrays))
    assert header == {"name": "ünï"}
    assert all(np.array_equal(found[key], arrays[key]) and found[key].shape == arrays[key].shape for key in arrays)
    with pytest.raises(ValueError, match="no array of float64"):
        pack_packet({}, {"x": np.zeros(2)})


def test_the_cache_drops_the_oldest() -> None:
    cache = ByteCache(10)
    cache.put("a", b"12345")
    cache.put("b", b"12345")
    assert cache.get("a") == b"12345"
    cache.put("c", b"1")
    assert (cache.get("b"), cache.get("a"), cache.size) == (None, b"12345", 6)


def test_a_lattice_of_a_ball_gives_its_mesh() -> None:
    values = (lattice_vertices(49).norm(dim=-1) - 0.6).view(49, 49, 49)
    frame = Frame(np.eye(3), 2.0, np.array([10.0, 0.0, 0.0]))
    mesh = lattice_mesh(values, frame)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 1.2**3, rel=0.01)
    assert mesh.center_mass == pytest.approx([10.0, 0.0, 0.0], abs=1e-3)
    with pytest.raises(ValueError, match="no surface on this lattice"):
        lattice_mesh(values + 2, frame)


def test_vectors_beyond_the_landmarks_lie_among_those_of_their_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plane_map, "LANDMARKS", 60)
    kinds = np.arange(150) % 3
    vectors = 4 * np.eye(3)[kinds] + np.random.default_rng(0).normal(0, 0.2, (150, 3))
    points = plane_map.neighbour_plane(vectors)
    assert np.abs(points).max() == pytest.approx(1.0)
    distances = np.linalg.norm(points[:, None] - points, axis=-1) + 1e9 * np.eye(150)
    assert (kinds[distances.argmin(1)] == kinds).mean() > 0.95


@pytest.mark.parametrize(
    ("headers", "changes", "answered"),
    [
        ({"Host": "127.0.0.1:8080"}, False, True),
        ({"Host": "localhost:8080", "Origin": "http://localhost:8080"}, False, True),
        ({"Host": "[::1]:8080"}, False, True),
        ({"Host": "evil.example:8080"}, False, False),
        ({"Host": "127.0.0.1.evil.example"}, False, False),
        ({}, False, False),
        ({"Host": "localhost:8080", "Origin": "http://evil.example"}, False, False),
        ({"Host": "localhost:8080", "Origin": "null"}, False, False),
        ({"Host": "localhost:8080", "Sec-Fetch-Site": "cross-site"}, False, False),
        ({"Host": "localhost:8080"}, True, False),
        ({"Host": "localhost:8080", TOKEN: "1"}, True, True),
    ],
)
def test_requests_of_other_sites_are_refused(headers: dict[str, str], changes: bool, answered: bool) -> None:
    assert (refusal(headers, "127.0.0.1", changes) is None) is answered


def test_a_server_of_the_network_has_the_name_of_its_machine() -> None:
    assert is_own_host(f"{socket.gethostname()}:80", "0.0.0.0")
    assert not is_own_host("other.example:80", "0.0.0.0")


def test_the_server_refuses_by_its_headers(client: Client) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        status, body, _ = client.ask("api/space", headers=headers)
        assert (status, "error" in json.loads(body)) == (403, True)
    status, body, _ = client.ask("api/delete", {"name": "ball/0"}, body=b"")
    assert (status, json.loads(body)["error"]) == (403, f"a request that changes something needs the header {TOKEN}")
    status, _, headers = client.ask("")
    assert status == 200
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert headers["Access-Control-Allow-Origin"] is None
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.ask("", headers=followed)[0] == 200
    assert client.ask("", headers={**followed, "Host": "evil.example"})[0] == 403


@pytest.mark.parametrize(
    ("path", "query", "status", "text"),
    [
        ("api/mesh", {"name": "bal/1"}, 404, "no shape named 'bal/1' in tiny.h5; did you mean 'ball/1'?"),
        ("api/mesh", {**BALL, "cells": 1000}, 422, "cells must be a whole number from 16 to 256, got 1000"),
        ("api/mesh", {**BALL, "cells": "x"}, 422, "cells must be a number, got 'x'"),
        ("api/mesh", {}, 422, "the request names no shape"),
        ("api/mesh", {"mix": "ball/0", "weights": "1"}, 422, "a mixture takes 2 to 4 names and as many weights"),
        ("api/mesh", [("mix", "ball/0"), ("mix", "box/0"), ("weights", "1,-1")], 422, "weights of a mixture are not"),
        ("api/facts", {"upload": "none"}, 404, "no upload 'none'"),
        ("api/section", {**BALL, "axis": 3}, 422, "a section has an axis of 0 to 2"),
        ("api/section", {**BALL, "offset": "nan"}, 422, "offset must be finite"),
        ("api/download", {**BALL, "format": "exe"}, 422, "no download as 'exe'; choose glb, stl, ply"),
        ("api/nothing", {}, 404, "there is nothing at /api/nothing"),
        ("../page_server.py", {}, 404, "there is nothing at"),
        ("web/explorer.js", {}, 404, "there is nothing at"),
    ],
)
def test_a_bad_request_is_a_sentence(client: Client, path: str, query: Any, status: int, text: str) -> None:
    found, sentence = client.refused(path, query)
    assert found == status
    assert sentence.startswith(text)


def test_the_collection_is_listed_and_placed(client: Client) -> None:
    space = client.get("space")
    assert len(space["names"]) == 9
    assert space["classes"].count("ring") == 3
    assert (space["edit"], space["metric"], space["decoder"]) == (True, "record", "dual")
    while not (plane := client.get("map"))["done"]:
        time.sleep(0.05)
    points = np.array(plane["points"])
    assert (plane["method"], plane["by"], points.shape) == ("tsne", "records", (9, 2))
    assert np.abs(points).max() == pytest.approx(1.0)


@pytest.mark.parametrize("cells", [40, 96])
def test_a_mesh_lies_in_the_view_frame_with_outward_normals(client: Client, cells: int) -> None:
    header, arrays = packet(client, "mesh", {**BALL, "cells": cells})
    positions, normals = arrays["positions"], arrays["normals"] / 127
    assert header["extents"] == pytest.approx([2.0, 2.0, 2.0], abs=0.2)
    assert np.linalg.norm(positions, axis=1) == pytest.approx(1 / 1.03, abs=0.15)
    assert (np.einsum("nd,nd->n", positions, normals) > 0).mean() > 0.97
    mesh = trimesh.Trimesh(positions, arrays["faces"], process=False)
    assert mesh.volume == pytest.approx(4 / 3 * np.pi / 1.03**3, rel=0.15)
    assert header["cells"] == cells


def test_facts_and_neighbours_of_a_shape(client: Client) -> None:
    facts = client.get("facts", BALL)
    assert (facts["name"], facts["class"], facts["mode"], facts["original"]) == ("ball/1", "ball", "code", True)
    assert facts["audit"]["watertight"] is True
    assert facts["bytes"] > 0
    near = client.get("neighbours", BALL)["matches"]
    assert {match["name"] for match in near[:2]} == {"ball/0", "ball/2"}
    assert all(match["name"] != "ball/1" for match in near)


def test_a_section_of_a_ball_has_its_level_sets(client: Client) -> None:
    header, arrays = packet(client, "section", {**BALL, "axis": 2, "offset": 0, "cells": 65})
    values, ticks = arrays["values"], np.linspace(-header["side"], header["side"], 65)
    inside = np.hypot(*np.meshgrid(ticks, ticks)) < 1 / 1.03
    assert ((values < 0) == inside).mean() > 0.93
    assert values[32, 32] < -0.25


def test_a_morph_goes_from_one_shape_to_the_other(client: Client) -> None:
    pair = [("mix", "ball/1"), ("mix", "ring/1"), ("cells", "48")]
    while packet(client, "mesh", [*pair, ("weights", ".5,.5")])[0]["form"] != "morph":
        time.sleep(0.05)
    thickness = [
        packet(client, "mesh", [*pair, ("weights", f"{1 - t},{t}")])[0]["extents"][2] for t in (0.0, 0.25, 0.75, 1.0)
    ]
    assert thickness == sorted(thickness, reverse=True)
    facts = client.get("facts", [*pair, ("weights", ".5,.5")])
    assert (facts["mode"], facts["bytes"], facts["class"]) == ("morph", None, "")
    four = [("mix", name) for name in ("ball/0", "ball/1", "ball/2", "ring/0")]
    header, arrays = packet(client, "mesh", [*four, ("weights", "1,1,1,0"), ("cells", "32")])
    assert np.linalg.norm(arrays["positions"], axis=1) == pytest.approx(1 / 1.03, abs=0.3)
    assert header["form"] == "shape"


@pytest.mark.parametrize("ending", ["glb", "stl", "ply"])
def test_a_download_is_a_mesh_in_source_units(client: Client, ending: str) -> None:
    status, body, headers = client.ask("api/download", {"name": "ball/2", "format": ending, "cells": 48})
    assert status == 200
    assert headers["Content-Disposition"] == f"attachment; filename*=UTF-8''2.{ending}"
    mesh: Any = trimesh.load(io.BytesIO(body), file_type=ending, force="mesh")
    assert mesh.extents == pytest.approx([2.4, 2.4, 2.4], abs=0.25)


def test_a_shape_is_compared_with_its_source(client: Client) -> None:
    _, arrays = packet(client, "original", BALL)
    assert len(arrays["faces"]) == 1280
    figures = client.get("compare", BALL)
    assert 0 < figures["chamfer_l1"] < 0.2
    assert figures["components_true"] == 1


def finished(client: Client, key: str) -> dict[str, Any]:
    while (state := client.get("upload", {"upload": key}))["state"] in ("waiting", "searching", "fitting"):
        time.sleep(0.05)
    return state


def test_an_upload_is_found_encoded_added_renamed_tagged_and_deleted(
    client: Client, shown_path: Path, mesh_dir: Path
) -> None:
    before = load(shown_path)
    data = (mesh_dir / "ring" / "1.ply").read_bytes()
    status, upload = client.change("upload", {"filename": "../../my ring.ply"}, data)
    assert (status, upload["name"]) == (200, "my ring.ply")
    state = finished(client, upload["key"])
    assert (state["state"], state["kind"], state["matches"][0]["name"]) == ("done", "mesh", "ring/1")
    assert state["matches"][0]["distance"] < 0.05
    shape = {"upload": upload["key"]}
    header, _ = packet(client, "mesh", {**shape, "cells": 40})
    assert header["extents"] == pytest.approx([2.6, 2.6, 0.6], abs=0.3)
    for name in ("../up", "a//b", "c:\\d", "x" * 300):
        assert client.change("add", {**shape, "new": name})[0] == 422
    assert client.change("add", {**shape, "new": "ring/1"})[0] == 422
    assert client.change("add", {**shape, "new": "ring/new"})[0] == 200
    assert client.change("rename", {"name": "ring/new", "new": "box/1"})[0] == 422
    assert client.change("rename", {"name": "ring/new", "new": "hoop/mine"})[0] == 200
    status, summary = client.change(
        "tag", [("name", "hoop/mine"), ("tag", "round "), ("tag", "my  own"), ("tag", "round")]
    )
    assert (status, summary["tags"]) == (200, {"hoop/mine": ["round", "my own"]})
    stored = load(shown_path)
    assert stored.names == (*before.names, "hoop/mine")
    assert stored["hoop/mine"].metadata["tags"] == ["round", "my own"]
    assert client.change("delete", {"name": "hoop/mine"})[0] == 200
    assert client.change("delete", {"name": "hoop/mine"})[0] == 404
    after = load(shown_path)
    assert after.names == before.names
    assert torch.equal(after.codes(), before.codes())
    weights = zip(after.decoder.state_dict().values(), before.decoder.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in weights)
    assert all(np.array_equal(after[name].record, before[name].record) for name in before.names)  # pyright: ignore[reportArgumentType]
    assert not list(shown_path.parent.glob(".*.tmp"))


@pytest.mark.slow
def test_a_scan_is_reconstructed_with_what_is_guessed(client: Client, mesh_dir: Path) -> None:
    mesh: Any = trimesh.load(mesh_dir / "ball" / "1.ply")
    points = mesh.sample(800, seed=0)
    text = "\n".join(" ".join(f"{x:.5f}" for x in point) for point in points[points[:, 2] > -0.2])
    _, upload = client.change("upload", {"filename": "half.xyz"}, text.encode())
    state = finished(client, upload["key"])
    assert (state["state"], state["kind"]) == ("done", "scan"), state
    _, arrays = packet(client, "mesh", {"upload": upload["key"], "cells": 40})
    guess, height = arrays["guess"], arrays["positions"][:, 2]
    assert guess[height > 0.2].mean() < 100 < guess[height < -0.5].mean()
    _, points = packet(client, "points", {"upload": upload["key"]})
    assert len(points["positions"]) == state["points"]


@pytest.mark.parametrize(
    ("name", "data", "status", "text"),
    [
        ("shape.exe", b"MZ", 422, "shape.exe has no ending of a mesh or scan"),
        ("shape.ply", b"", 422, "shape.ply is empty"),
    ],
)
def test_a_file_that_is_none_is_refused(client: Client, name: str, data: bytes, status: int, text: str) -> None:
    found, answer = client.change("upload", {"filename": name}, data)
    assert found == status
    assert answer["error"].startswith(text)


def test_an_unreadable_file_fails_with_a_sentence_and_one_can_be_cancelled(client: Client, mesh_dir: Path) -> None:
    _, upload = client.change("upload", {"filename": "broken.stl"}, b"not a mesh at all")
    state = finished(client, upload["key"])
    assert state["state"] == "failed"
    assert "not a readable" in state["note"] or "empty" in state["note"]
    assert client.refused("api/mesh", {"upload": upload["key"]})[0] == 422
    _, upload = client.change("upload", {"filename": "ball.ply"}, (mesh_dir / "ball" / "0.ply").read_bytes())
    client.change("cancel", {"upload": upload["key"]})
    assert finished(client, upload["key"])["state"] in ("cancelled", "done")


def test_a_file_too_large_is_refused_before_it_is_read(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latentsdf.explorer.page_requests.LARGEST", 10)
    status, answer = client.change("upload", {"filename": "a.ply"}, b"x" * 11)
    assert (status, answer["error"].startswith("a file may have")) == (413, True)


def test_a_change_of_the_file_is_seen(client: Client, shown_path: Path) -> None:
    version, space = client.get("space")["version"], load(shown_path)
    save(space, shown_path)
    assert client.get("space")["version"] == version + 1


def test_a_page_is_read_only_unless_told(space_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = view(load(space_path), port=8620, block=False, config=ViewConfig(path=space_path))
    assert server is not None
    try:
        status, answer = Client(server).change("delete", {"name": "ball/0"})
        assert status == 403
        assert "read-only" in answer["error"]
        second = view(load(space_path), port=server.port, block=False)
        assert second is not None
        assert second.port == server.port + 1
        folder = second.answers.uploads.folder
        assert folder.exists()
        second.stop()
        assert not folder.exists()
    finally:
        server.stop()


def test_what_cannot_be_viewed_is_one_line(
    space_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    space = load(space_path)
    for port in (0, 70_000):
        with pytest.raises(ValueError, match=f"port lies from 1 to 65535, got {port}"):
            view(space, port=port)
    with pytest.raises(ValueError, match="holds no shapes"):
        view(LatentSpace(space.decoder), block=False)
    with pytest.raises(ValueError, match="edits are written to a file"):
        view(space, config=ViewConfig(edit=True))
    with pytest.raises(OSError, match="cannot serve at 203.0.113.1"):
        view(space, config=ViewConfig(host="203.0.113.1"))
    for arguments, text in (
        ((tmp_path / "none.ply",), "no such file"),
        ((tmp_path,), "no such file"),
        (("--meshes", tmp_path / "none"), "no such folder"),
        (("--title", "x"), "--title is of a page written with --static"),
        (("--static", tmp_path / "out", "--edit"), "--edit are of a served page"),
    ):
        assert main(["view", str(space_path), *map(str, arguments)]) == 2
        assert text in capsys.readouterr().err


def test_ctrl_c_ends_the_page(
    space_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ctrl_c(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("latentsdf.explorer.page_server.time.sleep", ctrl_c)
    assert main(["view", str(space_path), "--port", "8700"]) == 0
    assert capsys.readouterr().out.startswith(f"{space_path.name}: 9 shapes at http://127.0.0.1:87")
