"""Requests of browsers: who may ask, and which answer is sent."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from .answers import Answers
from .guards import HEADERS, refusal
from .query_values import Answer
from .uploads import LARGEST

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Types of the files of the page, by ending."""
STATUS = {
    KeyError: 404,
    FileNotFoundError: 404,
    PermissionError: 403,
    BlockingIOError: 429,
    ValueError: 422,
    OSError: 500,
}
"""Status of an answer that is an error, by the class of the error; the first that fits."""
_LOG = logging.getLogger(__name__)


class RequestHandler(BaseHTTPRequestHandler):
    """One connection.

    Attributes:
        answers: to its requests.
        bound: host that the server is bound to.
    """

    answers: ClassVar[Answers]
    bound: ClassVar[str]
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "latentsdf", ""
    timeout = 120

    def do_GET(self) -> None:
        """Answer a query, or with a file of the page."""
        parts = urlsplit(self.path)
        reason = refusal(self.headers, self.bound, changes=False)
        if reason is not None and not (parts.path == "/" and "Sec-Fetch-Site" in self.headers and self._navigates()):
            self._error(403, reason)
        elif parts.path.startswith("/api/"):
            self._run(self.answers.get.get(parts.path[5:]), parse_qs(parts.query))
        else:
            self._file(parts.path)

    def do_POST(self) -> None:
        """Take a file or change the space."""
        parts = urlsplit(self.path)
        reason = refusal(self.headers, self.bound, changes=True)
        length = self.headers.get("Content-Length", "")
        if reason is not None:
            self._error(403, reason, close=True)
        elif not length.isdigit():
            self._error(411, "the request must state its length", close=True)
        elif int(length) > LARGEST:
            self._error(413, f"a file may have {LARGEST >> 20} MB, this one has {int(length) >> 20}", close=True)
        else:
            body = self.rfile.read(int(length))
            action = self.answers.post.get(parts.path.removeprefix("/api/"))
            self._run(None if action is None else lambda query: action(query, body), parse_qs(parts.query))

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are logged for debugging alone."""
        _LOG.debug(format, *args)

    def _navigates(self) -> bool:
        """Whether a person followed a link to the page, from whatever site."""
        own = refusal({"Host": self.headers.get("Host", "")}, self.bound, changes=False) is None
        return own and self.headers.get("Sec-Fetch-Mode") == "navigate"

    def _run(self, action: Callable[[Any], Answer] | None, query: dict[str, list[str]]) -> None:
        if action is None:
            self._error(404, f"there is nothing at {urlsplit(self.path).path}")
            return
        try:
            answer = action(query)
        except Exception as error:
            status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
            text = error.args[0] if isinstance(error, KeyError) and error.args else error
            text = " ".join(str(text).split()) or type(error).__name__
            if status == 500:
                _LOG.warning("an answer failed: %s", text, exc_info=True)
            self._error(status, text)
            return
        self._send(200, answer)

    def _file(self, path: str) -> None:
        name = "index.html" if path == "/" else path.removeprefix("/")
        found = {file.name: file for file in web_files()}.get(name)
        if found is None:
            self._error(404, f"there is nothing at {path}")
            return
        self._send(200, Answer(found.read_bytes(), TYPES[Path(name).suffix]))

    def _error(self, status: int, text: str, close: bool = False) -> None:
        self.close_connection = self.close_connection or close
        body = json.dumps({"error": text}).encode()
        self._send(status, Answer(body, "application/json; charset=utf-8"))

    def _send(self, status: int, answer: Answer) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.type)
        self.send_header("Content-Length", str(len(answer.body)))
        if answer.filename is not None:
            self.send_header("Content-Disposition", f"attachment; filename*=UTF-8''{answer.filename}")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)


def web_files() -> list[Any]:
    """Files of the page that come with the library."""
    folder = resources.files(__name__.rpartition(".")[0]).joinpath("web")
    return [file for file in folder.iterdir() if Path(file.name).suffix in TYPES]
