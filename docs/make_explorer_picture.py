"""Take the picture of the explorer: `python docs/make_explorer_picture.py [SPACE.h5] [OUT.png] [NAME]`.

It shows `checkpoints/families.h5` unless told otherwise, and needs Chromium or Chrome and websocket-client.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

from latentsdf.explorer.page_server import ViewConfig, view
from latentsdf.space.store import load

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests" / "explorer"))


def main(space: str = str(ROOT / "checkpoints" / "families.h5"), out: str = "", name: str = "mug/003") -> None:
    """Serve the space, wait until every thumbnail in sight is drawn, and write the picture."""
    from chromium import Chromium, find_browser

    browser, target = find_browser(), Path(out or ROOT / "docs" / "explorer.png")
    if browser is None:
        raise SystemExit("no Chromium or Chrome is installed")
    server = view(load(space), block=False, config=ViewConfig(path=space))
    assert server is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        page = Chromium(browser, Path(place))
        page.open(f"{server.address}/#{name}")
        page.wait("window.explorer && explorer.state.plane && explorer.state.plane.startsWith('tsne')", 600)
        page.wait("!explorer.map.glide && explorer.state.drawn && explorer.state.drawn.cells >= 96", 600)
        page.wait("!explorer.thumbnails.wanted.size && !explorer.thumbnails.running", 600)
        page.wait("new Promise((resolve) => setTimeout(() => resolve(true), 500))")
        picture = Path(place) / "page.png"
        page.picture(picture)
        page.close()
        Image.open(picture).convert("RGB").save(target, optimize=True)
    server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
