"""A running server: its parts started in order, and taken down in the opposite one.

Whatever is opened is closed by the same exit stack. A stop first ends intake and streams, then what
runs, then what is kept; asked twice, it comes without grace.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import socket
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from progresshub import __version__, assembly
from progresshub.clock import Clock
from progresshub.config import Loaded, data_dir
from progresshub.dialects import DIALECTS, downloads, generations
from progresshub.dialects.executions import words
from progresshub.edge import house, uploads
from progresshub.edge.app import Site
from progresshub.edge.callbacks import Callbacks
from progresshub.edge.door import Door
from progresshub.edge.guard import Guard, check_exposure
from progresshub.edge.routes import DOWNLOADER
from progresshub.edge.serving import Serving
from progresshub.edge.tokens import Tokens
from progresshub.errors import HubError, StartupError
from progresshub.kinds import Kind
from progresshub.listening import addresses, listen, url
from progresshub.model import Event, EventType, Task
from progresshub.places import SERVER
from progresshub.processes.runner import Runner
from progresshub.registry.durations import Durations
from progresshub.registry.hub import Hub
from progresshub.registry.traffic import Traffic
from progresshub.release import Current, warn_if_old
from progresshub.scheduling.inquiries import Inquiries
from progresshub.scheduling.scheduler import Scheduler
from progresshub.scheduling.upkeep import Upkeep
from progresshub.web import WEB

log = logging.getLogger("progresshub")

GC_EVERY = 50_000
"""Values are freed as they go out of use. Cycles are few, and looking for them every 700 values took a quarter of
the time that a batch of tasks takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What a server that has started says of itself."""

    urls: tuple[str, ...]
    data: Path
    auth: str
    commands: str
    login_url: str

    def __str__(self) -> str:
        where = " ".join(self.urls)
        return f"progresshub {__version__} at {where} · data {self.data} · auth {self.auth} · commands {self.commands}"


class Server:
    """One server. `run` returns when it has been told to stop and everything is put away."""

    def __init__(self, loaded: Loaded, environment: Mapping[str, str], clock: Clock | None = None) -> None:
        self._config = loaded.config
        self._data = data_dir(loaded.config, environment)
        self._clock = clock or Clock()
        self._stopping = asyncio.Event()
        self._main: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Ask for the end; asked again, it comes at once."""
        if self._stopping.is_set() and self._main is not None:
            self._main.cancel()
        self._stopping.set()

    async def run(self, started: Callable[[Running], None] = lambda running: None) -> None:
        self._main = asyncio.current_task()
        async with AsyncExitStack() as stack:
            parts = await self._build(stack)
            async with parts.serving, asyncio.TaskGroup() as group:
                await self._work(parts, group, started)

    async def _build(self, stack: AsyncExitStack) -> _Parts:
        """Open everything that can refuse to be opened, before anything is promised to anybody."""
        config = self._config
        _make_private(self._data)
        tokens = Tokens(config, self._data)
        check_exposure(config, tokens)
        kinds: dict[str, Kind] = {}
        hub = assembly.hub(config, self._data, kinds, self._clock)
        stack.push_async_callback(lambda: hub.store.close(self._clock.now_ms()))
        live = await hub.open()
        await uploads.sweep(hub)
        sockets = [listen(address) for address in addresses(config.server)]
        for listening in sockets:
            stack.callback(listening.close)
        urls = tuple(map(url, sockets))
        runner = assembly.runner(config, urls[0])
        await runner.start()
        stack.push_async_callback(runner.close)
        company = self._company(hub, runner, live)
        kinds.update(await self._kinds(runner, company.durations))
        scheduler = Scheduler(hub, runner, assembly.policy(config))
        hub.listen(scheduler.hear)
        hub.queues.listen(scheduler.queues_changed)
        door = Door(config.server.max_connections, config.server.request_timeout_s)
        stack.callback((self._data / SERVER).unlink, missing_ok=True)
        site = self._site(hub, tokens, door)
        serving = Serving(site, self._app(site, tokens, company, hub), config, door)
        return _Parts(hub, live, runner, scheduler, company, serving, sockets, self._running(urls, tokens))

    def _company(self, hub: Hub, runner: Runner, live: list[Task]) -> _Company:
        """Those who hear of every event beside the scheduler, with what they knew before."""
        durations = Durations()
        durations.restore(hub.settings)
        hub.listen(partial(_learn, hub, durations))
        callbacks = Callbacks(hub, self._config.callbacks, url=words.callback_url, body=words.callback)
        callbacks.restore(hub.settings)
        hub.listen(callbacks.hear)
        traffic = Traffic(live)
        hub.listen(traffic.hear)
        inquiries = assembly.inquiries(self._config, runner)
        return _Company(durations, callbacks, traffic, inquiries, self._downloader(runner))

    async def _work(self, parts: _Parts, group: asyncio.TaskGroup, started: Callable[[Running], None]) -> None:
        hub, scheduler, serving = parts.hub, parts.scheduler, parts.serving
        group.create_task(hub.journal.run())
        at_work = group.create_task(scheduler.run())
        beside = [group.create_task(work) for work in self._beside(parts)]
        scheduler.recover(parts.live)
        await serving.open(parts.sockets)
        self._tell_where(parts.running)
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_EVERY)
        started(parts.running)
        await self._stopping.wait()
        log.info("stopping: streams end and what runs is asked to; a second signal ends it at once")
        serving.refuse_connections()
        hub.bus.close()
        for task in beside:
            task.cancel()
        parts.company.inquiries.close()
        scheduler.close()
        await at_work
        await serving.end()
        hub.journal.close()

    def _downloader(self, runner: Runner) -> Current:
        """The newest yt-dlp there is, and whatever is newer later."""
        current = Current(self._data, lambda found: runner.renew(assembly.DOWNLOADS, assembly.downloads(found)))
        runner.renew(assembly.DOWNLOADS, assembly.downloads(current.release))
        warn_if_old(current.release)
        return current

    def _beside(self, parts: _Parts) -> list[Coroutine[Any, Any, None]]:
        """What goes on beside the work for as long as the server runs, and may be broken off at any moment."""
        config, hub, company = self._config, parts.hub, parts.company
        care = Upkeep(hub, stalled_after_s=config.scheduler.stalled_after_s, quota=assembly.quota(config, hub))
        return [
            care.run(),
            company.callbacks.run(),
            company.downloader.run(),
            self._recall(company.traffic, hub),
            self._warm(parts.runner),
        ]

    def _site(self, hub: Hub, tokens: Tokens, door: Door) -> Site:
        guard = Guard(self._config, tokens, addresses(self._config.server))
        return Site(hub, self._config, (*DIALECTS, WEB), fallback=house.HOUSE, guard=guard, door=door)

    def _app(self, site: Site, tokens: Tokens, company: _Company, hub: Hub) -> web.Application:
        app = site.app()
        house.furnish(app, self._config, tokens, (*DIALECTS, WEB))
        downloads.furnish(app, company.inquiries, company.traffic)
        generations.furnish(app, hub, self._config.generations)
        app[DOWNLOADER] = company.downloader
        return app

    async def _kinds(self, runner: Runner, durations: Durations) -> dict[str, Kind]:
        """Every kind there is, as the settings adjust it; StartupError when users' modules can't be imported."""
        described = await runner.describe("python") if self._config.python.modules else []
        return assembly.kinds(self._config, described, durations)

    async def _warm(self, runner: Runner) -> None:
        """Have the pools ready before anybody needs them; what can't be had then is told when it is asked for."""
        if not (self._config.warm.enabled and self._config.warm.ahead):
            return
        for pool in ("python", "download"):
            try:
                await runner.warm(pool)
            except HubError as error:
                log.warning("no warm start for %s: %s", pool, error.message)

    async def _recall(self, traffic: Traffic, hub: Hub) -> None:
        """Let the figures of the last hour outlive a restart; without them there is only less to tell."""
        try:
            await traffic.recall(hub.store, hub.events.last)
        except HubError as error:
            log.warning("nothing is known of the last hour's traffic: %s", error.message)

    def _running(self, urls: tuple[str, ...], tokens: Tokens) -> Running:
        auth = "token needed" if tokens.configured else "open on loopback"
        commands = ", ".join(self._config.commands) or "none named"
        login_url = f"{urls[0]}/-/login?code={tokens.launch_code()}"
        return Running(urls=urls, data=self._data, auth=auth, commands=commands, login_url=login_url)

    def _tell_where(self, running: Running) -> None:
        """Leave word for the command line where the server is."""
        path = self._data / SERVER
        body = {"urls": running.urls, "pid": os.getpid(), "version": __version__}
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(body) + "\n")
        temporary.replace(path)


@dataclass(frozen=True, slots=True)
class _Company:
    durations: Durations
    callbacks: Callbacks
    traffic: Traffic
    inquiries: Inquiries
    downloader: Current


@dataclass(frozen=True, slots=True)
class _Parts:
    hub: Hub
    live: list[Task]
    runner: Runner
    scheduler: Scheduler
    company: _Company
    serving: Serving
    sockets: list[socket.socket]
    running: Running


def _learn(hub: Hub, durations: Durations, event: Event) -> None:
    """What a task that has ended shows about its steps is kept together with its end."""
    if event.type in (EventType.COMPLETED, EventType.FAILED) and (setting := durations.learn(event.task)):
        hub.journal.setting(*setting)


def _make_private(directory: Path) -> None:
    """The data directory, for nobody else to read."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartupError(reason=f"the data directory {directory} can't be made: {error.strerror}") from None
