"""Every command in README and the pages of `docs/` is one that its parser, script or package knows."""

from __future__ import annotations

import argparse
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from latentsdf.cli.parser import build_parser

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "datasets/README.md", "checkpoints/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
TASKS = ("getting_started.md", "which_verb.md", "faq.md", "choosing_terms.md")
"""Pages whose sentences and tables hold whole commands."""
VARIABLE = re.compile(r"\.\.\.|…|\[|\||\b[A-Z]\b")
"""What marks a synopsis: something left out, an option in brackets, alternatives, or a letter for a number."""


class Command(NamedTuple):
    """A command of a page: of a code block, or of code within a sentence, which may be a part of one."""

    page: str
    line: str
    whole: bool

    def __str__(self) -> str:
        return f"{self.page}: {self.line}"


def commands(text: str, page: str = "") -> Iterator[Command]:
    """Commands of a page, one a line, without comments."""
    text = re.sub(r"\\\n\s*", "", text)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    blocks = re.findall(r"^```(?:bash|sh|)\n(.*?)^```", text, re.M | re.S)
    blocks += re.findall(r"(?:^ {4}.*\n?)+", rest, re.M)
    spans = [" ".join(code.split()) for code in re.findall(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)", rest)]
    lines = [(line, True) for block in blocks for line in block.splitlines()] + [(span, False) for span in spans]
    for line, whole in lines:
        for part in re.split(r"&&|;|\beval \"\$\(|\)\"", re.sub(r"(^|\s)#.*", "", line)):
            if part.strip():
                yield Command(page, part.strip().replace("\\|", "|"), whole)


def found(head: str) -> list[Command]:
    """Commands that begin so."""
    every = [command for page in PAGES for command in commands(page.read_text(encoding="utf-8"), page.name)]
    return [command for command in every if re.match(rf"{head}\s+[\w.-]", command.line)]


@cache
def parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each verb, and of each kind of a verb that has some (`plot sheet`)."""
    known: dict[str, argparse.ArgumentParser] = {}

    def gather(parser: argparse.ArgumentParser, name: str) -> None:
        groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        if not groups:
            known[name] = parser
        for choice, inner in (groups[0].choices if groups else {}).items():
            gather(inner, f"{name} {choice}".strip())

    gather(build_parser(), "")
    return known


VERBS = sorted({name.split()[0] for name in parsers()})


def options_of(verb: str) -> set[str]:
    """Option strings of a verb, and of all its kinds."""
    chosen = [parser for name, parser in parsers().items() if name == verb or name.startswith(f"{verb} ")]
    assert chosen, f"there is no verb {verb!r}"
    return {text for parser in chosen for action in parser._actions for text in action.option_strings}


def named_options(line: str) -> set[str]:
    """Long options that a line names."""
    return set(re.findall(r"(?<![\w-])--[a-z][\w-]*", line))


@pytest.mark.parametrize("command", found("latentsdf"), ids=str)
def test_a_command_is_understood(command: Command) -> None:
    line = re.split(r"\s[<>|]\s", command.line)[0] if command.page != "cli.md" else command.line
    words = shlex.split(line)[1:]
    if words[0] in ("VERB", "--help"):
        return
    unknown = named_options(line) - options_of(words[0])
    assert not unknown, f"no option {unknown}"
    whole = command.whole or (command.page in TASKS and len(words) > 2)
    if whole and not VARIABLE.search(line):
        build_parser().parse_args(words)


@pytest.mark.parametrize("command", found(f"({'|'.join(VERBS)})"), ids=str)
def test_a_verb_in_a_sentence_has_its_options(command: Command) -> None:
    unknown = named_options(command.line) - options_of(command.line.split()[0])
    assert not unknown, f"no option {unknown}"


@pytest.mark.parametrize("command", found("torchrun"), ids=str)
def test_a_command_under_torchrun_is_understood(command: Command) -> None:
    _, module, words = command.line.partition("-m latentsdf ")
    assert module
    if not VARIABLE.search(command.line):
        build_parser().parse_args(shlex.split(words))


@pytest.mark.parametrize("command", [*found("python3?"), *found(r"benchmarks/\w+\.py")], ids=str)
def test_a_script_has_the_options_that_a_page_gives_it(command: Command) -> None:
    script = re.search(r"[\w/]+\.py", command.line)
    if script is None or script.group() == "datasets/NAME.py":
        assert re.match(r"python3? (-m (venv|pytest|http\.server|build|latentsdf)|datasets/NAME)", command.line)
        return
    path = ROOT / script.group()
    shared = ("common.py", "package_files.py") if path.parent == ROOT / "datasets" else ()
    known = "".join(file.read_text(encoding="utf-8") for file in [path, *(path.with_name(name) for name in shared)])
    if "tests" not in path.parts:
        unknown = {name for name in named_options(command.line) if f'"{name}"' not in known}
        assert not unknown, f"no option {unknown}"


@pytest.mark.parametrize("command", found("pip"), ids=str)
def test_an_extra_that_a_page_installs_exists(command: Command) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for names in re.findall(r"(?:latentsdf|\.)\[([\w,]+)\]", command.line):
        assert set(names.split(",")) <= set(extras)


def test_the_search_for_commands_finds_them() -> None:
    block = "```\nlatentsdf mesh s.h5 a \\\n    -o b.ply   # a comment\n```\n"
    lines = [
        command.line for command in commands(f"`latentsdf info\na.h5`\n\n{block}\n    python x.py && latentsdf demo\n")
    ]
    assert lines == ["latentsdf mesh s.h5 a -o b.ply", "python x.py", "latentsdf demo", "latentsdf info a.h5"]
    assert len(found("latentsdf")) > 100
    assert {"README.md", "cli.md", *TASKS} <= {command.page for command in found("latentsdf")}


@pytest.mark.parametrize("verb", VERBS)
def test_the_page_of_the_command_line_has_every_option(verb: str) -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {verb}$(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert section is not None, f"docs/cli.md has no section {verb}"
    shared = {"--help", "--json", "--seed", "--quiet", "--debug", "-h", "--out"}
    missing = {name for name in options_of(verb) - shared if f"{name}" not in section.group(1)}
    assert not missing, f"docs/cli.md leaves out {missing} of {verb}"
