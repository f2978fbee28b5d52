"""The verb that adds unseen shapes to a space (encode)."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from ..mesh.endings import check_mesh_file
from ..space.file_info import SpaceInfo, check_finished, space_info
from .arguments import Result, given_terms, shape_name
from .progress import Bar, say

if TYPE_CHECKING:
    from ..core.optimize import Step
    from ..inference.code_fitting import EncodeConfig
    from ..inference.residual_fitting import SampledMesh
    from ..space.shape import Shape

BATCH = 8
"""Meshes whose codes are fitted together; the next ones are sampled meanwhile."""


def encode(options: Namespace) -> Result:
    """Run `latentsdf encode`; raises ValueError and the other errors of `verbs.run`."""
    terms = _overfit_terms(options)
    if options.overfit and (options.tolerance is not None or options.bytes is not None or options.code_only):
        raise ValueError("--overfit stores a correction of its own; leave out --tolerance, --bytes and --code-only")
    names = [shape_name(Path(mesh)) for mesh in options.meshes]
    info = space_info(options.space)
    _check_encoding(options, names, info)
    from ..inference.code_fitting import EncodeConfig
    from ..inference.encoding import encode_sampled
    from ..inference.rate_search import Target
    from ..reconstruction.refinement import RefineConfig, RefinementStatus
    from ..reconstruction.shape_overfitting import overfit, overfit_terms
    from ..space.store import append, load

    terms = None if terms is None else overfit_terms(terms)
    space = load(options.space)
    config = EncodeConfig(steps=options.steps, seed=options.seed, pose=options.pose or "free")
    target = None
    if options.tolerance is not None or options.bytes is not None:
        target = Target(tolerance=options.tolerance, max_bytes=options.bytes)
    added: list[Result] = []
    failed: list[Result] = []
    with Bar("encode", options.quiet, len(names)) as bar:

        def skip(name: str, error: Exception) -> None:
            failed.append({"name": name, "reason": " ".join(str(error).split())})
            bar.line(f"skipped  {name}: {failed[-1]['reason']}")

        def on_step(step: Step) -> None:
            done = len(added) + len(failed)
            bar.update(done + 0.9 * len(batch) * step.progress, f"codes of {len(batch)} shapes")

        for sampled in _sampled(list(zip(names, options.meshes, strict=True)), config):
            batch: list[tuple[str, SampledMesh]] = []
            for name, item in sampled:
                if isinstance(item, Exception):
                    skip(name, item)
                else:
                    batch.append((name, item))
            if not batch:
                continue
            began, ready = monotonic(), []
            for shape in encode_sampled(space, batch, config, on_step=on_step, target=target):
                try:
                    if options.overfit:
                        mesh = options.meshes[names.index(shape.name)]
                        found = overfit(shape, mesh, terms, RefineConfig(seed=options.seed))
                        if found.status is not RefinementStatus.CORRECTED:
                            raise ValueError(found.status.value)
                        shape = found.shape
                except (ValueError, OSError) as error:
                    skip(shape.name, error)
                    continue
                ready.append(shape)
                if target is not None or options.overfit:
                    append(options.space, [shape], replace=options.replace)
                    _tell(shape, added, bar, monotonic() - began)
                    began, ready = monotonic(), []
                bar.update(len(added) + len(failed) + len(ready), shape.name)
            if ready:
                append(options.space, ready, replace=options.replace)
                for shape in ready:
                    _tell(shape, added, bar, (monotonic() - began) / len(ready))
    if not added:
        raise ValueError(f"no mesh could be encoded: {failed[0]['name']}: {failed[0]['reason']}")
    say(f"{options.space}: {len(added)} shapes added" + (f", {len(failed)} skipped" if failed else ""))
    for item in failed:
        say(f"skipped {item['name']}: {item['reason']}")
    return {"space": str(options.space), "added": added, "skipped": failed, "bytes_per_shape": info.sizes.code}


def _sampled(
    meshes: list[tuple[str, str]], config: EncodeConfig
) -> Iterator[list[tuple[str, SampledMesh | ValueError | OSError]]]:
    """Samples of meshes (name, file), or what was wrong with one, in batches; the next batch is sampled meanwhile."""
    from ..inference.encoding import sample_for_codes

    def sample(file: str) -> SampledMesh | ValueError | OSError:
        try:
            return sample_for_codes(file, config)
        except (ValueError, OSError) as error:
            return error

    with ThreadPoolExecutor(1) as pool:
        waiting: list[tuple[str, Future[SampledMesh | ValueError | OSError]]] = []
        try:
            for start in range(0, len(meshes) + BATCH, BATCH):
                ready, waiting = waiting, [(n, pool.submit(sample, file)) for n, file in meshes[start : start + BATCH]]
                if ready:
                    yield [(name, future.result()) for name, future in ready]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _tell(shape: Shape, added: list[Result], bar: Bar, seconds: float) -> None:
    """Note a shape that was added, and say so."""
    name, error = shape.name, shape.metadata["fit_error"]
    added.append({"name": name, "fit_error": error, "seconds": seconds})
    bar.line(f"encoded  {name}  mean error {error:.5f}  {seconds:.1f} s")
    if "f_score" in shape.metadata:
        residual = 0 if shape.correction is None else shape.correction.nbytes
        reached = {key: shape.metadata[key] for key in ("f_score", "tolerance", "code_bytes")}
        size = reached["code_bytes"] + residual
        added[-1] |= {"mode": shape.mode, "residual_bytes": residual, "bytes": size, **reached}
        text = f"F@{reached['tolerance']:g} {reached['f_score']:.3f}"
        bar.line(f"{shape.mode:8s} {name}  {residual:,} bytes beside a code of {reached['code_bytes']:,}  {text}")
    elif shape.correction is not None:
        added[-1]["correction_bytes"] = shape.correction.nbytes
        bar.line(f"overfit  {name}  correction of {shape.correction.nbytes:,} bytes")


def _overfit_terms(options: Namespace) -> str | dict[str, float] | None:
    """The objective of the overfit; None solves. Raises ValueError for options that exclude each other."""
    given = [f"--{name}" for name in ("preset", "term") if getattr(options, name)]
    if given and not options.overfit:
        raise ValueError(f"{' and '.join(given)} say how to overfit a shape; give --overfit too, or leave them out")
    return given_terms(options)


def _check_encoding(options: Namespace, names: list[str], info: SpaceInfo) -> None:
    """Refuse an unfinished space, taken names, and meshes all of which are missing, before PyTorch is loaded."""
    check_finished(options.space, info)
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two of the meshes would be named {name!r}; encode them from different working folders")
        if name in info.names and not options.replace:
            raise ValueError(f"{options.space} already holds a shape named {name!r}; use --replace to replace it")
    try:
        if not any(Path(mesh).is_file() for mesh in options.meshes):
            check_mesh_file(Path(options.meshes[0]))
    except FileNotFoundError as error:
        raise ValueError(f"no mesh could be encoded: {names[0]}: {error}") from None
