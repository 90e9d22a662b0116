"""What the peers need: a virtual environment and a Node folder of their own, the native programs, and system tools.

Whatever can be installed for this folder alone is; what belongs to the system is only looked for, and
everything that is missing is named, with the peers that can't take part.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".venv-bench"
PYTHON = HOME / "bin" / "python"
NODE_MODULES = HOME / "node"
NATIVE = HOME / "native"
SOURCES = Path(__file__).parent / "native"

PACKAGES = (
    "aiohttp", "aiohttp-sse", "arq", "celery<5.6", "dramatiq", "fastapi", "huey", "kombu<5.6", "orjson",
    "procrastinate", "psycopg[binary,pool]", "python-socketio", "redis", "rq", "saq[redis,postgres]", "sse-starlette",
    "starlette", "uvicorn[standard]",
)  # fmt: skip
NODE_PACKAGES = ("bullmq", "ioredis", "ws")
PROGRAMS = {
    "gcc": "gcc",
    "nginx": "nginx-light libnginx-mod-nchan",
    "node": "nodejs npm",
    "npm": "npm",
    "pg_ctl": "postgresql",
    "redis-server": "redis-server",
    "taskset": "util-linux",
    "wrk": "wrk",
}
NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
POSTGRES = "/usr/lib/postgresql/*/bin"


def prepare() -> list[str]:
    """Install what may be installed; returns what is missing, in words."""
    return [*_tools(), *_native(), *_python(), *_node()]


def program(name: str) -> str | None:
    """Where a program is; Debian keeps PostgreSQL's and nginx's off most people's paths."""
    places = [str(path) for path in sorted(Path("/").glob(POSTGRES[1:]), reverse=True)]
    return shutil.which(name) or shutil.which(name, path=":".join([*places, "/usr/sbin"]))


async def installed(module: str) -> bool:
    """Whether the peers' Python can import it."""
    if not PYTHON.exists():
        return False
    asked = await asyncio.create_subprocess_exec(PYTHON, "-c", f"import {module}", stderr=subprocess.DEVNULL)
    return await asked.wait() == 0


def _tools() -> Iterator[str]:
    for name, packages in PROGRAMS.items():
        if program(name) is None:
            yield f"{name} (apt-get install {packages})"
    if program("nginx") and not NCHAN.exists():
        yield "nchan (apt-get install libnginx-mod-nchan)"


def _native() -> Iterator[str]:
    NATIVE.mkdir(parents=True, exist_ok=True)
    compiler = program("gcc")
    for source in SOURCES.glob("*.c"):
        binary = NATIVE / source.stem
        if compiler is None:
            yield f"{source.name}, for want of a compiler"
        elif not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
            subprocess.run([compiler, "-O2", "-o", binary, source], check=True)


def _python() -> Iterator[str]:
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", HOME], check=True)
    mark = HOME / "packages.txt"
    if mark.exists() and mark.read_text() == "\n".join(PACKAGES):
        return
    done = subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", *PACKAGES], check=False)
    if done.returncode:
        yield "the Python peers, which pip could not install"
    else:
        mark.write_text("\n".join(PACKAGES))


def _node() -> Iterator[str]:
    npm = program("npm")
    if npm is None or all((NODE_MODULES / "node_modules" / name).is_dir() for name in NODE_PACKAGES):
        return
    NODE_MODULES.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", NODE_MODULES, *NODE_PACKAGES]
    if subprocess.run(command, check=False).returncode:
        yield "the Node peers, which npm could not install"
