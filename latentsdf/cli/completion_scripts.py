"""Completion scripts for bash, zsh and fish, made from the table of commands."""

from __future__ import annotations

from .command_table import Command, Option


def _path(command: Command) -> str:
    return " ".join(command.words)


_BASH = r"""# completion of latentsdf for bash: eval "$(latentsdf completion bash)"
_latentsdf_files() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen "$1" -- "$2"); }
_latentsdf_names() {
    local names name  # never expanded: a name may hold anything
    mapfile -t names < <(latentsdf completion bash --names "$1" 2>/dev/null)
    for name in "${names[@]}"; do
        [[ $name == "$2"* ]] && COMPREPLY+=("$(printf %q "$name")")
    done
}
_latentsdf() {
    local current=${COMP_WORDS[COMP_CWORD]} command="" space="" place=0 wanted="" i word
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ -n $wanted ]]; then wanted=""; continue; fi
        if [[ $word == -* ]]; then
            case "$command $word" in
VALUED) wanted=$word ;;
            esac
            continue
        fi
        case "$command/$word" in
DEEPER) command="${command:+$command }$word"; place=0; space=""; continue ;;
        esac
        [[ $place == 0 ]] && space=${word/#\~/$HOME}
        place=$((place + 1))
    done
    if [[ -n $wanted ]]; then
        case "$command $wanted" in
VALUES
        esac
        return
    fi
    if [[ $current == -* ]]; then
        case "$command" in
OPTIONS
        esac
        return
    fi
    case "$command" in
PLACES
    esac
}
complete -F _latentsdf latentsdf
"""


def bash_script(found: list[Command]) -> str:
    """A function that finds the command in the words so far, and proposes by tables."""
    valued, values, deeper, options, places = [], [], [], [], []
    for command in found:
        path = _path(command)
        flags = [flag for option in command.options for flag in option.flags]
        options.append(f'            "{path}") {_bash_reply(" ".join(flags))} ;;')
        deeper += [f'"{path}/{kind}"' for kind in command.kinds]
        for option in command.options:
            patterns = "|".join(f'"{path} {flag}"' for flag in option.flags)
            if option.value != "none":
                valued.append(patterns)
                values.append(f"            {patterns}) {_bash_reply(option.value)} ;;")
        places.append(f'        "{path}") {_bash_places(command)} ;;')
    parts = {
        "VALUED": " " * 12 + "|".join(valued),
        "DEEPER": " " * 8 + "|".join(deeper),
        "VALUES": "\n".join(values),
        "OPTIONS": "\n".join(options),
        "PLACES": "\n".join(places),
    }
    script = _BASH
    for key, text in parts.items():
        script = script.replace(key, text, 1)
    return script


def _bash_places(command: Command) -> str:
    if command.kinds:
        return _bash_reply(" ".join(command.kinds))
    last = len(command.positionals) - 1
    rows = [
        f"{number}{'|*' if number == last and command.repeats else ''}) {_bash_reply(value)} ;;"
        for number, value in enumerate(command.positionals)
    ]
    return f"case $place in {' '.join(rows)} esac" if rows else ":"


def _bash_reply(value: str) -> str:
    if value == "files":
        return '_latentsdf_files -f "$current"'
    if value == "folders":
        return '_latentsdf_files -d "$current"'
    if value == "names":
        return '_latentsdf_names "$space" "$current"'
    if value == "names|files":
        return 'mapfile -t COMPREPLY < <(compgen -f -- "$current"); _latentsdf_names "$space" "$current"'
    if value in ("any", "none"):
        return ":"
    return f'mapfile -t COMPREPLY < <(compgen -W "{value}" -- "$current")'


def zsh_script(found: list[Command]) -> str:
    """A function for each command, made of the specifications that `_arguments` reads."""
    lines = ["#compdef latentsdf", '# completion of latentsdf for zsh: eval "$(latentsdf completion zsh)"']
    lines += [
        "_latentsdf_names() {",
        "    local -a names",
        '    names=(${(f)"$(latentsdf completion zsh --names ${(Q)~${line[1]:-$words[2]}} 2>/dev/null)"})',
        "    compadd -a names",
        "}",
    ]
    for command in found:
        specs = [_zsh_option(option) for option in command.options]
        if command.kinds:
            kinds = {item.words[-1]: item.text for item in found if item.words[:-1] == command.words and item.words}
            rows = " ".join(_zsh_quoted(f"{name}:{text}") for name, text in kinds.items())
            specs += ["'1:word:->word'", "'*::rest:->rest'"]
            lines += [
                f"{_function(command.words)}() {{",
                "    local state line; typeset -A opt_args",
                f"    _arguments -C {' '.join(specs)} && return",
                "    case $state in",
                f"        word) local -a words_here; words_here=({rows}); _describe command words_here ;;",
                f"        rest) (( $+functions[{_function(command.words)}_$line[1]] )) && "
                f"{_function(command.words)}_$line[1] ;;",
                "    esac",
                "}",
            ]
            continue
        for number, value in enumerate(command.positionals):
            many = command.repeats and number == len(command.positionals) - 1
            specs.append(f"'{'*' if many else number + 1}:{_zsh_action(value)}'")
        lines += [
            f"{_function(command.words)}() {{",
            "    local line; typeset -A opt_args",
            f"    _arguments {' '.join(specs)}",
            "}",
        ]
    return "\n".join([*lines, "compdef _latentsdf latentsdf", ""])


def _function(words: tuple[str, ...]) -> str:
    return "_".join(("_latentsdf", *words))


def _zsh_option(option: Option) -> str:
    text = option.text.replace("[", "(").replace("]", ")").replace(":", " -")
    value = "" if option.value == "none" else f":{_zsh_action(option.value)}"
    return " ".join(_zsh_quoted(f"{flag}[{text}]{value}") for flag in option.flags)


def _zsh_action(value: str) -> str:
    action = {"files": "file:_files", "folders": "folder:_files -/", "names": "name:_latentsdf_names", "any": "value: "}
    if value == "names|files":
        return "name or file:{_latentsdf_names; _files}"
    return action.get(value, f"word:({value})")


def _zsh_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def fish_script(found: list[Command]) -> str:
    """Conditions on the words so far, one line for each proposal."""
    lines = [
        "# completion of latentsdf for fish: latentsdf completion fish | source",
        "function __latentsdf_words",
        "    string match -v -- '-*' (commandline -opc)[2..-1]",
        "end",
        "function __latentsdf_at",
        "    set -l found (__latentsdf_words)",
        "    set -l wanted (count $argv)",
        '    test $wanted -le (count $found); and test "$found[1..$wanted]" = "$argv"',
        "end",
        "function __latentsdf_only",
        "    set -l found (__latentsdf_words)",
        '    test "$found" = "$argv"',
        "end",
        "function __latentsdf_names",
        "    set -l found (__latentsdf_words)",
        "    set -q found[$argv[1]]; and latentsdf completion fish --names $found[$argv[1]] 2>/dev/null",
        "end",
        "complete -c latentsdf -e",
    ]
    for command in found:
        path = _path(command)
        for kind in (item for item in found if item.words and item.words[:-1] == command.words):
            only = f"__latentsdf_only {path}" if path else "test (count (__latentsdf_words)) -eq 0"
            lines.append(
                f"complete -c latentsdf -f -n {_fish_quoted(only)} -a {kind.words[-1]} -d {_fish_quoted(kind.text)}"
            )
        condition = f"-n {_fish_quoted(f'__latentsdf_at {path}')}" if path else ""
        for option in command.options:
            flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
            need = {"none": "", "files": " -rF", "folders": " -rF", "any": " -x"}.get(
                option.value, f" -xa {_fish_quoted(option.value)}"
            )
            lines.append(f"complete -c latentsdf {condition} {flags}{need} -d {_fish_quoted(option.text)}")
        if {"names", "names|files"} & set(command.positionals):
            names = _fish_quoted(f"(__latentsdf_names {len(command.words) + 1})")
            at = f"__latentsdf_at {path}; and test (count (__latentsdf_words)) -gt {len(command.words)}"
            files = "" if "names|files" in command.positionals else "-f "
            lines.append(f"complete -c latentsdf {files}-n {_fish_quoted(at)} -a {names}")
    return "\n".join(lines) + "\n"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
