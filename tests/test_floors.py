"""Imports go only down: the packages stand in one order, and each may import only those that its row names.

The reader of imports is that of `docs/make_package_graph.py`, which draws them.
"""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter

import pytest
from make_package_graph import PACKAGE, TARGET, all_imports, imports, package_graph, picture

ALLOWED: dict[str, set[str]] = {
    "core": set(),
    "codec": {"core"},
    "primitives": {"core"},
    "decoder": {"core"},
    "mesh": {"core"},
    "scan": {"core", "mesh"},
    "dataset": {"core", "mesh", "primitives"},
    "regularizers": {"core", "scan"},
    "solver": {"core", "scan"},
    "fitting": {"core", "mesh", "scan", "regularizers", "solver"},
    "space": {"core", "codec", "mesh", "decoder", "solver"},
    "plot": {"core", "mesh", "space"},
    "training": {"core", "decoder", "dataset", "space"},
    "inference": {"core", "codec", "mesh", "decoder", "dataset", "space"},
    "reconstruction": {"core", "mesh", "decoder", "scan", "regularizers", "solver", "fitting", "space", "inference"},
    "explorer": {"core", "codec", "mesh", "decoder", "scan", "space", "inference", "reconstruction"},
    "cli": {"core", "primitives", "decoder", "mesh", "scan", "dataset", "fitting", "space", "training", "inference"}
    | {"reconstruction", "plot", "explorer"},
}
"""What each package may import; the order of the rows is that of the floors, lowest first."""
SPACE_WITHOUT_FILES = {"space/space.py", "space/shape.py"}
"""Files that must know nothing of storage and search."""


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
    for item in all_imports():
        graph.setdefault(item.file.removesuffix(".py").replace("/", "."), set()).add(item.target)
    tuple(TopologicalSorter(graph).static_order())


def test_private_names_stay_in_their_package() -> None:
    for item in all_imports():
        if item.package != item.file.split("/")[0]:
            assert not any(part.startswith("_") for part in [*item.target.split("."), item.name]), item


@pytest.mark.parametrize("file", sorted(SPACE_WITHOUT_FILES))
def test_a_space_knows_neither_files_nor_search(file: str) -> None:
    if not (PACKAGE / file).exists():
        pytest.fail(f"no file {file}")
    tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
    outside = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not outside & {"h5py", "faiss"}
    assert not {item.target for item in imports(PACKAGE / file)} & {"space.store", "space.index", "core.hdf5"}


def test_the_reader_of_imports_sees_what_is_there() -> None:
    seen = {(item.file, item.target, item.name) for item in all_imports()}
    assert ("training/loop.py", "dataset.dataset", "Dataset") in seen
    assert ("cli/build.py", "training.loop", "train") in seen
    assert ("cli/view.py", "explorer.page_server", "view") in seen


def test_the_committed_picture_is_the_one_of_these_imports() -> None:
    made = "run python docs/make_package_graph.py and commit docs/packages.svg"
    assert TARGET.read_text(encoding="utf-8") == picture(), made
