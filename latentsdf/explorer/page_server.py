"""The server of the page: a thread a connection, on this machine alone unless told otherwise."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ..space.space import LatentSpace
from .answers import Answers
from .collection import Collection
from .originals import Originals
from .page_requests import RequestHandler
from .uploads import check_ending

AXES = ("y", "z")
_PORTS = 64
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """Settings of a page."""

    host: str = "127.0.0.1"
    """Address to bind to. With another than a loopback address other machines can open the page."""
    path: str | Path | None = None
    """File of the space. It is read again where it changes; None shows the space as it is."""
    edit: bool = False
    """Whether shapes can be deleted, renamed, tagged and added; written to `path`."""
    meshes: str | Path | None = None
    """Folder of the source meshes, to compare shapes with; None finds those whose path is stored."""
    scan: str | Path | None = None
    """Mesh or scan file that is opened first."""
    up: str = "z"
    """Axis of the meshes that points up, `y` or `z`, until it is changed on the page."""

    def __post_init__(self) -> None:
        if self.up not in AXES:
            raise ValueError(f"the axis that points up is {' or '.join(AXES)}, got {self.up!r}")


def view(
    space: LatentSpace,
    *,
    port: int = 8080,
    block: bool = True,
    on_ready: Callable[[str], None] | None = None,
    config: ViewConfig | None = None,
) -> PageServer | None:
    """Serve a page that shows a space: its map, its shapes in 3-D, morphs, sections of fields, and files dropped on it.

    Args:
        space: whose shapes are shown.
        port: of the page; the next free one where it is taken.
        block: True returns at Ctrl-C, when the page has ended; False returns at once.
        on_ready: called with a line that holds the address; the line is logged in any case.
        config: `ViewConfig()` if None: on this machine only, and nothing is written.

    Returns:
        The server, whose `stop()` ends it; None where it has ended.

    Raises:
        ValueError: the space holds no shapes, there is no such port, edits without a path, or a scan of unknown ending.
        FileNotFoundError: no such scan.
        OSError: no port is free, or the host is not one of this machine.
    """
    config = config or ViewConfig()
    if not 1 <= port <= 65535:
        raise ValueError(f"a port lies from 1 to 65535, got {port}")
    if config.scan is not None:
        check_ending(str(config.scan))
        if not Path(config.scan).is_file():
            raise FileNotFoundError(f"no such file: {config.scan}")
    collection = Collection(space, config.path, config.edit)
    server = PageServer(config.host, port, Answers(collection, Originals(config.meshes), config.up))
    try:
        if config.scan is not None:
            server.answers.open(Path(config.scan))
        server.start()
        line = f"{space.source}: {len(space)} shapes at {server.address} (Ctrl-C ends)"
        _LOG.info(line)
        if on_ready is not None:
            on_ready(line)
        while block:
            time.sleep(1.0)
    except BaseException as error:
        server.stop()
        if isinstance(error, KeyboardInterrupt):
            return None
        raise
    return server


class PageServer:
    """The server of one page.

    Args:
        host: address to bind to.
        port: the first to try.
        answers: to its requests.

    Raises:
        OSError: no port is free, or the host is not one of this machine.
    """

    def __init__(self, host: str, port: int, answers: Answers):
        self.host, self.answers = host, answers
        handler = type("Handler", (RequestHandler,), {"answers": answers, "bound": host})
        for number in range(port, min(port + _PORTS, 65536)):
            try:
                self._server = _Server((host, number), handler)
                break
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    answers.close()
                    raise OSError(f"cannot serve at {host}: {error.strerror or error}") from error
        else:
            answers.close()
            raise OSError(f"no port from {port} to {min(port + _PORTS, 65536) - 1} is free; give another --port")
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def port(self) -> int:
        """The port that it has."""
        return int(self._server.server_address[1])

    @property
    def address(self) -> str:
        """Address to open in a browser."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{'127.0.0.1' if self.host == '0.0.0.0' else host}:{self.port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """End the server, and remove what was uploaded."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self.answers.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: Any):
        if ":" in address[0]:
            import socket

            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that a browser drops are usual, and are not reported."""
        _LOG.debug("a connection from %s ended", client_address, exc_info=True)
