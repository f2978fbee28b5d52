"""The site builds without a warning and without other hosts, has every public name, and quotes messages that exist."""

from __future__ import annotations

import ast
import html
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from api_reference import docstring, entry, expand, public_names

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    for name in ("mkdocs", "material", "latex2mathml"):
        pytest.importorskip(name, reason="the site needs pip install 'latentsdf[docs]'")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.slow
def test_the_site_builds_and_its_pages_need_no_other_host(site: Path) -> None:
    pages = sorted(path for path in site.rglob("*.html") if path.name != "404.html")
    assert {path.name for path in pages} >= {f"{path.stem}.html" for path in DOCS.glob("*.md")}
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|link|iframe|source)[^>]*?(?:src|href)="([^"]+)"', text)
        assert loaded
        for address in loaded:
            assert not re.match(r"(https?:)?//", address), f"{page.name} loads {address}"
            if not address.startswith(("data:", "#")):
                assert (page.parent / html.unescape(address).split("?")[0].split("#")[0]).exists(), address
    for style in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", style.read_text(encoding="utf-8")), style.name


@pytest.mark.slow
def test_the_site_has_formulas_notebooks_and_the_reference(site: Path) -> None:
    method = (site / "how_it_works.html").read_text(encoding="utf-8")
    assert method.count("<math") > 15
    assert "arithmatex" not in method
    assert "\\(" not in method
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        text = (site / "notebooks" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        assert len(re.findall(rf'src="{notebook.stem}_\d+\.png"', text)) >= 2
    reference = (site / "api.html").read_text(encoding="utf-8")
    for name, file in public_names().items():
        assert f'id="latentsdf.{name}"' in reference or file is None, name
    assert ":::" not in reference


def test_every_public_name_is_in_the_reference() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    asked = set(re.findall(r"^::: latentsdf\.([\w.]+)$", page, re.M))
    assert set(public_names()) <= asked
    text = expand(page)
    assert ":::" not in text
    for name in (*public_names("regularizers"), *public_names("solver"), *public_names("primitives")):
        assert re.search(rf"^### `\w+\.{name}`", text, re.M), name


def test_the_reference_has_signatures_fields_and_sections() -> None:
    text = entry("Index")
    assert "Index(\n" in text or "Index(space: Codes" in text
    assert "#### `Index.search`" in text
    assert "- **`k`** results; at most all shapes." in text
    config = entry("EncodeConfig")
    assert re.search(r"^\| `steps` \| `int = \d+` \| .+\|$", config, re.M)
    assert "[AB](" not in docstring("See [AB](c) and `[x](y)`, a_b * c.")
    assert "`[x](y)`" in docstring("See [AB](c) and `[x](y)`, a_b * c.")
    with pytest.raises(KeyError, match="no stub exports latentsdf.tarin"):
        entry("tarin")


@cache
def messages() -> frozenset[str]:
    """Every text of the library, with … for what is filled in."""
    texts = set()
    for path in (ROOT / "latentsdf").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                texts.add("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
    return frozenset(texts)


def headlines() -> list[str]:
    """Messages that head sections of the page of error messages."""
    page = (DOCS / "faq.md").read_text(encoding="utf-8")
    return [plain or ticked for ticked, plain in re.findall(r"^### (?:`` (.+?) ``|`([^`]+)`)$", page, re.M)]


@pytest.mark.parametrize("headline", headlines())
def test_a_quoted_message_is_one_that_the_library_prints(headline: str) -> None:
    assert any(headline in text for text in messages()), "no text of the library is like this any more"


def test_enough_messages_are_explained() -> None:
    assert len(headlines()) >= 40
    page = (DOCS / "faq.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^### `", page, re.M)) == len(headlines())
