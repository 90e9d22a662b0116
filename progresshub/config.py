"""How a running server's settings are put together.

Defaults give way to the file, the file to the environment, the environment to flags; each value
remembers where it came from, and what is not a setting is an error that names the nearest one.
Nothing is read but the named file.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, inspect

from progresshub import places
from progresshub.catalogue import CATALOGUE, Section, Setting
from progresshub.errors import InvalidConfig
from progresshub.settings import Config, Misfit
from progresshub.template import template, toml, toml_key

__all__ = ["Config", "Loaded", "data_dir", "explain", "load", "template"]

PREFIX = "PROGRESSHUB_"
SHORT = {"host": ("server", "host"), "port": ("server", "port"), "data_dir": ("server", "data_dir")}
NOT_SETTINGS = frozenset(f"{PREFIX}{name}" for name in ("CONFIG", "FD", "URL", "TOKEN", "TASK_ID", "STEP", "SERVER"))
NOT_SETTINGS_PREFIX = f"{PREFIX}TESTS_"
SWITCHES = {"ENABLE_FEATURE_PROGRESS_TRACKING": ("features", "progress_tracking")}
"""Switches that go by a name of their own, which clients of another server know; ours outweighs it."""
WORDS = {**dict.fromkeys(("1", "true", "yes", "on"), True), **dict.fromkeys(("0", "false", "no", "off"), False)}

Key = tuple[str, ...]


class _Given(NamedTuple):
    """A value somebody gave: its `readings` are tried in turn."""

    path: Key
    readings: tuple[Any, ...]
    source: str


class Loaded(NamedTuple):
    """The settings, and for each that somebody gave, by its dotted name, where it came from."""

    config: Config
    sources: Mapping[str, str]


def load(file: Path | None, environment: Mapping[str, str], flags: Sequence[str] = ()) -> Loaded:
    """Put the settings together; InvalidConfig says what is wrong and where.

    `file` None means the one that PROGRESSHUB_CONFIG names, if any. A flag is `section.name=VALUE`,
    or one of the short `host=`, `port=` and `data_dir=`; VALUE is TOML, or else a bare text.
    """
    if file is None and (named := environment.get(f"{PREFIX}CONFIG")):
        file = Path(named)
    values: dict[Key, Any] = {
        ("queues", name, setting): value
        for name, queue in Config().queues.items()
        for setting, value in msgspec.structs.asdict(queue).items()
    }
    sources: dict[str, str] = {}
    for given in (*_from_file(file), *_from_environment(environment), *_from_flags(flags)):
        values[given.path] = _convert(given)
        sources[".".join(given.path)] = given.source
    return Loaded(_build(values, sources), sources)


def data_dir(config: Config, environment: Mapping[str, str]) -> Path:
    """Where all is kept."""
    return places.data_dir(config.server.data_dir, environment)


def _from_file(file: Path | None) -> Iterator[_Given]:
    if file is None:
        return
    source = str(file)
    for name, content in _read(file).items():
        section = _section(name, source)
        for key, value in _table(content, (name,), source).items():
            if not section.named:
                yield _Given((name, key), (value,), source)
                continue
            table = _table(value, (name, key), source)
            if not table:
                raise InvalidConfig(where=_where((name, key), source), reason="is empty; leave it out or set something")
            for setting, inner in table.items():
                yield _Given((name, key, setting), (inner,), source)


def _from_environment(environment: Mapping[str, str]) -> Iterator[_Given]:
    for variable, path in SWITCHES.items():
        if text := environment.get(variable, ""):
            yield _Given(path, (WORDS.get(text.lower(), text),), variable)
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS or variable.startswith(NOT_SETTINGS_PREFIX):
            continue
        yield _Given(_path_of(variable), _readings(environment[variable]), variable)


def _from_flags(flags: Sequence[str]) -> Iterator[_Given]:
    for flag in flags:
        key, equals, text = flag.partition("=")
        if not equals:
            raise InvalidConfig(where=f"--set {flag}", reason="must be section.name=VALUE")
        if key in SHORT:
            yield _Given(SHORT[key], _readings(text), f"--{key.replace('_', '-')}")
            continue
        name, _, rest = key.partition(".")
        # A name may hold dots itself, a setting never does.
        path = (name, *rest.rpartition(".")[::2]) if _section(name, "--set").named else (name, rest)
        yield _Given(path, _readings(text), "--set")


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfig(where=str(file), reason=f"can't be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InvalidConfig(where=str(file), reason="is not UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        raise InvalidConfig(where=str(file), reason=f"is not TOML: {error}") from None


def _table(value: Any, path: Key, source: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise InvalidConfig(where=_where(path, source), reason="must be a table")


def _readings(text: str) -> tuple[Any, ...]:
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return (text,)
    # More than one key means that the text brought lines of its own.
    return (document["value"], text) if len(document) == 1 else (text,)


def _path_of(variable: str) -> Key:
    name = variable.removeprefix(PREFIX).lower()
    if name in SHORT:
        return SHORT[name]
    for key, section in CATALOGUE.items():
        for setting in section.settings:
            if section.named and (match := re.fullmatch(f"{key}_(.+)_{setting}", name)):
                return (key, match[1], setting)
            if not section.named and name == f"{key}_{setting}":
                return (key, setting)
    variables = [f"{PREFIX}{'_'.join(path).upper()}" for path in (*_paths("NAME"), *((short,) for short in SHORT))]
    raise InvalidConfig(where=f"{variable} in the environment", reason=_no_such("setting", variable, variables))


def _convert(given: _Given) -> Any:
    setting = _setting(given.path, given.source)
    where, mismatch = _where(given.path, given.source), ""
    for reading in given.readings:
        try:
            return msgspec.convert(reading, setting.type)
        except msgspec.ValidationError as error:
            mismatch = mismatch or str(error)
    if setting.parts:  # only what is wrong inside one of them is of use
        raise InvalidConfig(where=where, reason=f"does not fit: {mismatch}")
    value = given.readings[0]
    told = "" if setting.secret else f", not {_cut(toml(value))}"
    raise InvalidConfig(where=where, reason=f"must be {_expected(setting.shape, value)}{told}")


def _expected(shape: inspect.Type, value: Any) -> str:
    """What fits, in words; a number out of bounds need not be told to be a number."""
    match shape:
        case inspect.Metadata(type=inner):
            return _expected(inner, value)
        case inspect.UnionType(types=(inner, *_)):
            return _expected(inner, value)
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(ge=least, le=most):
            return f"{'' if type(value) is int else 'a whole number '}between {least} and {most}"
        case inspect.FloatType(ge=least, le=most):
            return f"{'' if type(value) in (int, float) else 'a number '}between {least} and {most}"
        case inspect.LiteralType(values=values):
            return f"one of {', '.join(map(str, values))}"
        case inspect.VarTupleType(item_type=inner, min_length=least):
            return f"a list, each {_expected(inner, None)}{', and not empty' if least else ''}"
        case inspect.DictType():
            return "a table of texts"
        case inspect.StrType(pattern=str(pattern)):
            return f"a text that fits {pattern}"
    return "a text"


def _build(values: Mapping[Key, Any], sources: Mapping[str, str]) -> Config:
    tables: dict[Key, dict[str, Any]] = {}
    for path, value in values.items():
        tables.setdefault(path[:-1], {})[path[-1]] = value
    sections: dict[str, Any] = {}
    for path, table in tables.items():
        built = _struct(path, table, sources)
        if len(path) == 1:
            sections[path[0]] = built
        else:
            sections.setdefault(path[0], {})[path[1]] = built
    return Config(**sections)


def _struct(path: Key, table: Mapping[str, Any], sources: Mapping[str, str]) -> Struct:
    section = CATALOGUE[path[0]]
    for name, setting in section.settings.items():
        if setting.default is msgspec.NODEFAULT and name not in table:
            source = sources[".".join((*path, next(iter(table))))]
            raise InvalidConfig(where=_where(path, source), reason=f"needs {name} ({setting.about})")
    try:
        return section.struct(**table)
    except Misfit as misfit:
        setting_path = (*path, misfit.setting)
        where = _where(setting_path, sources[".".join(setting_path)])
        raise InvalidConfig(where=where, reason=misfit.reason) from None


def _section(name: str, source: str) -> Section:
    if name in CATALOGUE:
        return CATALOGUE[name]
    raise InvalidConfig(where=_where((name,), source), reason=_no_such("section", name, CATALOGUE))


def _setting(path: Key, source: str) -> Setting:
    if "" in path[1:-1]:
        raise InvalidConfig(where=_where(path, source), reason=f"needs a name, as in {path[0]}.NAME.{path[-1]}")
    if found := CATALOGUE[path[0]].settings.get(path[-1]):
        return found
    names = [".".join(known) for known in _paths(path[1] if len(path) == 3 else "NAME")]
    raise InvalidConfig(where=_where(path, source), reason=_no_such("setting", ".".join(path), names))


def _paths(name: str) -> Iterator[Key]:
    """Every setting there is; in named sections that of `name`."""
    for key, section in CATALOGUE.items():
        for setting in section.settings:
            yield (key, name, setting) if section.named else (key, setting)


def _no_such(sort: str, name: str, known: Any) -> str:
    return f"there is no such {sort}; the nearest is {difflib.get_close_matches(name, list(known), 1, 0.0)[0]}"


def _where(path: Key, source: str) -> str:
    return f"{'.'.join(filter(None, path))} in {source}"


def _cut(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"


def explain(loaded: Loaded) -> str:
    """Each setting that holds, one a line of TOML, and where it came from; secrets are left out."""
    lines = []
    for path, value in _held(loaded.config):
        source = loaded.sources.get(".".join(path), "default")
        assignment = f"{'.'.join(map(toml_key, path))} = {value}"
        lines.append(f"{assignment:<56}  # {source}\n")
    return "".join(lines)


def _held(config: Config) -> Iterator[tuple[Key, str]]:
    for key, section in CATALOGUE.items():
        held = getattr(config, key)
        structs = {(key, name): each for name, each in held.items()} if section.named else {(key,): held}
        for path, struct in structs.items():
            for name, setting in section.settings.items():
                if (value := getattr(struct, name)) is not None:
                    yield (*path, name), '"(secret)"' if setting.secret else toml(value)
