"""Imports go only down: the packages stand in one order, and each may import only those that its row names."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import latentsdf

PACKAGE = Path(latentsdf.__file__).parent
ALLOWED: dict[str, set[str]] = {
    "core": set(),
    "primitives": {"core"},
    "decoder": {"core"},
    "mesh": {"core"},
    "scan": {"core", "mesh"},
    "dataset": {"core", "mesh", "primitives"},
    "regularizers": {"core", "scan"},
    "solver": {"core", "scan"},
    "fitting": {"core", "mesh", "scan", "regularizers", "solver"},
    "space": {"core", "mesh", "decoder", "solver"},
    "training": {"core", "decoder", "dataset", "space"},
    "inference": {"core", "mesh", "decoder", "dataset", "space"},
    "reconstruction": {"core", "decoder", "scan", "regularizers", "solver", "fitting", "space", "inference"},
    "cli": {"core", "primitives", "mesh", "scan", "dataset", "fitting", "space", "training", "inference"}
    | {"reconstruction"},
}
"""What each package may import; the order of the rows is that of the floors, lowest first."""
SPACE_WITHOUT_FILES = {"space/space.py", "space/shape.py"}
"""Files that must know nothing of storage and search."""


class Import(NamedTuple):
    """One imported name.

    Attributes:
        file: that imports, relative to the package.
        target: module imported from, dotted below `latentsdf`.
        name: imported.
    """

    file: str
    target: str
    name: str

    @property
    def package(self) -> str:
        """Package that is imported."""
        return self.target.split(".")[0]


def imports(path: Path) -> list[Import]:
    """Names that a file imports from this library, at its top or inside a function."""
    inside = path.relative_to(PACKAGE)
    here = list(inside.parts[:-1])
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = here[: len(here) - node.level + 1]
                target = ".".join([*base, *([node.module] if node.module else [])])
            elif (node.module or "").split(".")[0] == "latentsdf":
                target = (node.module or "").partition(".")[2]
            else:
                continue
            found += [Import(inside.as_posix(), target or alias.name, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            own = [alias.name for alias in node.names if alias.name.split(".")[0] == "latentsdf"]
            found += [Import(inside.as_posix(), name.partition(".")[2], name) for name in own]
    return found


def all_imports() -> list[Import]:
    return [found for path in PACKAGE.rglob("*.py") for found in imports(path)]


def package_graph() -> dict[str, set[str]]:
    """Packages that each package imports."""
    graph: dict[str, set[str]] = {name: set() for name in ALLOWED}
    for found in all_imports():
        here = found.file.split("/")[0]
        if "/" in found.file and found.package != here:
            graph[here].add(found.package)
    return graph


def test_every_module_lies_in_a_package() -> None:
    assert {path.name for path in PACKAGE.glob("*.py*")} == {"__init__.py", "__init__.pyi", "__main__.py"}
    packages = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert packages == set(ALLOWED)


def test_packages_import_only_what_their_row_names() -> None:
    order = list(ALLOWED)
    for name, allowed in ALLOWED.items():
        assert all(order.index(other) < order.index(name) for other in allowed), name
    for name, others in package_graph().items():
        assert others <= ALLOWED[name], f"{name} imports {sorted(others - ALLOWED[name])}"


def test_files_make_no_circle() -> None:
    graph: dict[str, set[str]] = {}
    for found in all_imports():
        graph.setdefault(found.file.removesuffix(".py").replace("/", "."), set()).add(found.target)
    tuple(TopologicalSorter(graph).static_order())


def test_private_names_stay_in_their_package() -> None:
    for found in all_imports():
        if found.package != found.file.split("/")[0]:
            assert not any(part.startswith("_") for part in [*found.target.split("."), found.name]), found


@pytest.mark.parametrize("file", sorted(SPACE_WITHOUT_FILES))
def test_a_space_knows_neither_files_nor_search(file: str) -> None:
    if not (PACKAGE / file).exists():
        pytest.fail(f"no file {file}")
    tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
    outside = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not outside & {"h5py", "faiss"}
    assert not {found.target for found in imports(PACKAGE / file)} & {"space.store", "space.index", "core.hdf5"}


def test_the_reader_of_imports_sees_what_is_there() -> None:
    seen = {(found.file, found.target, found.name) for found in all_imports()}
    assert ("training/loop.py", "dataset.dataset", "Dataset") in seen
    assert ("cli/build.py", "training.loop", "train") in seen
    assert ("cli/query.py", "space.viewer", "view") in seen
