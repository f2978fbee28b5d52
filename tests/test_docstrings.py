"""Docstrings say what a stranger needs: a plain first line, shapes of arrays, and what is raised."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import latentsdf

PACKAGE = Path(latentsdf.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
RIDDLES = {"what", "where", "which", "how", "whether", "why", "when"}
ARRAYS = re.compile(r"\b(Tensor|NDArray|Array|ArrayLike|Indices|Mask)\b")
SHAPE = re.compile(r"\((\.\.\.|\d+|size|[A-Z](\^3)?\b)[^()]*\)|[Ss]calar|same shape")
"""A shape as the legend of `core.field` writes it: (N, 3), (S, D), (R^3,), (..., 3)."""


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Public functions and methods of a module, without methods whose docstring a base class states."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            own = [method for method in node.body if isinstance(method, ast.FunctionDef)]
            named = [method for method in own if not method.name.startswith("_")]
            yield from (method for method in named if ast.get_docstring(method) is not None or not node.bases)


def _own_raises(node: ast.FunctionDef) -> set[str]:
    """Names of the exceptions that a function itself raises, those that it only passes on left out."""
    names = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Raise) and isinstance(inner.exc, ast.Call) and isinstance(inner.exc.func, ast.Name):
            names.add(inner.exc.func.id)
    return names - {"AssertionError"}


def _annotations(node: ast.FunctionDef) -> str:
    given = [a.annotation for a in (*node.args.args, *node.args.kwonlyargs)]
    return " ".join(ast.unparse(part) for part in (*given, node.returns) if part is not None)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_docstrings(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    first = (ast.get_docstring(tree) or "").split()
    assert first, "the module has no docstring"
    assert first[0].lower() not in RIDDLES, f"the module's docstring opens with {first[0]!r}; say what the module is"
    for node in functions(tree):
        text = ast.get_docstring(node) or ""
        assert text, f"{node.name} has no docstring"
        if ARRAYS.search(_annotations(node)):
            assert SHAPE.search(text), f"{node.name} takes or gives arrays and states no shape"
        for name in _own_raises(node):
            stated = name in text or name in (ast.get_docstring(tree) or "")
            assert stated, f"{node.name} raises {name} and does not say so"
