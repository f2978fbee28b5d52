"""One decoded code as an ONNX model: points (N, 3) to signed distances (N,)."""

from __future__ import annotations

import importlib
import json
import warnings
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from .shape import Shape

OPSET = 17
MISSING = "writing ONNX needs the package onnx: pip install 'latentsdf[export]'"


def onnx_bytes(shape: Shape) -> bytes:
    """Convert the field of a shape's code to an ONNX model, `points` (N, 3) -> `distances` (N,), in source units.

    Products that depend on the code alone are constants of the model; volumes are read by gathers of the eight corners.
    The level of the shape is kept, any other correction is left out. The model's metadata hold the name and the frame.

    Raises:
        ImportError: onnx is not installed.
    """
    try:
        onnx: Any = importlib.import_module("onnx")
    except ImportError as error:
        raise ImportError(MISSING) from error
    example = torch.zeros(2, 3).requires_grad_(True)  # decoders then read volumes by plain gathers
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        # The exporter by tracing is deprecated, but needs neither onnxscript nor many seconds.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Converting a tensor to a Python boolean")
        torch.onnx.export(
            _SourceField(shape),
            (example,),
            f"{folder}/field.onnx",
            dynamo=False,
            opset_version=OPSET,
            input_names=["points"],
            output_names=["distances"],
            dynamic_axes={"points": {0: "N"}, "distances": {0: "N"}},
        )
        model = onnx.load(f"{folder}/field.onnx")
    frame = {
        "rotation": shape.frame.rotation.tolist(),
        "scale": shape.frame.scale,
        "center": shape.frame.center.tolist(),
    }
    onnx.helper.set_model_props(model, {"name": shape.name, "frame": json.dumps(frame)})
    onnx.checker.check_model(model)
    return model.SerializeToString()


class _SourceField(nn.Module):
    """The decoded field of a code in source units, in single precision."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.field, self.level, self.scale = shape.decoded(), shape.level, float(shape.frame.scale)
        self.turn = (torch.from_numpy(shape.frame.rotation.copy()).T / self.scale).float()
        self.center = torch.from_numpy(shape.frame.center.copy()).float()

    def forward(self, points: Tensor) -> Tensor:
        return (self.field((points - self.center) @ self.turn) - self.level) * self.scale
