"""Exports of decoders: the file read back, and the model run elsewhere, give the fields of the space."""

from __future__ import annotations

import importlib.util
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from latentsdf.cli import main
from latentsdf.core.frame import Frame
from latentsdf.decoder import CoarseMLP, CoarseVolumes, DualConfig, LinearConfig, build_decoder
from latentsdf.decoder.deepsdf import DeepSDFConfig
from latentsdf.decoder.volumes import VolumesConfig
from latentsdf.space.onnx_export import onnx_bytes
from latentsdf.space.safetensors import load_safetensors
from latentsdf.space.shape import Shape
from latentsdf.space.store import load

SMALL = CoarseVolumes(resolutions=(4, 7), channels=(3, 2), width=8, depth=2, warp=3)
CONFIGS = {
    "volumes": VolumesConfig(code_size=4, volumes=SMALL),
    "dual": DualConfig(code_size=4, coarse=SMALL, grid_resolution=5, grid_channels=2, fine_width=8, fine_depth=2),
    "dual-mlp": DualConfig(code_size=4, coarse=CoarseMLP(width=8, depth=2, octaves=2), grid_resolution=5),
    "deepsdf": DeepSDFConfig(code_size=4, width=16, depth=4),
    "linear": LinearConfig(code_size=4, resolution=6),
}


def test_a_safetensors_file_holds_the_space_as_a_process_and_back(tmp_path: Path, space_path: Path) -> None:
    out = tmp_path / "new" / "decoder.safetensors"
    command = [
        sys.executable,
        "-m",
        "latentsdf",
        "export",
        str(space_path),
        str(out),
        "--json",
        str(tmp_path / "r.json"),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert f"{out.stat().st_size:,} bytes; decoder, 9 codes and frames" in done.stdout
    assert json.loads((tmp_path / "r.json").read_text())["shapes"] == 9
    found, space = load_safetensors(out), load(space_path)
    assert found.names == space.names
    assert torch.equal(found.codes, space.codes())
    points = torch.rand(50, 3) * 2 - 1
    for name, code, frame in zip(found.names, found.codes, found.frames, strict=True):
        shape = space[name]
        assert torch.equal(found.decoder.condition(code)(points), shape.decoded()(points))
        np.testing.assert_array_equal(frame.rotation, shape.frame.rotation)
        assert frame.scale == shape.frame.scale
    content = out.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    assert length % 8 == 0
    assert header["codes"]["shape"] == [9, 8]
    assert (
        max(entry["data_offsets"][1] for name, entry in header.items() if name[0] != "_") == len(content) - 8 - length
    )
    out.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="is no exported decoder, or damaged"):
        load_safetensors(out)


@pytest.mark.skipif(importlib.util.find_spec("safetensors") is None, reason="safetensors is not installed")
def test_the_reference_reader_agrees(tmp_path: Path, space_path: Path) -> None:
    reader = pytest.importorskip("safetensors.numpy")
    assert main(["export", str(space_path), str(tmp_path / "x.safetensors")]) == 0
    tensors = reader.load_file(str(tmp_path / "x.safetensors"))
    np.testing.assert_array_equal(tensors["codes"], load(space_path).codes().numpy())


@pytest.mark.skipif(
    importlib.util.find_spec("onnx") is None or importlib.util.find_spec("onnxruntime") is None,
    reason="onnx and onnxruntime are not installed",
)
@pytest.mark.parametrize("kind", CONFIGS)
def test_an_onnx_model_gives_the_distances_of_the_shape(kind: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    torch.manual_seed(1)
    decoder = build_decoder(CONFIGS[kind]).eval().requires_grad_(False)
    for weights in decoder.parameters():
        weights.add_(torch.randn_like(weights) * 0.1)
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    shape = Shape("cup/1", torch.randn(4), Frame(quarter, 2.5, np.array([1.0, 2.0, 3.0])), decoder)
    session = runtime.InferenceSession(onnx_bytes(shape), providers=["CPUExecutionProvider"])
    meta = session.get_modelmeta().custom_metadata_map
    assert meta["name"] == "cup/1"
    assert json.loads(meta["frame"])["scale"] == 2.5
    for count in (1, 300):  # beyond the cube too, where volumes are continued
        points = (torch.rand(count, 3) * 3 - 1.5) * 2.5 + torch.tensor([1.0, 2.0, 3.0])
        (found,) = session.run(["distances"], {"points": points.numpy()})
        np.testing.assert_allclose(found, shape(points).numpy(), rtol=5e-5, atol=2e-5)
        assert found.shape == (count,)


def test_what_an_export_refuses(
    tmp_path: Path, space_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    for arguments, says in (
        (("x.onnx",), "give --name NAME"),
        (("x.onnx", "--name", "bal/1"), "did you mean 'ball/1'?"),
        (("x.onnx", "--name", "ball/1"), "writing ONNX needs the package onnx: pip install 'latentsdf[export]'"),
        (("x.safetensors", "--name", "ball/1"), "--name is of ONNX"),
        (("x.pt",), "its ending must be one of .safetensors, .onnx"),
    ):
        assert main(["export", str(space_path), str(tmp_path / arguments[0]), *arguments[1:]]) == 2
        err = capsys.readouterr().err
        assert says in err
        assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())
