"""One server and one browser for all tests of the page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Chromium, find_browser
from page_client import Client


@pytest.fixture(scope="session")
def shown_path(space_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny space that the page may change."""
    path = tmp_path_factory.mktemp("shown") / "tiny.h5"
    shutil.copy(space_path, path)
    return path


@pytest.fixture(scope="session")
def client(shown_path: Path, mesh_dir: Path) -> Iterator[Client]:
    """A served page of the tiny space, with edits."""
    from latentsdf.explorer.page_server import ViewConfig, view
    from latentsdf.space.store import load

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
