"""The one command that checks everything: `python3 -m tests`, on a machine with nothing but Python.

It makes its own environment in the checkout, goes on after a stage that failed, and exits with an
error if any did. Until that environment stands, only the standard library is used.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv-tests"
PYTHON = VENV / "bin" / "python"
INSTALLED = VENV / "installed"
INSTALL_TIMEOUT_S = 1800


class Tool(NamedTuple):
    """A system package, the program looked for, and what can't be tested without it."""

    package: str
    program: str
    why: str


TOOLS = (
    Tool("ffmpeg", "ffmpeg", "downloads that are merged or converted, and what becomes of audio and video"),
    Tool("espeak-ng", "espeak-ng", "films whose slides are narrated"),
    Tool("chromium", "chromium", "the dashboard and videos in a browser"),
    Tool("zsh", "zsh", "completions for zsh"),
    Tool("fish", "fish", "completions for fish"),
)


class Stage(NamedTuple):
    name: str
    command: tuple[str, ...]
    timeout_s: int


STAGES = (
    Stage("format", ("ruff", "format", "--check", "."), 300),
    Stage("lint", ("ruff", "check", "."), 300),
    Stage("types", ("mypy",), 1800),
    Stage("tests", ("pytest",), 14_400),
)


def main() -> int:
    if sys.version_info < (3, 11):
        sys.exit(f"progresshub needs Python 3.11 or newer; this is {sys.version.split()[0]}")
    options, for_pytest = arguments()
    environment = clean_environment(full=options.full)
    if not prepare(environment):
        return 1
    chosen = [stage for stage in STAGES if not options.only or stage.name in options.only]
    missing = supply(environment) if any(stage.name == "tests" for stage in chosen) else []
    outcomes = {}
    for stage in chosen:
        outcomes[stage.name] = check(stage, for_pytest if stage.name == "tests" else [], environment)
    warn(missing)
    say(", ".join(f"{name} {'passed' if passed else 'FAILED'}" for name, passed in outcomes.items()))
    return 0 if all(outcomes.values()) else 1


def arguments() -> tuple[argparse.Namespace, list[str]]:
    """Our options, and what is left for pytest."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tests",
        description="Check everything: format, lint, types, tests.",
        epilog="Anything else is passed on to pytest, such as -k EXPRESSION or -x.",
        allow_abbrev=False,
    )
    parser.add_argument("--full", action="store_true", help="take the long way: more kills, cuts and examples")
    parser.add_argument(
        "--only", action="append", choices=[stage.name for stage in STAGES], help="this stage alone; may be repeated"
    )
    return parser.parse_known_args()


def clean_environment(*, full: bool) -> dict[str, str]:
    """The caller's variables without those that bend Python or the settings under test."""
    bending = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PROGRESSHUB_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(bending)}
    kept |= {name: value for name, value in os.environ.items() if name.startswith("PROGRESSHUB_TESTS_")}
    kept["PATH"] = f"{PYTHON.parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return kept | ({"PROGRESSHUB_TESTS_FULL": "1"} if full else {})


def prepare(environment: Mapping[str, str]) -> bool:
    """Make the environment, unless the one that is there was made for the same needs."""
    started_s = time.monotonic()
    with locked():
        if PYTHON.exists() and INSTALLED.exists() and INSTALLED.read_text() == needs():
            return True
        say("environment: installing into .venv-tests")
        install = (str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-e", ".[test]")
        made = succeeds((sys.executable, "-m", "venv", "--clear", str(VENV)), INSTALL_TIMEOUT_S, environment) and (
            succeeds(install, INSTALL_TIMEOUT_S, environment)
        )
        if made:
            INSTALLED.write_text(needs())
    say(f"environment {'ready' if made else 'FAILED'} after {time.monotonic() - started_s:.1f} s")
    return made


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Two runs in one checkout take turns at making the environment, each within its time-out."""
    with (ROOT / ".venv-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def needs() -> str:
    """What the environment depends on: the packages asked for, this Python, and where the checkout is."""
    parts = ((ROOT / "setup.cfg").read_bytes(), sys.version.encode(), sys.executable.encode(), str(ROOT).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def supply(environment: Mapping[str, str]) -> list[Tool]:
    """Install the system packages that are missing, where that is allowed; return those still missing."""
    missing = absent(TOOLS)
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        packages = [tool.package for tool in missing]
        say(f"tools: installing {', '.join(packages)}")
        quiet = {**environment, "DEBIAN_FRONTEND": "noninteractive"}
        succeeds(("apt-get", "update", "-qq"), INSTALL_TIMEOUT_S, quiet)
        wanted = ("apt-get", "install", "-qq", "--no-install-recommends", *packages)
        succeeds(wanted, INSTALL_TIMEOUT_S, quiet)
        missing = absent(missing)
    warn(missing)
    return missing


def absent(tools: Sequence[Tool]) -> list[Tool]:
    return [tool for tool in tools if not shutil.which(tool.program)]


def warn(missing: Sequence[Tool]) -> None:
    for tool in missing:
        say(f"WARNING: {tool.program} IS MISSING, so tests are SKIPPED: {tool.why}. Install {tool.package}.")


def check(stage: Stage, extra: Sequence[str], environment: Mapping[str, str]) -> bool:
    command = (*stage.command, *extra)
    say(f"{stage.name}: {' '.join(command)}")
    started_s = time.monotonic()
    passed = succeeds((str(PYTHON), "-m", *command), stage.timeout_s, environment)
    say(f"{stage.name} {'passed' if passed else 'FAILED'} after {time.monotonic() - started_s:.1f} s")
    return passed


def succeeds(command: Sequence[str], timeout_s: int, environment: Mapping[str, str]) -> bool:
    try:
        return subprocess.run(command, cwd=ROOT, env=environment, timeout=timeout_s, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        say(f"{command[0]} did not end within {timeout_s} s")
        return False


def say(text: str) -> None:
    print(f"== {text}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
