"""Reference of the Python interface as Markdown, from stubs and docstrings, without importing the library.

`expand` replaces each line `::: latentsdf.NAME` of a page by the reference of that name; a module stands for all names
of its stub.
"""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "latentsdf"
SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "Example", "Examples")
_LIST, _CODE = ("Args", "Attributes"), ("Example", "Examples")
_TARGET = re.compile(r"^::: latentsdf\.([\w.]+)$", re.M)


def public_names(module: str = "") -> dict[str, Path | None]:
    """Names that the stub of a package exports, and the file that each is defined in; None for a module."""
    folder = PACKAGE / module.replace(".", "/") if module else PACKAGE
    names: dict[str, Path | None] = {}
    for node in ast.parse((folder / "__init__.pyi").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                file = folder / f"{(node.module or '').replace('.', '/')}.py"
                names[alias.asname or alias.name] = file if node.module else None
    return names


def expand(page: str) -> str:
    """The page with each line `::: latentsdf.NAME` replaced.

    Raises:
        KeyError: a name that no stub exports.
    """
    return _TARGET.sub(lambda found: entry(found.group(1)), page)


def entry(name: str) -> str:
    """The reference of a public name, or of all names of a public module.

    Raises:
        KeyError: no stub exports it.
    """
    module, _, last = name.rpartition(".")
    names = public_names(module)
    if last not in names:
        raise KeyError(f"no stub exports latentsdf.{name}")
    if names[last] is None:
        tree = ast.parse((PACKAGE / last / "__init__.py").read_text(encoding="utf-8"))
        parts = [f"{ast.get_docstring(tree) or ''}\n", *(entry(f"{name}.{inner}") for inner in public_names(name))]
        return "\n".join(parts)
    return _definition(f"latentsdf.{name}", last, names[last] or PACKAGE)


@cache
def _module(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _definition(full: str, name: str, path: Path) -> str:
    tree = _module(path)
    head = f"### `{full.removeprefix('latentsdf.')}` {{ #{full} }}\n"
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return "\n".join([head, _code(_signature(node)), docstring(ast.get_docstring(node)), ""])
        if isinstance(node, ast.ClassDef) and node.name == name:
            return "\n".join([head, _class(node), ""])
        if name in _assigned(node):
            value = f"{name} = {ast.unparse(node.value)}" if name == "SDF" or full.endswith("Terms") else ""  # pyright: ignore
            return "\n".join([head, _code(value) if value else "", docstring(_string(after)), ""])
        if isinstance(node, ast.ImportFrom) and any((alias.asname or alias.name) == name for alias in node.names):
            folder = path.parents[node.level - 1]
            return _definition(full, name, folder / f"{(node.module or '').replace('.', '/')}.py")
    raise KeyError(f"{full} is not defined where its stub says")


def _assigned(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _string(node: ast.stmt | None) -> str:
    """The docstring that follows an assignment."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return inspect.cleandoc(node.value.value)
    return ""


def _class(node: ast.ClassDef) -> str:
    lines = []
    methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
    own = next((item for item in methods if item.name == "__init__"), None)
    fields = _fields(node)
    if own is not None:
        lines.append(_code(_signature(own, node.name)))
    elif any("dataclass" in ast.unparse(item) for item in node.decorator_list):
        only = "kw_only=True" in " ".join(map(ast.unparse, node.decorator_list))
        inside = [f"{name}: {kind}{default}" for name, kind, default, _ in fields]
        lines.append(_code(_wrapped(f"class {node.name}", ["*", *inside] if only else inside, "")))
    lines.append(docstring(ast.get_docstring(node)))
    if any(text for *_, text in fields):
        lines += ["", "| field | type, default | |", "|---|---|---|"]
        for name, kind, default, text in fields:
            cell = f"{kind}{default}".replace("|", "\\|")
            lines.append(f"| `{name}` | `{cell}` | {' '.join(text.split())} |".replace("\\|", "&#124;"))
    for item in methods:
        text = ast.get_docstring(item)
        shown = not item.name.startswith("_") or item.name in ("__call__", "__getitem__")
        if shown and text:
            decorators = [ast.unparse(part) for part in item.decorator_list]
            read = any(part.endswith("property") for part in decorators)
            given = f"{item.name}: {_text(item.returns)}" if read else _signature(item)
            lines += ["", f"#### `{node.name}.{item.name}`", "", _code(given), docstring(text)]
    return "\n".join(lines)


def _fields(node: ast.ClassDef) -> list[tuple[str, str, str, str]]:
    """Name, type, default and docstring of each field of a class."""
    found = []
    for item, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.target.id[0] != "_":
            default = f" = {ast.unparse(item.value)}" if item.value is not None else ""
            found.append((item.target.id, _text(item.annotation), default, _string(after)))
    return found


def _signature(node: ast.FunctionDef, name: str = "") -> str:
    given, parts = node.args, []
    positional = [*given.posonlyargs, *given.args]
    for item, default in zip(
        positional, [None] * (len(positional) - len(given.defaults)) + [*given.defaults], strict=True
    ):
        if item.arg not in ("self", "cls"):
            parts.append(_parameter(item, default))
        if given.posonlyargs and item is given.posonlyargs[-1]:
            parts.append("/")
    if given.vararg:
        parts.append(f"*{given.vararg.arg}: {_text(given.vararg.annotation)}")
    elif given.kwonlyargs:
        parts.append("*")
    parts += [_parameter(item, default) for item, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    returns = f" -> {_text(node.returns)}" if node.returns is not None and not name else ""
    return _wrapped(name or node.name, parts, returns)


def _wrapped(head: str, parts: list[str], returns: str) -> str:
    line = f"{head}({', '.join(parts)}){returns}"
    return line if len(line) <= 88 else "\n".join([f"{head}(", *(f"    {part}," for part in parts), f"){returns}"])


def _parameter(item: ast.arg, default: ast.expr | None) -> str:
    kind = f": {_text(item.annotation)}" if item.annotation is not None else ""
    return f"{item.arg}{kind}" + (f" = {ast.unparse(default)}" if default is not None else "")


def _text(node: ast.expr | None) -> str:
    return "" if node is None else ast.unparse(node).strip("'\"")


def _code(text: str) -> str:
    return f"```python\n{text}\n```\n"


def docstring(text: str | None) -> str:
    """A docstring with sections `Args:`, `Returns:` ... as Markdown.

    Args:
        text: as `inspect.cleandoc` gives it.
    """
    blocks: list[tuple[str, list[str]]] = [("", [])]
    for line in (text or "").split("\n"):
        title = line.rstrip(":")
        if line.endswith(":") and title in SECTIONS:
            blocks.append((title, []))
        else:
            blocks[-1][1].append(line)
    parts = []
    for title, lines in blocks:
        body = inspect.cleandoc("\n".join(lines)) if title else "\n".join(lines).strip()
        if title in _CODE:
            parts.append(f"```python\n{body}\n```")
        elif title in _LIST or title == "Raises":
            items = re.split(r"\n(?=\S)", body)
            rows = [re.sub(r"^([\w, *`]+?):\s+", r"**`\1`** ", " ".join(item.split())) for item in items]
            parts.append(f"{title}:\n\n" + "\n".join(f"- {_escaped(row)}" for row in rows))
        elif title:
            parts.append(f"{title}: {_escaped(body)}")
        else:
            parts.append(_escaped(body))
    return "\n\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    """Text in which angle brackets, asterisks, underscores and square brackets outside of code are literal."""
    pieces = re.split(r"(\n\n(?: {4}.*\n?)+|\*\*`.*?`\*\*|`[^`]*`)", text)
    return "".join(
        piece if number % 2 else re.sub(r"([<\[\]_*|])", r"\\\1", piece) for number, piece in enumerate(pieces)
    )
