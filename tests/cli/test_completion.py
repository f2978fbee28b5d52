"""Completion: what the shells themselves propose, by the scripts that `latentsdf completion` prints."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from latentsdf.cli.command_table import commands
from latentsdf.cli.parser import build_parser
from latentsdf.cli.verbs import MODULES
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load, save

BASH = """
eval "$(latentsdf completion bash)"
ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _latentsdf; printf '%s\\n' "${COMPREPLY[@]}"; echo .; }
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment with a command `latentsdf` of this Python, and no settings of the user."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "latentsdf"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m latentsdf "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}


def shell(name: str, script: str, environment: dict[str, str]) -> str:
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed here")
    flags = {"bash": ["--norc"], "fish": ["--no-config"], "zsh": ["-f"]}[name]
    command = [program, *flags, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_every_verb_and_kind_is_a_command() -> None:
    found = {command.words for command in commands(build_parser())}
    assert {words[0] for words in found if words} == {verb for verbs in MODULES.values() for verb in verbs}
    assert ("plot", "morph") in found
    table = {command.words: command for command in commands(build_parser())}
    assert table["mesh",].positionals == ("files", "names")
    assert table["mesh",].repeats
    assert table["interpolate",].positionals == ("files", "names", "names")
    values = {flag: option.value for option in table["train",].options for flag in option.flags}
    assert values["--resume"] == "none"
    assert values["--meshes"] == "folders"
    assert values["--decoder"].split() == ["volumes", "dual", "dual-mlp", "deepsdf", "linear"]


def test_bash_proposes_verbs_kinds_options_values_files_and_names(
    environment: dict[str, str], space_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    shutil.copy(space_path, tmp_path / "s p.h5")
    asked = {
        "latentsdf re": ["reconstruct"],
        "latentsdf plot s": ["sheet", "slice"],
        "latentsdf plot sheet --me": ["--meshes"],
        "latentsdf train --decoder du": ["dual", "dual-mlp"],
        f'latentsdf mesh "{tmp_path}/s p.h5" bo': ["box/0", "box/1", "box/2"],
        f"latentsdf mesh -o x.ply --quiet {space_path} box/0 ring/1": ["ring/1"],
        f"latentsdf plot morph {space_path} ball/0 ring/2": ["ring/2"],
        f"latentsdf train --meshes {tmp_path}/fol": [f"{tmp_path}/folder"],
        f"latentsdf search {space_path} box/1": ["box/1"],
        f"latentsdf search {space_path} {tmp_path}/fol": [f"{tmp_path}/folder"],
        f"latentsdf info {tmp_path}/s": [f"{tmp_path}/s p.h5"],
    }
    out = shell("bash", BASH + "\n".join(f"ask {words}" for words in asked), environment)
    found = [text.split() if "s p.h5" not in text else [text.strip()] for text in out.split("\n.\n")[:-1]]
    assert found == list(asked.values())


def test_a_name_is_text_and_never_run(environment: dict[str, str], space_path: Path, tmp_path: Path) -> None:
    space = load(space_path)
    evil = f"$(touch {tmp_path}/ran)"
    one = next(iter(space.values()))
    shapes = [type(one)(name, one.code, one.frame, one.decoder) for name in (evil, "a `b` c")]
    save(LatentSpace(space.decoder, shapes), tmp_path / "s.h5")
    out = shell("bash", BASH + f"ask latentsdf mesh {tmp_path}/s.h5 ''", environment)
    assert not (tmp_path / "ran").exists()
    assert len(out.splitlines()) == 3


def test_fish_proposes_them_too(environment: dict[str, str], space_path: Path) -> None:
    asked = {
        "latentsdf re": ["reconstruct"],
        "latentsdf plot s": ["sheet", "slice"],
        "latentsdf plot sheet --me": ["--meshes"],
        "latentsdf train --decoder du": ["dual", "dual-mlp"],
        f"latentsdf mesh {space_path} box/": ["box/0", "box/1", "box/2"],
    }
    lines = "\n".join(f"complete -C'{words}'; echo ." for words in asked)
    out = shell("fish", f"latentsdf completion fish | source\n{lines}", environment)
    found = [[line.split("\t")[0] for line in text.splitlines()] for text in f"\n{out}".split("\n.\n")[:-1]]
    assert [[word for word in words if word] for words in found] == list(asked.values())


def test_zsh_reads_its_script(environment: dict[str, str], space_path: Path) -> None:
    script = f"""
        autoload -U compinit && compinit -u -D
        eval "$(latentsdf completion zsh)"
        (( $+functions[_latentsdf_plot_morph] )) && print -r -- $_comps[latentsdf]
        compadd() {{ print -rl -- "${{names[@]}}" }}
        words=(mesh {space_path} bo) line=({space_path})
        _latentsdf_names
    """
    assert shell("zsh", script, environment).split() == ["_latentsdf", *load(space_path)]
