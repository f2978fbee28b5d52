"""Clusters by their URL: a Dask scheduler or a Ray head as a `concurrent.futures` executor."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from importlib.util import find_spec
from textwrap import shorten
from typing import Any

from .hdf5 import library_version

KINDS = {"dask": "distributed", "ray": "ray"}
"""Schemes of URLs, and the packages that they need."""
CONNECT, WORKERS = 15.0, 60.0
"""Seconds to wait for the scheduler, and for the first worker."""
RETRIES = 3
"""Times that Ray runs a task again whose worker died; Dask's `distributed.scheduler.allowed-failures` is the same."""


def check_cluster(url: str) -> tuple[str, str]:
    """Scheme and place of a cluster's URL, checked without connecting to it.

    Raises:
        ValueError: not a URL of a kind that is known.
        ImportError: the package that it needs is not installed.
    """
    kind, _, place = url.partition("://")
    host, _, port = place.rpartition(":")
    if kind not in KINDS or not ((host and port.isdecimal()) or (kind, place) == ("ray", "local")):
        raise ValueError(f"{url!r} is no cluster; give dask://HOST:PORT, ray://HOST:PORT or ray://local")
    if find_spec(KINDS[kind]) is None:
        raise ImportError(f"{url} needs the package {KINDS[kind]}; pip install 'latentsdf[{kind}]'")
    return kind, place


@contextlib.contextmanager
def open_cluster(url: str) -> Iterator[Executor]:
    """Connect to a cluster; tasks that still wait are dropped at the end of the block.

    Args:
        url: `dask://HOST:PORT` of a scheduler, `ray://HOST:PORT` of a Ray client server, or `ray://local` for Ray on
            this machine alone.

    Yields:
        An executor, of which one worker at least has answered.

    Raises:
        ValueError: not such a URL, or workers with another version of this library, or none.
        ImportError: the package that it needs is not installed.
        ConnectionError: no scheduler, or no worker, answers.
    """
    kind, place = check_cluster(url)
    with _quiet("distributed"), {"dask": _open_dask, "ray": _open_ray}[kind](place, url) as executor:
        _check_workers(executor, url)
        yield executor


@contextlib.contextmanager
def _open_dask(place: str, url: str) -> Iterator[Executor]:
    from distributed import Client

    try:
        client = Client(f"tcp://{place}", timeout=CONNECT, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise ConnectionError(
            f"no Dask scheduler answers at {url} in {CONNECT:g} s; start one there with 'dask scheduler', or correct "
            "--cluster"
        ) from error
    with client, client.get_executor(pure=False) as executor:
        yield executor
        executor.shutdown(wait=False)


@contextlib.contextmanager
def _open_ray(place: str, url: str) -> Iterator[Executor]:
    import ray  # type: ignore[import-not-found]

    try:
        if place == "local":
            ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        else:
            ray.init(f"ray://{place}", log_to_driver=False, logging_level="ERROR")
    except (OSError, TimeoutError, RuntimeError) as error:
        raise ConnectionError(
            f"no Ray cluster answers at {url} ({shorten(str(error), 100)}); start one there with 'ray start --head', "
            "or correct --cluster"
        ) from error
    try:
        yield RayExecutor(ray)
    finally:
        ray.shutdown()


class RayExecutor(Executor):
    """Tasks of a Ray cluster as futures; Ray runs those of a worker that died again.

    Args:
        ray: the module, initialised.
    """

    def __init__(self, ray: Any):
        self._task = ray.remote(max_retries=RETRIES)(_call)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function of a module on some worker."""
        return self._task.remote(fn, args, kwargs).future()


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    return function(*arguments, **named)


def _check_workers(executor: Executor, url: str) -> None:
    """Ask one worker for its version of this library."""
    try:
        version = executor.submit(library_version).result(timeout=WORKERS)
    except TimeoutError as error:
        raise ConnectionError(
            f"no worker of {url} answered in {WORKERS:g} s; start some, as 'dask worker HOST:PORT --nthreads 1' or "
            "'ray start --address HOST:PORT'"
        ) from error
    except ImportError as error:
        raise ValueError(
            f"the workers of {url} cannot load latentsdf ({shorten(str(error), 100)}); install version "
            f"{library_version()} where they run"
        ) from error
    if version != library_version():
        raise ValueError(
            f"the workers of {url} have latentsdf {version}, this is {library_version()}; install one version on all"
        )


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep the messages of a library's logger off standard error; its errors are raised anyway."""
    logger = logging.getLogger(name)
    before, logger.level = logger.level, logging.CRITICAL + 1
    try:
        yield
    finally:
        logger.level = before
