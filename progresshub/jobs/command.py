"""The kind `command`: runs a program that the settings name, or with the right scope any program.

There is never a shell. A template's arguments are filled with values that fit their patterns as a
whole; a value that would turn an argument into an option is refused, unless `--` stands before it
in the template or the parameter's pattern itself begins with a dash.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from progresshub.errors import InvalidPayload
from progresshub.jobs.payload import read, schema_of
from progresshub.kinds import Kind, Reader, Spawn
from progresshub.model import Task
from progresshub.readers.ffmpeg import FfmpegReader
from progresshub.readers.percent import PercentReader
from progresshub.settings import PLACEHOLDER, Command

TITLE_CHARS = 80
TIMEOUT_MS = 1_800_000
NOTHING_FROM_HERE = {"PYTHONSAFEPATH": "1"}
"""In the task's own directory lies what clients have sent: Python must not take it for its modules."""

_TEXT = Meta(max_length=32_768, pattern=r"^[^\x00]*\Z")
_DASH_FIRST = re.compile(r"[\^(?:]*(?:\\?-|\[\\?\+?\\?-)")
_SECRET = re.compile(r"(?i)((?:passw\w*|token|secret|api[-_]?key|auth\w*|credentials?)[=:])\S+|(://)[^/@\s]+@")
_SECRET_NEXT = re.compile(r"(?i)--?(?:passw\w*|token|secret|api[-_]?key|auth\w*|credentials?)\Z")

Text = Annotated[str, _TEXT]


class Named(Struct, frozen=True, forbid_unknown_fields=True):
    """A template of the settings, and the values of its parameters."""

    name: Annotated[str, Meta(max_length=200, description="A command of the settings")]
    args: Annotated[dict[str, Text | int | float], Meta(description="A value for each of its parameters")] = {}


class Direct(Struct, frozen=True, forbid_unknown_fields=True):
    """Any program; needs a token of scope `command`."""

    argv: Annotated[list[Text], Meta(min_length=1, max_length=1_000, description="Program and arguments")]
    cwd: Annotated[str, Meta(max_length=4_096, pattern=r"^/[^\x00]*\Z", description="Where to run it")] | None = None
    env: Annotated[dict[str, Text], Meta(max_length=200, description="Variables added to its environment")] = {}


def kind(commands: Mapping[str, Command]) -> Kind:
    templates = _Templates(commands)
    return Kind(
        name="command",
        summary="Runs a program: " + (", ".join(sorted(commands)) or "none is named in the settings"),
        schema={"oneOf": [*_offers(commands), schema_of(Direct)]},
        check=templates.check,
        launch=templates.launch,
        title=_title,
        recovery="fail",
        timeout_ms=TIMEOUT_MS,
        timeout_of=templates.timeout_ms,
        needs_command_scope=_is_direct,
    )


def _offers(commands: Mapping[str, Command]) -> list[dict[str, Any]]:
    """A schema for each command of the settings; the patterns are Python's, and checked as such."""
    return [_offer(name, command) for name, command in sorted(commands.items())] or [schema_of(Named)]


def _offer(name: str, command: Command) -> dict[str, Any]:
    args = {param: {"type": ["string", "number"], "pattern": pattern} for param, pattern in command.params.items()}
    values = {"type": "object", "properties": args, "required": list(args), "additionalProperties": False}
    return {
        "title": name,
        "description": command.summary or shlex.join(command.argv),
        "type": "object",
        "properties": {"name": {"const": name}, "args": values},
        "required": ["name", "args"] if args else ["name"],
        "additionalProperties": False,
    }


class _Templates:
    """The commands of the settings."""

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands

    def check(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        asked: Struct
        if _is_direct(payload):
            asked = _checked_direct(payload)
        else:
            asked = read("command", Named, payload)
            _fill(self._named(asked.name), asked.args)
        filled: dict[str, Any] = msgspec.to_builtins(asked)
        return filled

    def launch(self, task: Task) -> Spawn:
        """Checks once more: since it was submitted the settings may have changed."""
        payload = task.spec.payload
        if _is_direct(payload):
            direct = _checked_direct(payload)
            return Spawn(argv=tuple(direct.argv), cwd=direct.cwd, env=direct.env, reader=_reader(direct.argv[0]))
        named = read("command", Named, payload)
        command = self._named(named.name)
        reader = {"auto": _reader(command.argv[0]), "percent": PercentReader}.get(command.progress)
        env = {} if command.cwd else NOTHING_FROM_HERE
        return Spawn(argv=_fill(command, named.args), cwd=command.cwd or None, env=env, reader=reader)

    def timeout_ms(self, payload: Mapping[str, Any]) -> int | None:
        command = self._commands.get(payload.get("name", ""))
        if command is None or command.timeout_s is None:
            return TIMEOUT_MS
        return round(command.timeout_s * 1000) or None

    def _named(self, name: str) -> Command:
        try:
            return self._commands[name]
        except KeyError:
            raise _refusal(f"there is no command {name} in the settings") from None


def _reader(program: str) -> Callable[[], Reader]:
    """Who understands the program's output best."""
    return FfmpegReader if program.rpartition("/")[2] == "ffmpeg" else PercentReader


def _is_direct(payload: Mapping[str, Any]) -> bool:
    return "argv" in payload


def _checked_direct(payload: Mapping[str, Any]) -> Direct:
    direct = read("command", Direct, payload)
    if not direct.argv[0]:
        raise _refusal("argv: the program is empty")
    for name in direct.env:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or name.startswith("PROGRESSHUB_"):
            raise _refusal(f"env: {name!r} can't be set")
    return direct


def _fill(command: Command, args: Mapping[str, str | int | float]) -> tuple[str, ...]:
    """The template's argv with these values in it, if they are what its parameters ask for."""
    if unknown := sorted(args.keys() - command.params.keys()):
        raise _refusal(f"args: there is no parameter {unknown[0]}")
    if missing := sorted(command.params.keys() - args.keys()):
        raise _refusal(f"args: {missing[0]} is missing")
    values = {name: _fitting(name, args[name], pattern) for name, pattern in command.params.items()}
    return tuple(_argument(command, index, values) for index in range(len(command.argv)))


def _fitting(name: str, value: str | float, pattern: str) -> str:
    text = str(value)
    if "\0" in text:
        raise _refusal(f"args: {name} contains a NUL character")
    if not re.fullmatch(pattern, text):
        raise _refusal(f"args: {name} does not fit its pattern {pattern}")
    return text


def _argument(command: Command, index: int, values: Mapping[str, str]) -> str:
    template = command.argv[index]
    filled = PLACEHOLDER.sub(lambda found: values[found[1]], template)
    if filled.startswith("-") and not template.startswith("-") and "--" not in command.argv[:index]:
        name = PLACEHOLDER.findall(template)[0]
        if not _DASH_FIRST.match(command.params[name]):
            raise _refusal(f"args: {name} may not begin with a dash, that would make it an option")
    return filled


def _refusal(reason: str) -> InvalidPayload:
    return InvalidPayload(kind="command", reason=reason)


def _title(payload: Mapping[str, Any]) -> str:
    return _shortened(payload["argv"]) if _is_direct(payload) else str(payload["name"])


def _shortened(argv: Sequence[str]) -> str:
    """The command line for people: without what looks like a secret, and not too long."""
    shown = ["…" if _SECRET_NEXT.match(before) else _SECRET.sub(r"\1\2…", text) for before, text in _pairs(argv)]
    line = shlex.join(shown).replace("'…'", "…")
    return line if len(line) <= TITLE_CHARS else line[: TITLE_CHARS - 1] + "…"


def _pairs(argv: Sequence[str]) -> list[tuple[str, str]]:
    """Each argument with the one before it."""
    return list(zip(["", *argv], argv, strict=False))
