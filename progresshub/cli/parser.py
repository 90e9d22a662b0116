"""What may be typed: every verb, its arguments and what they are for. Nothing heavy is imported.

`VERBS` names for each verb the module and the function that do it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from progresshub import __version__

PROGRAM = "progresshub"
SHELLS = ("bash", "zsh", "fish")
FORMATS = ("mp4", "mp3", "best", "audio", "video", "webm", "wav", "flac", "aac")
STATES = ("scheduled", "pending", "running", "retrying", "completed", "failed", "cancelled")
SCOPES = ("read", "submit", "command", "admin")
EXIT_CODES = """\
exit codes:
  0    done; of tasks that were waited for: all completed
  1    refused, or a task did not complete
  2    not understood
  69   no server answers
  124  it took longer than --timeout
  130  Ctrl-C
  run passes the exit code of its command, 128 + n when signal n ended it, and 127 when it could not be started
"""

Describe = Callable[[argparse.ArgumentParser], None]


class Verb(NamedTuple):
    """`place` is `module:function` below progresshub.cli; `remote` ones are given a client of the server."""

    place: str
    about: str
    describe: Describe
    remote: bool = True
    more: str = ""


def _settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="read settings from this TOML file")
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", help="port to listen on (8080); 0 takes a free one")
    parser.add_argument("--data-dir", metavar="DIR", help="where everything is kept")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.NAME=VALUE", help="any other setting")


def _config(parser: argparse.ArgumentParser) -> None:
    _settings(parser)
    parser.add_argument("--default", action="store_true", help="print a config.toml with every setting at its default")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _token(parser: argparse.ArgumentParser) -> None:
    _settings(parser)
    parser.add_argument("action", choices=("add", "ls", "rm"))
    parser.add_argument("name", nargs="?", help="what the token is called")
    parser.add_argument(
        "--scope", action="append", choices=SCOPES, help="what it may do; may be repeated (read and submit)"
    )


def _server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", default="", help="where the server is, in place of PROGRESSHUB_URL")
    parser.add_argument(
        "--data-dir", metavar="DIR", default="", help="the data directory of the server on this machine"
    )


def _json(parser: argparse.ArgumentParser, about: str = "print JSON") -> None:
    parser.add_argument("--json", action="store_true", help=about)


def _quiet(parser: argparse.ArgumentParser, about: str = "print only ids") -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help=about)


def _ids(parser: argparse.ArgumentParser, nargs: str = "+") -> None:
    parser.add_argument("ids", nargs=nargs, metavar="ID", help="a task's id, or enough of its beginning")


def _task(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--title", help="what it is called")
    parser.add_argument("--queue", help="the queue it waits in (default)")
    parser.add_argument("--priority", type=int, metavar="N", help="0 to 9, higher is sooner")
    parser.add_argument("--retries", type=int, metavar="N", help="how often it is tried again when it fails")
    parser.add_argument("--timeout", metavar="TIME", help="longest that one attempt may take, such as 90s or 1h30m")
    parser.add_argument("--at", metavar="TIME", help="do not start before, such as 2030-01-31T08:00:00Z")


def _run(parser: argparse.ArgumentParser) -> None:
    _task(parser)
    parser.add_argument("-d", "--detach", action="store_true", help="print the id and leave it to the server")
    _quiet(parser, "show no bar, only what the command prints; with -d only the id")
    parser.add_argument("-C", "--cwd", metavar="DIR", help="where to run it (here)")
    parser.add_argument("--env", action="append", default=[], metavar="NAME[=VALUE]", help="give it a variable")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="a program and its arguments")


def _get(parser: argparse.ArgumentParser) -> None:
    _task(parser)
    parser.add_argument("-d", "--detach", action="store_true", help="print the ids and leave it to the server")
    _quiet(parser, "show no bar; with -d print only ids")
    parser.add_argument("-f", "--format", choices=FORMATS, help="what to make of it (mp4)")
    parser.add_argument("--quality", help="best, worst, a height such as 720p or a bitrate such as 192k")
    parser.add_argument("-o", "--output", metavar="DIR", help="bring the files here when they are done")
    parser.add_argument("urls", nargs="+", metavar="URL", help="what to fetch")


def _add(parser: argparse.ArgumentParser) -> None:
    _task(parser)
    parser.add_argument("--unique", metavar="TIME", help="refuse it while the same was asked for less than this ago")
    parser.add_argument("-w", "--watch", action="store_true", help="watch it to its end")
    _quiet(parser)
    parser.add_argument("kind", metavar="KIND", help="the type of the task")
    parser.add_argument("fields", nargs="*", metavar="key=value", help="its payload; values are JSON or else text")


def _ls(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", choices=STATES, help="only these")
    parser.add_argument("--kind", metavar="KIND", help="only this type")
    parser.add_argument("--queue", metavar="NAME", help="only this queue")
    parser.add_argument("-n", "--limit", type=int, default=20, metavar="N", help="at most so many (20)")
    _quiet(parser)
    _json(parser)
    parser.add_argument("words", nargs="*", metavar="WORD", help="only those in which all these words begin a word")


def _show(parser: argparse.ArgumentParser) -> None:
    _json(parser)
    _ids(parser)


def _watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-a", "--all", action="store_true", help="everything, and what comes, for ever")
    _json(parser, "print each change as a line of JSON")
    _ids(parser, "*")


def _logs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the task ends")
    parser.add_argument("-n", "--tail", type=int, metavar="N", help="begin with the last N lines")
    _json(parser, "print each line as a JSON object")
    parser.add_argument("id", metavar="ID", help="a task's id, or enough of its beginning")


def _wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--timeout", metavar="TIME", help="longest to wait, such as 90s or 1h30m")
    _quiet(parser)
    _json(parser)
    _ids(parser)


def _act(parser: argparse.ArgumentParser) -> None:
    _quiet(parser)
    _ids(parser)


def _queue(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("ls", help="how many tasks are where")
    _quiet(listed, "print only names")
    _json(listed)
    for name, about in (("pause", "start none of its tasks"), ("resume", "let it go on")):
        actions.add_parser(name, help=about).add_argument("name", metavar="NAME")
    changed = actions.add_parser("set", help="change its share of the slots")
    changed.add_argument("name", metavar="NAME")
    changed.add_argument("--slots", type=int, metavar="N", help="how many of its tasks run at once; 0: no bound")
    changed.add_argument("--weight", type=int, metavar="N", help="its share while queues compete")


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-m", "--message", metavar="TEXT", help="a few words about it")
    parser.add_argument("--stage", metavar="TEXT", help="the name of what is going on")
    parser.add_argument("id", metavar="ID", help="an external task's id, or enough of its beginning")
    parser.add_argument("said", nargs="?", metavar="42%|3/10|done|'failed: why'", help="how far it is")


def _completions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS)


RUN_MORE = (
    "The command runs on the server, in this directory; what it prints is printed here. It is not started again when it"
    " fails. Ctrl-C cancels it and waits for its end; a second Ctrl-C leaves at once. It needs a token of scope"
    " command, which this machine's own has."
)
WATCH_MORE = "Without an id: what has not ended now, until it has. Ctrl-C only ends the watching."

VERBS = {
    "serve": Verb("serve:run", "run the server", _settings, remote=False),
    "run": Verb("submit:run", "run a command with a bar", _run, more=RUN_MORE),
    "get": Verb("submit:get", "download", _get, more="Ctrl-C cancels the downloads; a second one leaves at once."),
    "add": Verb("submit:add", "submit a task of any type", _add),
    "ls": Verb("look:ls", "list tasks, newest first", _ls),
    "show": Verb("look:show", "look at tasks", _show),
    "watch": Verb("follow:watch", "watch tasks until they end", _watch, more=WATCH_MORE),
    "logs": Verb("follow:logs", "print what a task has printed", _logs),
    "wait": Verb("follow:wait", "wait until tasks have ended", _wait),
    "cancel": Verb("act:cancel", "cancel tasks", _act),
    "retry": Verb("act:retry", "do failed or cancelled tasks over, as new ones", _act),
    "rm": Verb("act:rm", "forget tasks, with their files", _act),
    "queue": Verb("queues:queue", "list, pause, resume and set queues", _queue),
    "report": Verb("act:report", "tell how far an external task is", _report),
    "config": Verb("config:run", "print every setting and where its value came from", _config, remote=False),
    "doctor": Verb("doctor:run", "see what is missing or wrong", _json, more="", remote=False),
    "completions": Verb("completions:run", "print completions for a shell", _completions, remote=False),
    "demo": Verb("demo:run", "submit one task of every kind and watch them", _settings, remote=False),
    "token": Verb("tokens:run", "make, list and revoke access tokens", _token, remote=False),
    "update-ytdlp": Verb("update:run", "get the newest yt-dlp, for downloads", _settings, remote=False),
}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Live progress for everything that takes a while. Without a verb: serve.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, verb in VERBS.items():
        added = verbs.add_parser(name, help=verb.about, description=f"{verb.about.capitalize()}. {verb.more}".strip())
        verb.describe(added)
        if verb.remote or name == "doctor":
            _server(added)
    return top
