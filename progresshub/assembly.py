"""The parts of a server, made from its settings. Nothing here starts anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from progresshub.bus import Bus, Limits
from progresshub.clock import Clock
from progresshub.errors import InvalidConfig, StartupError
from progresshub.files import Files
from progresshub.jobs import audio, pipeline
from progresshub.jobs.builtin import builtin_kinds
from progresshub.jobs.python import kinds_from, pipelines_from
from progresshub.kinds import Kind
from progresshub.processes.runner import Runner, Setup
from progresshub.registry.durations import Durations
from progresshub.registry.hub import Hub
from progresshub.registry.queues import Queue, Queues
from progresshub.release import Release
from progresshub.scheduling.inquiries import Inquiries
from progresshub.scheduling.quota import Quota
from progresshub.scheduling.scheduler import Policy
from progresshub.settings import Config, KindSettings
from progresshub.settings import Store as StoreSettings
from progresshub.storage.memory import MemoryStore
from progresshub.storage.persistence import Store
from progresshub.storage.sqlite import SqliteStore

DATABASE = "progresshub.db"
DOWNLOADS = "download"


def hub(config: Config, data: Path, kinds: Mapping[str, Kind], clock: Clock) -> Hub:
    scheduler = config.scheduler
    return Hub(
        store=_store(config, data),
        bus=Bus(_limits(config)),
        clock=clock,
        files=Files(data),
        kinds=kinds,
        queues=_queues(config),
        retention_ms=int(1000 * scheduler.retention_s),
        recent=config.store.recent,
        write_behind_ms=config.store.write_behind_ms,
        max_entries=scheduler.max_progress_entries,
    )


def runner(config: Config, url: str) -> Runner:
    pools = {
        "python": Setup(modules=("progresshub.jobs.demo", *config.python.modules), path=config.python.path),
        DOWNLOADS: downloads(None),
        audio.POOL: Setup(modules=("progresshub.jobs.sound.song",)),
        "video": Setup(modules=("progresshub.jobs.film.making",)),
    }
    return Runner(config.runner, config.warm, url=url, pools=pools)


def inquiries(config: Config, runner: Runner) -> Inquiries:
    return Inquiries(runner.run, config.inquiries)


def downloads(downloader: Release | None) -> Setup:
    """What their pool imports, with the yt-dlp that it is to use."""
    path = (str(downloader.path),) if downloader is not None and downloader.path is not None else ()
    return Setup(modules=("progresshub.jobs.ytdlp",), path=path, warmup="progresshub.jobs.ytdlp:warm_up")


def policy(config: Config) -> Policy:
    scheduler = config.scheduler
    return Policy(
        slots=scheduler.slots,
        max_crashes=scheduler.max_crashes,
        backoff_s=scheduler.backoff_s,
        backoff_max_s=scheduler.backoff_max_s,
        jitter=scheduler.jitter,
    )


def quota(config: Config, hub: Hub) -> Quota | None:
    most_bytes = config.downloads.quota_bytes
    return Quota(hub, "download", most_bytes) if most_bytes else None


def kinds(config: Config, described: list[dict[str, Any]], durations: Durations) -> dict[str, Kind]:
    """Every kind there is, as the settings adjust it; `described` are the users' functions."""
    found = builtin_kinds(config)
    for kind in kinds_from(described):
        if kind.name in found or kind.name == pipeline.KIND:
            raise StartupError(reason=f"a function is called {kind.name}, and so is another task type")
        found[kind.name] = kind
    functions = pipelines_from(described)
    if doubled := sorted(functions.keys() & config.pipelines.keys()):
        raise StartupError(reason=f"a function is called {doubled[0]}, and so is a pipeline of the settings")
    ready: dict[str, Kind] = {}
    found[pipeline.KIND] = pipeline.kind(config.pipelines, functions, ready, durations.of)
    for name in config.kinds:
        if name not in found:
            raise InvalidConfig(where=f"kinds.{name}", reason=f"there is no task type {name}")
    ready.update((name, adjusted(kind, config.kinds.get(name), config.store)) for name, kind in found.items())
    pipeline.check_settings(config.pipelines, functions, ready)
    return ready


def adjusted(kind: Kind, settings: KindSettings | None, store: StoreSettings) -> Kind:
    """A kind with what the settings say of it, and of all."""
    kind = replace(kind, min_free_bytes=max(kind.min_free_bytes, store.min_free_bytes))
    if settings is None:
        return kind
    return replace(
        kind,
        timeout_ms=kind.timeout_ms if settings.timeout_s is None else int(1000 * settings.timeout_s) or None,
        max_retries=kind.max_retries if settings.max_retries is None else settings.max_retries,
        recovery=settings.recovery or kind.recovery,
        retention_ms=kind.retention_ms if settings.retention_s is None else int(1000 * settings.retention_s),
        backoff_s=kind.backoff_s if settings.backoff_s is None else settings.backoff_s,
    )


def _store(config: Config, data: Path) -> Store:
    if config.store.kind == "memory":
        return MemoryStore()
    return SqliteStore(
        data / DATABASE, busy_timeout_ms=config.store.busy_timeout_ms, cache_bytes=config.store.cache_bytes
    )


def _limits(config: Config) -> Limits:
    streams = config.streams
    return Limits(
        high_water_bytes=streams.high_water_bytes,
        owed_events=streams.owed_events,
        stalled_deadline_s=streams.stalled_deadline_s,
        heartbeat_s=streams.heartbeat_s,
    )


def _queues(config: Config) -> Queues:
    configured = {
        name: Queue(name=name, weight=queue.weight, slots=queue.slots, paused=queue.paused)
        for name, queue in config.queues.items()
    }
    return Queues(configured, default_weight=config.scheduler.queue_weight, most=config.scheduler.max_queues)
