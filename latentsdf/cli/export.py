"""`latentsdf export`: a decoder for other frameworks, or one shape as a model."""

from __future__ import annotations

from argparse import Namespace

from .arguments import Result, check_out_file, named_space
from .progress import say

ENDINGS = (".safetensors", ".onnx")


def export(options: Namespace) -> Result:
    """Run `latentsdf export`; raises ValueError, ImportError and the other errors of `verbs.run`."""
    path = check_out_file(options.out, ENDINGS)
    single, names = path.suffix.lower() == ".onnx", [options.name] if options.name is not None else []
    if single and not names:
        raise ValueError("an ONNX model is the field of one shape; give --name NAME")
    if not single and names:
        raise ValueError(f"--name is of ONNX; {path.name} holds the decoder and all codes, so leave it out")
    named_space(options.space, names)
    path.parent.mkdir(parents=True, exist_ok=True)
    from ..space.store import load

    space = load(options.space)
    if not single:
        from ..space.safetensors import save_safetensors

        save_safetensors(space, path)
        left_out = sum(not shape.by_code for shape in space.values())
        result: Result = {"format": "safetensors", "shapes": len(space), "corrections_left_out": left_out}
        text = f"decoder, {len(space)} codes and frames"
    else:
        from ..core.hdf5 import atomic_replace
        from ..core.interrupt import delay_interrupt
        from ..space.onnx_export import onnx_bytes

        shape = space[names[0]]
        content = onnx_bytes(shape)
        with delay_interrupt(), atomic_replace(path) as temporary:
            temporary.write_bytes(content)
        left_out = int(not shape.by_code)
        result = {"format": "onnx", "name": options.name, "corrections_left_out": left_out}
        text = f"{options.name}: points (N, 3) -> distances (N,), in source units"
    say(f"{path}  {path.stat().st_size:,} bytes; {text}")
    if left_out:
        say(f"by the code alone: {left_out} correction{'s' * (left_out > 1)} beside codes left out")
    return {"path": str(path), "bytes": path.stat().st_size, **result}
