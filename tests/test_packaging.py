"""Wheel and source distribution are built, the wheel is installed and used; the tree passes its linters."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))


SOURCES = ("latentsdf", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "CHANGELOG.md", "CITATION.cff")
LARGEST = 8_000_000
"""Bytes of the wheel at most."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the source distribution, and of the wheel that is built from it."""
    out = tmp_path_factory.mktemp("built")
    source = tmp_path_factory.mktemp("source")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split(
        "\n"
    )
    for name in filter(None, tracked):
        if (ROOT / name).is_file() and name.split("/")[0] in (*SOURCES, "tests"):
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(out), str(source)], check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.mark.slow
def test_the_source_distribution_holds_what_the_wheel_is_built_from(built: Path) -> None:
    (found,) = built.glob("*.tar.gz")
    with tarfile.open(found) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"CHANGELOG.md", "CITATION.cff", "LICENSE", "pyproject.toml", "latentsdf/py.typed"} <= names
    assert not [name for name in names if name.startswith(("tests", "docs", "site"))]


@pytest.mark.slow
def test_both_are_fit_for_a_package_index(built: Path) -> None:
    pytest.importorskip("twine", reason="the check needs pip install 'latentsdf[release]'")
    files = [str(path) for path in sorted(built.iterdir())]
    done = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {
        "latentsdf/py.typed",
        "latentsdf/scan/reliability.npz",
        "latentsdf/mesh/record_basis.npz",
        "latentsdf/training/base_space.h5",
        "latentsdf/training/base_volumes.h5",
        "latentsdf/dataset/real_shapes.npz",
        "latentsdf/dataset/real_shapes.csv",
        "latentsdf/dataset/real_shapes_licences.txt",
        "latentsdf/__init__.pyi",
        "latentsdf/explorer/web/index.html",
        "latentsdf/explorer/web/explorer.js",
    } <= set(names)
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"latentsdf"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert wheel.stat().st_size < LARGEST


@pytest.mark.slow
def test_the_wheel_installs_and_its_command_runs(wheel: Path, tmp_path: Path, space_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True, system_site_packages=False)
    folder = "Scripts" if sys.platform == "win32" else "bin"
    python = tmp_path / "venv" / folder / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", str(wheel)], check=True, capture_output=True)
    # The dependencies are this environment's; only the package itself must come from the wheel.
    (site,) = (tmp_path / "venv").rglob("site-packages")
    (site / "dependencies.pth").write_text(str(next(p for p in sys.path if p.endswith("site-packages"))) + "\n")
    where = subprocess.run(
        [python, "-c", "import latentsdf; print(latentsdf.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert Path(where).is_relative_to(tmp_path)
    command = tmp_path / "venv" / folder / "latentsdf"
    done = subprocess.run([command, "info", str(space_path)], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "shapes: 9" in done.stdout


def test_the_linters_pass() -> None:
    subprocess.run([sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, check=True)
    subprocess.run([sys.executable, "-m", "ruff", "format", "--check", "."], cwd=ROOT, check=True)


@pytest.mark.slow
def test_the_types_check() -> None:
    done = subprocess.run([sys.executable, "-m", "pyright"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_function_takes_more_than_eight_parameters_and_public_ones_are_documented() -> None:
    import ast

    for path in (ROOT / "latentsdf").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                names = [a.arg for a in (*node.args.args, *node.args.kwonlyargs) if a.arg not in ("self", "cls")]
                assert len(names) <= 8, f"{path.name}:{node.name} takes {len(names)}"
                if not node.name.startswith("_") and node.col_offset == 0:
                    assert ast.get_docstring(node), f"{path.name}:{node.name} has no docstring"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in PAGES)])
def test_a_page_names_only_files_that_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / page).parent / target).exists(), target
    for name in re.findall(r"`([\w/]+\.py)`", text):
        assert any((folder / name).exists() for folder in (ROOT, ROOT / "latentsdf")), name


def test_changelog_and_citation_are_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d{2}-\d{2}))?$", changes, re.M)
    assert heads[0] == ("Unreleased", "")
    assert heads[1][0] == version
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {version}\n" in citation
    assert f'\ndate-released: "{heads[1][1]}"\n' in citation


def test_the_citation_has_the_fields_of_its_format() -> None:
    yaml = pytest.importorskip("yaml", reason="the citation is YAML: pip install pyyaml")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["title"].startswith(project["name"])
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert all(isinstance(author["name"], str) for author in citation["authors"])
    assert all(isinstance(word, str) for word in citation["keywords"])
