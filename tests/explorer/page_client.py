"""Requests to a server, as its page makes them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

from latentsdf.explorer.guards import TOKEN
from latentsdf.explorer.page_server import PageServer


class Client:
    """Requests to a server, as its page makes them."""

    def __init__(self, server: PageServer):
        self.server, self.address = server, server.address

    def ask(self, path: str, query: Any = (), headers: Any = (), body: bytes | None = None) -> tuple[int, bytes, Any]:
        """Status, body and headers of an answer."""
        address = f"{self.address}/{path}?{urlencode(query)}" if query else f"{self.address}/{path}"
        request = urllib.request.Request(address, data=body, headers=dict(headers))
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), error.headers

    def get(self, path: str, query: Any = ()) -> Any:
        """JSON values of an answer."""
        status, body, _ = self.ask(f"api/{path}", query)
        assert status == 200, body
        return json.loads(body)

    def change(self, path: str, query: Any = (), body: bytes = b"") -> tuple[int, Any]:
        """Status and JSON values of the answer to a change."""
        status, answer, _ = self.ask(f"api/{path}", query, {TOKEN: "1"}, body)
        return status, json.loads(answer)

    def refused(self, path: str, query: Any = ()) -> tuple[int, str]:
        """Status and sentence of an error."""
        status, body, _ = self.ask(path, query)
        return status, json.loads(body)["error"]
