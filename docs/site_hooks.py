"""Hooks of `mkdocs.yml`: pages from elsewhere in the repository, notebooks, the reference, and formulas.

The site needs no other host: fonts are the reader's own, formulas are MathML, which browsers draw themselves, and the
search runs in the page, also from the disk (`iframe-worker.js`).
"""

from __future__ import annotations

import base64
import html
import json
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))
from api_reference import expand  # noqa: E402

ROOT = Path(__file__).parents[1]
ELSEWHERE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "datasets/README.md": "datasets.md",
    "checkpoints/README.md": "checkpoints.md",
}
"""Pages of the site that lie outside of `docs/`, by their path in the repository."""
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s:#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie elsewhere, and the notebooks with their pictures."""
    for source, target in ELSEWHERE.items():
        files.append(File.generated(config, target, content=(ROOT / source).read_text(encoding="utf-8")))
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text, pictures = notebook_page(path)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
        for name, data in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=data))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Expand the reference, and point links to where the site has what they name."""
    here = {target: source for source, target in ELSEWHERE.items()}.get(page.file.src_uri)
    if page.file.src_uri.startswith("notebooks/"):
        return markdown
    return relinked(expand(markdown), here or f"docs/{page.file.src_uri}", {file.src_uri for file in files})


def on_page_content(page_html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Write formulas as MathML."""
    return mathml(page_html)


def relinked(markdown: str, source: str, known: set[str]) -> str:
    """Links of a file of the repository, as links of a page of the site.

    A link to a file that the site does not have becomes its text.

    Args:
        markdown: text of the file.
        source: its path in the repository.
        known: paths of the site's sources.

    Raises:
        ValueError: a link to a file that the repository does not have.
    """
    place = posixpath.dirname(ELSEWHERE.get(source, source).removeprefix("docs/"))

    def target(found: re.Match[str]) -> str:
        mark, text, path, anchor = found.groups()
        full = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        page = ELSEWHERE.get(full, full.removeprefix("docs/"))
        if full.startswith("notebooks/") and full.endswith(".ipynb"):
            page = full.removesuffix(".ipynb") + ".md"
        if page in known:
            return f"{mark}[{text}]({posixpath.relpath(page, place or '.')}{anchor or ''})"
        if not (ROOT / full).exists():
            raise ValueError(f"{source} links to {path}, which does not exist")
        return text

    return _LINK.sub(target, markdown)


def notebook_page(path: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook with its outputs as Markdown, and its pictures by name."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(relinked(source, f"notebooks/{path.name}", {"notebooks/" + path.name}))
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            data: dict[str, Any] = output.get("data", {})
            if "image/png" in data:
                name = f"{path.stem}_{len(pictures)}.png"
                pictures[name] = base64.b64decode("".join(data["image/png"]))
                parts.append(f"![Output of the cell above]({name})")
            else:
                text = "".join(output.get("text", data.get("text/plain", "")))
                parts.append(f'<div class="output" markdown>\n\n```text\n{text.rstrip()}\n```\n\n</div>')
    return "\n\n".join(parts) + "\n", pictures


def mathml(page_html: str) -> str:
    """Formulas of arithmatex, in LaTeX, as MathML."""
    from latex2mathml.converter import convert

    def inline(found: re.Match[str]) -> str:
        return convert(html.unescape(found.group(1)))

    def block(found: re.Match[str]) -> str:
        return convert(html.unescape(found.group(1)), display="block")

    page_html = re.sub(r'<span class="arithmatex">\\\((.*?)\\\)</span>', inline, page_html, flags=re.S)
    return re.sub(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', block, page_html, flags=re.S)
