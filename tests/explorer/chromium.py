"""A headless Chromium for tests, driven by the DevTools protocol."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--hide-scrollbars",
    "--window-size=1440,900",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)
PATIENCE = 60.0
"""Seconds after which a page that does not come to a state counts as broken."""


def find_browser() -> str | None:
    """Path of an installed browser; None where there is none."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


class Chromium:
    """One page of a browser.

    Args:
        browser: its executable.
        folder: for its profile and its log.
    """

    def __init__(self, browser: str, folder: Path):
        import websocket

        profile = folder / "profile"
        with open(folder / "chromium.log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [browser, *OPTIONS, f"--user-data-dir={profile}", "about:blank"], stdout=log, stderr=log
            )
        port_file, begun = profile / "DevToolsActivePort", time.monotonic()
        while not (port_file.exists() and "\n" in port_file.read_text()):
            if time.monotonic() - begun > PATIENCE or self.process.poll() is not None:
                raise RuntimeError((folder / "chromium.log").read_text()[-2000:])
            time.sleep(0.02)
        port = port_file.read_text().splitlines()[0]
        with urlopen(f"http://127.0.0.1:{port}/json") as answer:
            page = next(item for item in json.load(answer) if item["type"] == "page")
        self._socket = websocket.create_connection(page["webSocketDebuggerUrl"], timeout=PATIENCE)
        self._count = 0
        self.messages: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        """End the browser."""
        self._socket.close()
        self.process.terminate()
        self.process.wait(20)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command of the protocol."""
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._count:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript, a promise's result where it is one."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, script: str, patience: float = PATIENCE) -> Any:
        """The value of an expression as soon as it is true."""
        begun = time.monotonic()
        while not (value := self.run(script)):
            assert time.monotonic() - begun < patience, f"never true: {script}; {self.messages}"
            time.sleep(0.03)
        return value

    def open(self, address: str) -> None:
        """Go to a page."""
        self.call("Page.navigate", url=address)

    def press(self, key: str) -> None:
        """Press and release a key."""
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def mouse(self, kind: str, x: float, y: float, held: bool = False) -> None:
        """Send `mousePressed`, `mouseMoved` or `mouseReleased`."""
        button = "none" if kind == "mouseMoved" and not held else "left"
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=int(held), clickCount=1)

    def click(self, x: float, y: float) -> None:
        """Click at a place of the page."""
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y, held=True)
        self.mouse("mouseReleased", x, y)

    def picture(self, path: Path) -> None:
        """Write a screenshot."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def _note(self, message: dict[str, Any]) -> None:
        """Keep warnings and errors of the console, and requests to other machines."""
        parameters = message.get("params", {})
        if message["method"] == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.messages.append(str(parameters["args"]))
        elif message["method"] == "Runtime.exceptionThrown":
            self.messages.append(str(parameters["exceptionDetails"]))
        elif message["method"] == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.messages.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
        elif message["method"] == "Network.requestWillBeSent":
            address = parameters["request"]["url"]
            if not address.startswith(("http://127.0.0.1", "blob:", "data:", "about:")):
                self.messages.append(f"a request to {address}")
