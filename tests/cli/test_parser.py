"""What can be typed is told: by --help, in the README and to the shells that complete it."""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from progresshub.cli import completions
from progresshub.cli.parser import EXIT_CODES, SHELLS, VERBS, parser
from tests import serving

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
HEAVY = {"aiohttp", "anyio", "asyncio", "httpx", "msgspec", "rich", "sqlite3", "yt_dlp"}


def parsers(of: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield of
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from parsers(one)


def python(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=ROOT)


def completion(shell: str) -> str:
    return python("-m", "progresshub", "completions", shell).stdout


@pytest.mark.parametrize("one", list(parsers(parser())), ids=lambda one: one.prog)
def test_everything_that_can_be_typed_is_explained(one: argparse.ArgumentParser):
    for action in one._actions:
        if action.dest not in ("action", "name", "shell", "verb"):
            assert action.help, f"{one.prog} {action.dest}"

    assert one.format_help().startswith(f"usage: {one.prog}")


def test_every_verb_has_a_line_in_the_readme():
    (section,) = re.findall(r"^## In the terminal$(.*?)^## ", README, re.MULTILINE | re.DOTALL)
    told = dict(re.findall(r"^\| `([\w-]+)[^`]*` \| (.+?) \|$", section, re.MULTILINE))

    assert list(told) == list(VERBS)
    for name, verb in VERBS.items():
        assert told[name].startswith(verb.about), name


def test_every_option_in_the_readmes_table_exists():
    (section,) = re.findall(r"^## In the terminal$(.*?)^## ", README, re.MULTILINE | re.DOTALL)
    (verbs,) = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]

    for name, usage in re.findall(r"^\| `([\w-]+)([^`]*)` \|", section, re.MULTILINE):
        actions = [action for one in parsers(verbs.choices[name]) for action in one._actions]
        known = {option for action in actions for option in action.option_strings}
        assert set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", usage)) <= known, name


def test_exit_codes_are_told_alike():
    codes = re.findall(r"^  (\d+) ", EXIT_CODES, re.MULTILINE)

    assert re.findall(r"^\| (\d+) \|", README, re.MULTILINE) == codes


@pytest.mark.parametrize("words", ["--help", "run --help", "completions bash"])
def test_help_needs_nothing_heavy(words: str):
    call = (
        f"import sys\nfrom progresshub.cli import main\ntry:\n    main({words.split()!r})\nexcept SystemExit:\n    pass"
    )

    done = python("-c", f"{call}\nprint(*sys.modules, file=sys.stderr)")

    assert done.stdout
    assert not {name.partition(".")[0] for name in done.stderr.split()} & HEAVY


def test_a_list_needs_no_server_code():
    done = python("-c", "import sys\nimport progresshub.cli.remote, progresshub.cli.look\nprint(*sys.modules)")

    unneeded = {"aiohttp", "yt_dlp", "sqlite3", "rich.console", "rich.live", "progresshub.config"}
    assert not unneeded & set(done.stdout.split())


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_understands_its_completions(shell: str, tmp_path: Path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "completions"
    script.write_text(completion(shell))

    done = subprocess.run([shell, "-n", script], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_completions_name_every_verb_and_option():
    places = {place.path: place for place in completions._places(parser())}

    assert [word.text for word in places[()].words] == list(VERBS)
    assert {"--follow", "-f", "--tail"} <= {option.text for option in places["logs",].options}
    assert [word.text for word in places["queue",].words] == ["ls", "pause", "resume", "set"]
    assert places["cancel",].takes_ids
    assert not places["ls",].takes_ids


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (("wa",), {"watch", "wait"}),
        (("queue", "p"), {"pause"}),
        (("queue", "set", "--s"), {"--slots"}),
        (("completions", ""), {*SHELLS, "-h", "--help"}),
        (("ls", "--js"), {"--json"}),
    ],
)
def test_bash_offers_what_may_follow(typed: tuple[str, ...], offered: set[str]):
    assert set(in_bash(*typed)) == offered


async def test_bash_offers_the_ids_of_tasks(tmp_path: Path) -> None:
    async with serving.process(tmp_path / "data") as server, serving.client(server.url) as client:
        task_id = await client.submit("external")

        offered = await asyncio.to_thread(in_bash, "cancel", task_id[:3], data=tmp_path / "data")

    assert offered == [task_id]


def in_bash(*typed: str, data: Path | None = None) -> list[str]:
    """What bash offers for the last word, with the program taken from this checkout."""
    words = " ".join(f"'{word}'" for word in ("progresshub", *typed))
    script = (
        f'progresshub() {{ {sys.executable} -m progresshub "$@"; }}\n{completion("bash")}\n'
        f"COMP_WORDS=({words}); COMP_CWORD={len(typed)}; _progresshub; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    environment = {"PATH": "/usr/bin:/bin", **({"PROGRESSHUB_DATA_DIR": str(data)} if data else {})}
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, check=True, env=environment, cwd=ROOT
    )
    return done.stdout.split()
