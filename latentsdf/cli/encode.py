"""The verb that adds unseen shapes to a space (encode)."""

from __future__ import annotations

import math
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from ..core.cluster import check_cluster
from ..mesh.endings import check_mesh_file
from ..mesh.folder import find_meshes
from ..space.file_info import SpaceInfo, check_finished, space_info
from .arguments import Result, given_executor, given_pose, given_terms, shape_name
from .progress import Bar, say

if TYPE_CHECKING:
    from ..core.optimize import Step
    from ..inference.code_fitting import CodeFitter, EncodeConfig
    from ..inference.residual_fitting import SampledMesh
    from ..space.shape import Shape
    from ..space.space import LatentSpace

BATCH = 8
"""Meshes whose codes are fitted together; by one process alone, the next ones are sampled meanwhile."""


def encode(options: Namespace) -> Result:
    """Run `latentsdf encode`; raises ValueError and the other errors of `verbs.run`."""
    terms = _overfit_terms(options)
    if options.overfit and (options.tolerance is not None or options.bytes is not None or options.code_only):
        raise ValueError("--overfit stores a correction of its own; leave out --tolerance, --bytes and --code-only")
    pose = given_pose(options, "free")
    meshes, nameless = _named_meshes(options.meshes)
    info = space_info(options.space)
    _check_encoding(options, meshes, info)
    with given_executor(options.cluster) as executor:
        from ..space.store import load

        run = _Run(options, terms, pose, load(options.space))
        with Bar("encode", options.quiet, len(meshes)) as run.bar:
            for name, reason in nameless:
                run.skip(name, ValueError(reason))
            run.encode_all(meshes, executor)
    added, failed = run.added, run.failed
    if not added:
        raise ValueError(f"no mesh could be encoded: {failed[0]['name']}: {failed[0]['reason']}")
    say(f"{options.space}: {len(added)} shapes added" + (f", {len(failed)} skipped" if failed else ""))
    for item in failed:
        say(f"skipped {item['name']}: {item['reason']}")
    return {"space": str(options.space), "added": added, "skipped": failed, "bytes_per_shape": info.sizes.code}


class _Run:
    """Shapes added to a space file batch by batch, and meshes skipped.

    Args:
        options: of the command line.
        terms: objective of the overfit; None solves.
        pose: of `given_pose`.
        space: that the file holds.
    """

    bar: Bar

    def __init__(self, options: Namespace, terms: str | dict[str, float] | None, pose: Result, space: LatentSpace):
        from ..inference.code_fitting import EncodeConfig
        from ..inference.rate_search import Target
        from ..reconstruction.shape_overfitting import overfit_terms
        from .encode_task import EncodeOptions

        self.options, self.space = options, space
        self.files: dict[str, str] = {}
        self.target = None
        if options.tolerance is not None or options.bytes is not None:
            self.target = Target(tolerance=options.tolerance, max_bytes=options.bytes)
        if terms is not None:
            overfit_terms(terms)
        config = EncodeConfig(**pose, steps=options.steps, seed=options.seed)
        self.of_tasks = EncodeOptions(config, self.target, options.overfit, terms, options.seed)
        self.added: list[Result] = []
        self.failed: list[Result] = []

    @property
    def done(self) -> int:
        """Meshes that are added or skipped."""
        return len(self.added) + len(self.failed)

    def skip(self, name: str, error: Exception) -> None:
        """Note a mesh that could not be encoded, and say so."""
        self.failed.append({"name": name, "reason": " ".join(str(error).split())})
        self.bar.line(f"skipped  {name}: {self.failed[-1]['reason']}")

    def encode_all(self, meshes: list[tuple[str, str]], executor: Executor | None) -> None:
        """Encode meshes (name, file) batch by batch: in processes of this machine, or by the workers of an executor."""
        from ..core.processes import job_count

        self.files = dict(meshes)
        jobs = self.options.jobs or job_count(len(meshes))
        if executor is None and jobs < 2:
            self._encode_here(meshes)
            return
        from .encode_batches import encode_batches

        # Batches of at most half of what a process has to do keep all of them busy to the end.
        size = BATCH if executor is not None else min(BATCH, math.ceil(len(meshes) / (2 * jobs)))
        began, batches = monotonic(), [meshes[start : start + size] for start in range(0, len(meshes), size)]
        self.bar.update(0, f"by {jobs} processes" if executor is None else "by the workers of the cluster")
        workers = jobs if executor is None else executor
        for encoded in encode_batches(self.options.space, batches, self.of_tasks, workers):
            ready = []
            for name, found in encoded:
                if isinstance(found, str):
                    self.skip(name, ValueError(found))
                else:
                    metadata = {**found.metadata, "source": self.files[name]}
                    ready.append(replace(found, decoder=self.space.decoder, metadata=metadata))
            if ready:
                self._add(ready, monotonic() - began)
            began = monotonic()

    def _encode_here(self, meshes: list[tuple[str, str]]) -> None:
        from ..inference.encoding import code_fitter

        fitter = code_fitter(self.space, self.of_tasks.config)
        for sampled in _sampled(meshes, self.of_tasks.config):
            batch: list[tuple[str, SampledMesh]] = []
            for name, item in sampled:
                if isinstance(item, Exception):
                    self.skip(name, item)
                else:
                    batch.append((name, item))
            if batch:
                self.encode(batch, fitter)

    def encode(self, batch: list[tuple[str, SampledMesh]], fitter: CodeFitter) -> None:
        """Encode a batch; shapes that take longer than their codes are written one by one."""
        from ..inference.encoding import encode_sampled

        began, ready = monotonic(), []

        def on_step(step: Step) -> None:
            self.bar.update(self.done + 0.9 * len(batch) * step.progress, f"codes of {len(batch)} shapes")

        for shape in encode_sampled(self.space, batch, fitter, on_step=on_step, target=self.target):
            try:
                ready.append(self.of_tasks.overfitted(shape, self.files[shape.name]))
            except (ValueError, OSError) as error:
                self.skip(shape.name, error)
            if ready and (self.target is not None or self.options.overfit):
                self._add(ready, monotonic() - began)
                began, ready = monotonic(), []
        if ready:
            self._add(ready, monotonic() - began)

    def _add(self, shapes: list[Shape], seconds: float) -> None:
        """Write shapes to the file, and say so."""
        from ..space.store import append

        append(self.options.space, shapes, replace=self.options.replace)
        for shape in shapes:
            _tell(shape, self.added, self.bar, seconds / len(shapes))
            self.bar.update(self.done, shape.name)


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
    elif shape.mode == "code" and shape.correction is not None:
        added[-1]["adjustment_bytes"] = shape.correction.nbytes
    elif shape.correction is not None:
        added[-1]["correction_bytes"] = shape.correction.nbytes
        bar.line(f"overfit  {name}  correction of {shape.correction.nbytes:,} bytes")


def _overfit_terms(options: Namespace) -> str | dict[str, float] | None:
    """The objective of the overfit; None solves. Raises ValueError for options that exclude each other."""
    given = [f"--{name}" for name in ("preset", "term") if getattr(options, name)]
    if given and not options.overfit:
        raise ValueError(f"{' and '.join(given)} say how to overfit a shape; give --overfit too, or leave them out")
    return given_terms(options)


def _named_meshes(given: list[str]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(name, file) of meshes, and of those below folders as `prepare` names them; (file, reason) of others there."""
    meshes: list[tuple[str, str]] = []
    nameless: list[tuple[str, str]] = []
    for item in given:
        if Path(item).is_dir():
            found, without = find_meshes(Path(item))
            meshes += [(name, str(file)) for name, file in found]
            nameless += without
        else:
            meshes.append((shape_name(Path(item)), item))
    return meshes, nameless


def _check_encoding(options: Namespace, meshes: list[tuple[str, str]], info: SpaceInfo) -> None:
    """Refuse an unfinished space, taken names, and meshes all of which are missing, before PyTorch is loaded."""
    names, taken = [name for name, _ in meshes], Counter(name for name, _ in meshes)
    check_finished(options.space, info.unfinished)
    if options.cluster is not None:
        check_cluster(options.cluster)
    for name in names:
        if taken[name] > 1:
            raise ValueError(f"two of the meshes would be named {name!r}; encode them from different working folders")
        if name in info.names and not options.replace:
            raise ValueError(f"{options.space} already holds a shape named {name!r}; use --replace to replace it")
    try:
        if not any(Path(file).is_file() for _, file in meshes):
            check_mesh_file(Path(meshes[0][1]))
    except FileNotFoundError as error:
        raise ValueError(f"no mesh could be encoded: {names[0]}: {error}") from None
