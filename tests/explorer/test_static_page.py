"""The exported page: its files, and what a browser decodes from them on a plain file server."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from chromium import Chromium
from scipy.spatial.transform import Rotation

from latentsdf.cli import main
from latentsdf.core.frame import Frame
from latentsdf.decoder.coarse import CoarseVolumes
from latentsdf.decoder.kinds import build_decoder
from latentsdf.decoder.volumes import VolumesConfig
from latentsdf.explorer.packets import unpack_packet
from latentsdf.explorer.static_page import StaticPage, export_page
from latentsdf.space.code_format import CodeFormat
from latentsdf.space.shape import Shape
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load
from latentsdf.space.weight_format import WeightSteps

TURN = Rotation.from_euler("z", 40, degrees=True).as_matrix()


class Silent(SimpleHTTPRequestHandler):
    """A plain file server."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""


@pytest.fixture(scope="module")
def volumes_space() -> LatentSpace:
    """Balls, slabs and mixtures by a volumes decoder whose one channel is the distance, with a random warp and head."""
    config = CoarseVolumes(resolutions=(17, 9), channels=(1, 2), width=8, depth=2, warp=3)
    decoder = build_decoder(VolumesConfig(code_size=32, volumes=config)).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    grid = torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, 17)] * 3, indexing="ij"), -1).view(-1, 3)
    state: Any = decoder.state_dict()
    for name, tensor in state.items():
        tensor.copy_(0.02 * torch.randn(tensor.shape, generator=generator))
        if name.endswith("shift.weight"):
            tensor.mul_(0.1)
    state["field.mean.0"].copy_(grid.norm(dim=-1) - 0.6)
    state["field.basis.0"][0].copy_((grid.abs() - torch.tensor([0.3, 0.7, 0.5])).amax(-1) - (grid.norm(dim=-1) - 0.6))
    # the head passes the first channel on: silu(x) - silu(-x) = x
    for layer, column in ((0, 3), (1, None)):
        weight = state[f"field.network.layers.{layer}.weight"]
        for unit, sign in ((0, 1.0), (1, -1.0)):
            weight[unit].zero_()
            if column is not None:
                weight[unit, column] = sign
            else:
                weight[unit, 0], weight[unit, 1] = sign, -sign
            state[f"field.network.layers.{layer}.bias"][unit] = 0.0
    state["field.network.out.weight"][0, :2] = torch.tensor([1.0, -1.0])
    decoder.load_state_dict(state)
    codes = 0.05 * torch.randn((6, 32), generator=generator)
    codes[:, 0] = torch.tensor([0.0, 0.1, 0.2, 0.8, 0.9, 1.0])
    frames = [Frame(np.eye(3), 2.0 + row, np.array([10.0, 0.0, row])) for row in range(5)]
    frames.append(Frame(TURN, 3.0, np.zeros(3)))
    names = ["ball/0", "ball/1", "ball/2", "slab/0", "slab/1", "slab/turned"]
    shapes = [Shape(*parts, decoder) for parts in zip(names, codes, frames, strict=True)]
    space = LatentSpace(decoder, shapes)
    # steps so small that many weights take more than a byte
    space.weight_format = {
        "field.basis.0": WeightSteps(torch.full((32,), 1e-3), torch.arange(4913).remainder(3).char())
    }
    space.code_format = CodeFormat.of(space.codes(), torch.full((32,), 1e-3))
    return space


@pytest.fixture(scope="module")
def exported(volumes_space: LatentSpace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[StaticPage, str]]:
    """The exported page, and the address of a file server over it."""
    page = export_page(volumes_space, tmp_path_factory.mktemp("static") / "page", title="Balls & slabs")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(page.folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield page, f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_files_hold_the_collection(exported: tuple[StaticPage, str], volumes_space: LatentSpace) -> None:
    page, _ = exported
    assert (page.shapes, page.form) == (6, "decoder")
    assert page.total_bytes == page.first_bytes == sum(f.stat().st_size for f in page.folder.rglob("*") if f.is_file())
    header, arrays = unpack_packet(gzip.decompress((page.folder / "collection.bin").read_bytes()))
    assert (header["title"], header["names"], header["meshed"]) == ("Balls & slabs", list(volumes_space.names), [0])
    codes = arrays["code"].reshape(6, 32) * arrays["code.steps"]
    assert codes == pytest.approx(volumes_space.codes().numpy(), abs=6e-4)
    assert arrays["near"].shape == (6, 5)
    assert b'data-source="static"' in (page.folder / "index.html").read_bytes()


def test_the_browser_decodes_what_the_library_decodes(
    exported: tuple[StaticPage, str], volumes_space: LatentSpace, chromium: Chromium, pictures: Path
) -> None:
    chromium.messages.clear()
    chromium.open(exported[1])
    chromium.wait("window.explorer && explorer.state.drawn && explorer.state.drawn.cells === 96")
    for name in ("ball/1", "slab/0", "slab/turned"):
        shape = volumes_space[name]
        found = chromium.run(f"""(async () => {{ const mesh = await explorer.source.mesh({{ name: {name!r} }}, 64);
          const {{ values }} = await explorer.source.section({{ name: {name!r} }}, 2, 0.1, 33);
          return {{ positions: [...mesh.positions], faces: [...mesh.faces], values: [...values],
            extents: mesh.header.extents }}; }})()""")
        positions = np.array(found["positions"]).reshape(-1, 3)
        unit = torch.from_numpy(positions @ shape.frame.rotation.T).float()
        assert float(shape.sdf(unit).abs().max()) < 0.02
        mesh = shape.mesh(64)
        assert found["extents"] == pytest.approx(mesh.extents.tolist(), rel=0.03)
        assert len(found["faces"]) / 3 == pytest.approx(len(mesh.faces), rel=0.1)
        corners = positions[np.array(found["faces"]).reshape(-1, 3)]
        volume = np.einsum("fd,fd->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
        assert volume == pytest.approx(mesh.volume / shape.frame.scale**3, rel=0.03)
        ticks = np.linspace(-1.05, 1.05, 33)
        rows, columns = np.meshgrid(ticks, ticks, indexing="ij")
        points = np.stack([columns.ravel(), rows.ravel(), np.full(33 * 33, 0.1)], 1) @ shape.frame.rotation.T
        values = shape.sdf(torch.from_numpy(points).float().clamp(-1, 1)).numpy()
        assert np.array(found["values"]) == pytest.approx(values, abs=0.02)
    chromium.picture(pictures / "static.png")


def test_the_exported_page_mixes_searches_and_downloads(exported: tuple[StaticPage, str], chromium: Chromium) -> None:
    chromium.open(exported[1])
    chromium.wait("window.explorer && explorer.state.drawn")
    chromium.run("explorer.pins.add('ball/0'); explorer.pins.add('slab/1')")
    chromium.wait("explorer.state.subject.mix && explorer.state.drawn.form === 'mixture'")
    assert chromium.run("document.getElementById('open').hidden && document.getElementById('edits').hidden")
    for ending, magic in (("glb", "glTF"), ("stl", "")):
        script = f"""(async () => {{
          const {{ name, blob }} = await explorer.source.download({{ name: "ball/2" }}, {ending!r}, 32);
          const bytes = new Uint8Array(await blob.arrayBuffer());
          return [name, bytes.length, new TextDecoder().decode(bytes.subarray(0, 4)).replaceAll("\\0", "")]; }})()"""
        name, size, start = chromium.run(script)
        assert (name, start) == (f"2.{ending}", magic)
        assert size > 1000
    assert chromium.messages == []


def test_other_decoders_are_exported_as_meshes(space_path: Path, tmp_path: Path, chromium: Chromium) -> None:
    assert main(["view", str(space_path), "--static", str(tmp_path / "page"), "--quiet"]) == 0
    _, arrays = unpack_packet(gzip.decompress((tmp_path / "page" / "meshes" / "3.bin").read_bytes()))
    header, _ = unpack_packet(gzip.decompress((tmp_path / "page" / "collection.bin").read_bytes()))
    shape = load(space_path)[header["names"][3]]
    positions = arrays["steps"] / 16_000
    assert np.ptp(positions, axis=0) * shape.frame.scale == pytest.approx(shape.mesh(64).extents, rel=0.1)
    assert (header["decoder"], len(header["meshed"])) == (None, 9)
    assert not (tmp_path / "page" / "decoder.bin").exists()
