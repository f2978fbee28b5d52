"""Protection of a local server against other web pages: the host and the origin of each request are checked.

A page of another site can make a browser send requests to this machine, and with a domain name of its own that it
resolves to this machine (DNS rebinding) even read the answers. Both show in the headers of the request.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Protocol
from urllib.parse import urlsplit

TOKEN = "X-Latentsdf"
"""Header of requests that change something. A page of another site cannot send it without asking this server first."""
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Headers of every answer: the page loads nothing from elsewhere, and no other page may frame or embed it."""


class Headers(Protocol):
    """Headers of a request by name, such as a dict."""

    def get(self, name: str, /) -> str | None:
        """The value of a header; None where it is not there."""
        ...


def refusal(headers: Headers, host: str, changes: bool) -> str | None:
    """The reason to refuse a request, None where there is none.

    Args:
        headers: of the request.
        host: that the server is bound to.
        changes: whether the request changes something.
    """
    asked = headers.get("Host") or ""
    if not is_own_host(asked, host):
        return f"this server is not {asked or '(no host)'}; open it by the address that `latentsdf view` prints"
    origin = headers.get("Origin") or None
    if origin is not None and origin.lower() != f"http://{asked}".lower():
        return f"requests from {origin} are not answered"
    if (headers.get("Sec-Fetch-Site") or "none") not in ("same-origin", "none"):
        return "requests from other sites are not answered"
    if changes and not headers.get(TOKEN):
        return f"a request that changes something needs the header {TOKEN}"
    return None


def is_own_host(asked: str, bound: str) -> bool:
    """Whether a Host header names this server: localhost, a number, or the name of this machine or of its address."""
    try:
        name = urlsplit(f"//{asked}").hostname or ""
    except ValueError:
        return False
    if name in ("localhost", bound.lower()):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return not is_local(bound) and name == socket.gethostname().lower()
    return True


def is_local(host: str) -> bool:
    """Whether an address to bind to can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
