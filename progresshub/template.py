"""The text of `config.toml`, and values as TOML writes them.

Everything in it is true of the settings as they are; a test holds the file to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from progresshub.catalogue import CATALOGUE, Section, Setting

_HEAD = """\
# Every setting of progresshub, at its default. The server reads a file only when it is named:
# progresshub serve --config config.toml, or PROGRESSHUB_CONFIG=config.toml.
# A variable such as PROGRESSHUB_SERVER_PORT=9000 outweighs the file; --set server.port=9000 outweighs both.
"""


def _command(name: str) -> dict[str, Any]:
    return {"name": name, "args": {"source": "${steps.fetch.result.path}"}}


_FILE = r"\w[\w .()-]*\.\w+"
_EXAMPLES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "queues": {"nightly": {"weight": 1, "slots": 2, "paused": False}},
    "kinds": {
        "download": {
            "timeout_s": 7200.0,
            "max_retries": 5,
            "recovery": "retry",
            "retention_s": 86400.0,
            "backoff_s": 10.0,
        },
    },
    "commands": {
        "encode": {
            "argv": ("ffmpeg", "-i", "{source}", "-s", "hd480", "-y", "small.mp4"),
            "params": {"source": _FILE},
            "cwd": "",
            "timeout_s": 3600.0,
            "progress": "auto",
            "summary": "Make a video small enough for the web",
        },
        "probe": {
            "argv": ("ffprobe", "-v", "error", "-show_format", "{source}"),
            "params": {"source": _FILE},
            "summary": "Tell what is in a file; a broken one fails here",
        },
        "thumbnail": {
            "argv": ("ffmpeg", "-i", "{source}", "-frames:v", "1", "-y", "{source}.jpg"),
            "params": {"source": _FILE},
            "summary": "Take a picture out of a video",
        },
    },
    "pipelines": {
        "transcode": {
            "inputs": {"format": "best"},
            "at_once": 2,
            "summary": "Fetch a video and make it small, with a picture",
            "steps": (
                {
                    "name": "fetch",
                    "type": "download",
                    "payload": {"url": "${inputs.url}", "format": "${inputs.format}"},
                },
                {"name": "probe", "type": "command", "payload": _command("probe")},
                {
                    "name": "encode",
                    "type": "command",
                    "payload": _command("encode"),
                    "weight": 5,
                    "retries": 1,
                    "timeout_s": 1800.0,
                },
                {
                    "name": "thumbnail",
                    "type": "command",
                    "payload": _command("thumbnail"),
                    "needs": ("probe",),
                    "on_failure": "continue",
                },
            ),
        },
    },
    "tokens": {"build-server": {"sha256": "0" * 64, "scopes": ("read", "submit")}},
}


def template() -> str:
    """Each setting at its default; named sections as examples in comments."""
    return "\n".join((_HEAD, *(f"# {section.about}\n{_tables(name, section)}" for name, section in CATALOGUE.items())))


def _tables(name: str, section: Section) -> str:
    if not section.named:
        defaults = {key: setting.default for key, setting in section.settings.items()}
        return _table(name, section.settings, defaults, mark="")
    return "\n".join(
        _table(f"{name}.{each}", section.settings, values, mark="# ") for each, values in _EXAMPLES[name].items()
    )


def _table(heading: str, settings: Mapping[str, Setting], values: Mapping[str, Any], *, mark: str) -> str:
    """One table, a line for each setting that has a value, behind a mark; lists of tables come after it."""
    several = {key: settings[key].parts for key in values if settings[key].parts}
    lines = (
        f"{mark}{key} = {toml(values[key])}  # {setting.about}\n"
        for key, setting in settings.items()
        if key in values and key not in several
    )
    inner = (
        _table(f"[{heading}.{key}]", parts, each, mark=mark) for key, parts in several.items() for each in values[key]
    )
    return f"{mark}[{heading}]\n{''.join(lines)}{''.join(inner)}"


def toml(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            # TOML's texts are JSON's, but for one character that JSON need not escape.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return f"[{', '.join(map(toml, value))}]"
        case Struct():
            return toml(msgspec.to_builtins(value))
        case dict():
            items = ", ".join(f"{toml_key(key)} = {toml(item)}" for key, item in value.items())
            return f"{{{items}}}"
    return str(value)


def toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml(key)
