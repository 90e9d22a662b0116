"""The parts of a server, made from its settings. Nothing here starts anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from progresshub.bus import Bus, Limits
from progresshub.clock import Clock
from progresshub.files import Files
from progresshub.hub import Hub
from progresshub.inquiries import Inquiries
from progresshub.kinds import Kind
from progresshub.memory import MemoryStore
from progresshub.persistence import Store
from progresshub.processes.runner import Runner, Setup
from progresshub.queues import Queue, Queues
from progresshub.quota import Quota
from progresshub.release import Release
from progresshub.scheduler import Policy
from progresshub.settings import Config, KindSettings
from progresshub.store import SqliteStore

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


def adjusted(kind: Kind, settings: KindSettings | None) -> Kind:
    """A kind with what the settings say of it."""
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
