"""One server and one browser for all tests of the page."""

from __future__ import annotations

import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from chromium import Chromium, find_browser

from latentsdf.explorer.guards import TOKEN
from latentsdf.explorer.page_server import PageServer, ViewConfig, view
from latentsdf.space.store import load


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


@pytest.fixture(scope="session")
def shown_path(space_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny space that the page may change."""
    path = tmp_path_factory.mktemp("shown") / "tiny.h5"
    shutil.copy(space_path, path)
    return path


@pytest.fixture(scope="session")
def client(shown_path: Path, mesh_dir: Path) -> Iterator[Client]:
    """A served page of the tiny space, with edits."""
    config = ViewConfig(path=shown_path, edit=True, meshes=mesh_dir)
    server = view(load(shown_path), port=8490, block=False, config=config)
    assert server is not None
    yield Client(server)
    server.stop()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A headless browser; the tests that need it skip where none is installed."""
    found = find_browser()
    if found is None:
        pytest.skip(
            "no Chromium or Chrome is installed, so the page is not opened; `apt-get install chromium` adds one"
        )
    browser = Chromium(found, tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the screenshots: `LATENTSDF_SCREENSHOTS` where it is set, to be looked at, else a temporary one."""
    folder = os.environ.get("LATENTSDF_SCREENSHOTS")
    if folder is None:
        return tmp_path_factory.mktemp("pictures")
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)
