"""`progresshub completions`: what a shell needs to complete verbs, options and the ids of tasks.

It is made from the parser, so it can't know other words than that does.
"""

from __future__ import annotations

import argparse
import shlex
from argparse import Namespace
from collections.abc import Iterator
from typing import NamedTuple

from progresshub.cli.parser import PROGRAM, parser

IDS = f"{PROGRAM} ls --quiet --limit 50 2>/dev/null"
TAKES_IDS = frozenset({"ids", "id"})


class Word(NamedTuple):
    text: str
    about: str


class Place(NamedTuple):
    """What may follow a verb, or a verb and its action."""

    path: tuple[str, ...]
    words: tuple[Word, ...]
    options: tuple[Word, ...]
    takes_ids: bool


def run(args: Namespace) -> int:
    print({"bash": _bash, "zsh": _zsh, "fish": _fish}[args.shell](list(_places(parser()))), end="")
    return 0


def _places(of: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[Place]:
    words: list[Word] = []
    options: list[Word] = []
    inner: dict[str, argparse.ArgumentParser] = {}
    positional = set()
    for action in of._actions:  # noqa: SLF001 - argparse tells of its arguments in no other way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            inner = dict(action.choices)
            words += [Word(choice.dest, choice.help or "") for choice in action._choices_actions]  # noqa: SLF001
        elif action.option_strings:
            options += [Word(option, _plain(action.help or "")) for option in action.option_strings]
        else:
            positional.add(action.dest)
            words += [Word(str(choice), "") for choice in action.choices or ()]
    yield Place(path, tuple(words), tuple(options), bool(positional & TAKES_IDS))
    for name, one in inner.items():
        yield from _places(one, (*path, name))


def _plain(text: str) -> str:
    return text.replace("%%", "%")


def _bash(places: list[Place]) -> str:
    cases = "".join(
        f"        {shlex.quote(' '.join(place.path))})\n"
        f"            words={shlex.quote(' '.join(word.text for word in (*place.words, *place.options)))}\n"
        f"            ids={'yes' if place.takes_ids else ''}\n"
        "            ;;\n"
        for place in places
    )
    actions = " ".join({place.path[0] for place in places if len(place.path) == 2})
    return f"""\
# Completions of {PROGRAM} for bash: eval "$({PROGRAM} completions bash)"
_{PROGRAM}() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} place=${{COMP_WORDS[1]}} words= ids=
    [ "$COMP_CWORD" -gt 1 ] || place=
    case " {actions} " in
        *" $place "*) [ -z "$place" ] || [ "$COMP_CWORD" -le 2 ] || place="$place ${{COMP_WORDS[2]}}" ;;
    esac
    case $place in
{cases}    esac
    [ -z "$ids" ] || [ "${{current#-}}" != "$current" ] || words="$words $({IDS})"
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -o bashdefault -o default -F _{PROGRAM} {PROGRAM}
"""


def _zsh(places: list[Place]) -> str:
    cases = "".join(
        f"        {shlex.quote(' '.join(place.path))})\n"
        f"            offered=({' '.join(shlex.quote(_described(word)) for word in (*place.words, *place.options))})\n"
        f"            ids={'yes' if place.takes_ids else ''}\n"
        "            ;;\n"
        for place in places
    )
    actions = " ".join({place.path[0] for place in places if len(place.path) == 2})
    return f"""\
#compdef {PROGRAM}
# Completions of {PROGRAM} for zsh: eval "$({PROGRAM} completions zsh)"
_{PROGRAM}() {{
    local place= ids=
    local -a offered found
    (( CURRENT > 2 )) && place=$words[2]
    [[ $CURRENT -gt 3 && " {actions} " == *" $place "* ]] && place="$place $words[3]"
    case $place in
{cases}    esac
    _describe -t words word offered
    if [[ -n $ids ]]; then
        found=(${{(f)"$({IDS})"}})
        compadd -a found
    fi
    _files
}}
compdef _{PROGRAM} {PROGRAM}
"""


def _described(word: Word) -> str:
    text = word.text.replace(":", "\\:")
    return f"{text}:{word.about}" if word.about else text


def _fish(places: list[Place]) -> str:
    lines = [f"# Completions of {PROGRAM} for fish: {PROGRAM} completions fish | source"]
    for place in places:
        condition = " ; and ".join(f"__fish_seen_subcommand_from {word}" for word in place.path)
        condition = condition or "__fish_use_subcommand"
        start = f"complete -c {PROGRAM} -n {shlex.quote(condition)}"
        lines += [f"{start} -f -a {shlex.quote(word.text)} -d {shlex.quote(word.about)}" for word in place.words]
        lines += [f"{start} {_fish_option(option.text)} -d {shlex.quote(option.about)}" for option in place.options]
        if place.takes_ids:
            lines.append(f"{start} -f -a '({IDS})'")
    return "\n".join(lines) + "\n"


def _fish_option(text: str) -> str:
    return f"-l {text[2:]}" if text.startswith("--") else f"-s {text[1:]}"
