"""`latentsdf completion SHELL`: a script that completes verbs, options, files and shape names."""

from __future__ import annotations

from argparse import Namespace

from .arguments import Result
from .command_table import commands
from .completion_scripts import bash_script, fish_script, zsh_script
from .parser import build_parser
from .progress import say

_SCRIPTS = {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}


def completion(options: Namespace) -> Result:
    """Run `latentsdf completion`; raises ValueError where the names of a file are asked for that is no space."""
    if options.names is not None:
        from ..space.stored_figures import stored_names

        names = stored_names(options.names)
        for name in names:
            say(name)
        return {"space": options.names, "names": names}
    script = _SCRIPTS[options.shell](list(commands(build_parser())))
    say(script.rstrip("\n"))
    return {"shell": options.shell, "script": script}
