"""Figures for monitoring, in Prometheus' text format. They are read from the hub when asked for; none is kept here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from progresshub import __version__
from progresshub.model import State
from progresshub.registry.hub import Hub
from progresshub.storage.persistence import Place

__all__ = ["CONTENT_TYPE_LATEST", "exposition"]

NAMESPACE = "progresshub"
MOST_QUEUES = 100
OTHER = "other"


def exposition(hub: Hub) -> bytes:
    """All there is to measure, as a scraper reads it."""
    registry = CollectorRegistry()
    ProcessCollector(namespace=NAMESPACE, registry=registry)
    registry.register(HubCollector(hub))
    return generate_latest(registry)


class HubCollector(Collector):
    """The hub's figures, taken as they are."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that being registered does not read everything once more."""
        return ()

    def collect(self) -> Iterator[Metric]:
        hub = self._hub
        yield InfoMetricFamily(f"{NAMESPACE}_build", "What is running", value={"version": __version__})
        yield _gauge("uptime_seconds", "Time since the store was opened", hub.clock.monotonic_s() - hub.opened_s)
        yield _tasks(hub)
        yield _events(hub)
        yield _gauge("watchers", "Streams that are open now", len(hub.bus))
        yield _counter("deliveries", "Events handed to watchers", hub.bus.delivered)
        yield _counter("watchers_cut_off", "Watchers dropped because they could not keep up", hub.bus.cut_off)
        yield _gauge("store_trouble", "1 while the store takes nothing", hub.journal.trouble is not None)


def _tasks(hub: Hub) -> Metric:
    family = GaugeMetricFamily(f"{NAMESPACE}_tasks", "Tasks by queue and state", labels=("queue", "state"))
    for (queue, state), tasks in by_queue(hub.journal.counts).items():
        family.add_metric((queue, state.value), tasks)
    return family


def by_queue(counts: Counter[Place]) -> Counter[tuple[str, State]]:
    """Tasks by queue and state; all but the fullest queues are counted as one."""
    sizes: Counter[str] = Counter()
    for where, tasks in counts.items():
        sizes[where.queue] += tasks
    named = {queue for queue, _ in sizes.most_common(MOST_QUEUES)}
    summed: Counter[tuple[str, State]] = Counter()
    for where, tasks in counts.items():
        summed[where.queue if where.queue in named else OTHER, where.state] += tasks
    return summed


def _events(hub: Hub) -> Metric:
    family = CounterMetricFamily(f"{NAMESPACE}_events", "What happened to tasks", labels=("kind", "event"))
    for (kind, event), times in hub.happened.items():
        family.add_metric((kind, event.value), times)
    return family


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{NAMESPACE}_{name}", about, value=value)


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(f"{NAMESPACE}_{name}", about, value=value)
