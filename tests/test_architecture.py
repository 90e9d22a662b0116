"""The shape of the house: who may import whom, who does no I/O, and how long anything may be.

A room is a folder of the package, or a module beside the folders. It imports rooms of lower ranks
only: never its siblings, never upward.
"""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "progresshub"

RANKS = (
    ("errors",),
    ("model", "places", "report", "settings"),
    ("catalogue",),
    ("template",),
    ("addresses", "clock", "config", "files", "listening", "protocol", "release", "states", "supervisor"),
    ("bus", "egress", "kinds", "pace", "pipelines", "storage"),
    ("readers", "registry"),
    ("jobs",),
    ("edge", "processes"),
    ("scheduling",),
    ("dialects", "web"),
    ("assembly",),
    ("server",),
    ("client",),
    ("cli",),
)
RANK = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}
PURE = {
    "addresses",
    "catalogue",
    "errors",
    "kinds",
    "model",
    "pace",
    "pipelines",
    "protocol",
    "readers",
    "settings",
    "states",
}
PURE |= {"storage.persistence"}
DOES_IO = {"aiohttp", "aiosqlite", "asyncio", "os", "pathlib", "select", "shutil", "socket", "sqlite3", "subprocess"}
DOES_IO |= {"tempfile", "threading", "time"}
MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 40


class Module(NamedTuple):
    """`place` names it for people; `name` is what follows `progresshub.`, and empty for the package itself."""

    place: str
    name: str
    source: str

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]

    def imports(self) -> Iterator[tuple[int, str]]:
        """Every module imported, anywhere in it, with the line."""
        for node in ast.walk(ast.parse(self.source)):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module == "progresshub":
                names = (alias.name for alias in node.names if not alias.name.startswith("__"))
                yield from ((node.lineno, f"progresshub.{name}") for name in names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.lineno, node.module

    def ours(self) -> Iterator[tuple[int, str]]:
        for line, name in self.imports():
            if name.startswith("progresshub."):
                yield line, name.removeprefix("progresshub.")


def modules() -> list[Module]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name not in {"", "__main__"}:
            found.append(Module(str(path.relative_to(ROOT)), name, path.read_text(encoding="utf-8")))
    return found


def imports_upward(module: Module) -> Iterator[str]:
    if module.room not in RANK:
        yield f"{module.place}: give {module.room} a rank in {Path(__file__).name}, or move it into a room"
        return
    for line, name in module.ours():
        other = name.partition(".")[0]
        if other != module.room and RANK.get(other, len(RANKS)) >= RANK[module.room]:
            lower = ", ".join(room for rooms in RANKS[: RANK[module.room]] for room in rooms)
            yield (
                f"{module.place}:{line}: {module.room} may not import {other}, only what ranks below it ({lower});"
                " move what both need further down, or have it passed in by whoever knows both"
            )


def imports_io(module: Module) -> Iterator[str]:
    for line, name in module.imports() if {module.room, module.name} & PURE else ():
        if name.partition(".")[0] in DOES_IO:
            yield f"{module.place}:{line}: {module.room} does no I/O and may not import {name}; take its result instead"


def is_too_long(module: Module) -> Iterator[str]:
    if (lines := module.source.count("\n")) >= MOST_LINES:
        yield f"{module.place}: {lines} lines, {MOST_LINES} are too many; find the second idea and give it a module"
    for node in ast.walk(ast.parse(module.source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines >= MOST_LINES_OF_A_FUNCTION:
                place = f"{module.place}:{node.lineno}: {node.name}"
                yield f"{place} has {lines} lines, {MOST_LINES_OF_A_FUNCTION} are too many; give a part of it a name"


@pytest.mark.parametrize("rule", [imports_upward, imports_io, is_too_long])
def test_every_module_keeps_the_rule(rule):
    broken = [message for module in modules() for message in rule(module)]

    assert not broken, "\n" + "\n".join(broken)


def test_no_modules_import_each_other_in_a_circle():
    names = {module.name for module in modules()}
    graph = {module.name: {name for _, name in module.ours() if name in names} - {module.name} for module in modules()}

    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"these import each other in a circle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize(
    ("rule", "name", "source", "message"),
    [
        (
            imports_upward,
            "states",
            "from progresshub.registry.hub import Hub\n",
            "states.py:1: states may not import registry",
        ),
        (imports_upward, "states", "from progresshub import clock\n", "states.py:1: states may not import clock"),
        (imports_upward, "jobs.demo", "import progresshub.edge.app\n", "jobs/demo.py:1: jobs may not import edge"),
        (imports_upward, "misc", "", "misc.py: give misc a rank"),
        (imports_io, "readers.dd", "def now():\n    import time\n", "readers/dd.py:2: readers does no I/O"),
        (is_too_long, "hub", "\n" * 400, "hub.py: 400 lines"),
        (is_too_long, "hub", "def f():\n" + "    f()\n" * 39, "hub.py:1: f has 40 lines"),
    ],
)
def test_a_broken_rule_is_told_with_its_place(rule, name, source, message):
    module = Module(f"{name.replace('.', '/')}.py", name, source)

    told = list(rule(module))

    assert [text[: len(message)] for text in told] == [message]


def test_what_ranks_below_and_the_own_room_may_be_imported():
    source = "from progresshub.model import Task\nfrom progresshub.readers.lines import Lines\nimport re\n"

    told = [*imports_upward(Module("readers/dd.py", "readers.dd", source)), *imports_io(Module("", "hub", "import os"))]

    assert told == []


def test_the_childs_side_needs_the_standard_library_alone():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import progresshub.report;"
        "print(*{name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names)"
    )

    child = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, ROOT], capture_output=True, text=True, timeout=30, check=True
    )

    assert set(child.stdout.split()) == {"__main__", "progresshub"}
