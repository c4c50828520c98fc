"""The daemon's port for metrics and health, from the start of the process to its end."""

from __future__ import annotations

import time
from collections import Counter
from http import HTTPStatus

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from stripwatch.service.monitor.metrics import PipelineCollector
from stripwatch.service.monitor.probes import health, readiness
from stripwatch.service.monitor.sampler import Sample, Sampler
from stripwatch.service.monitor.server import Reply, Server
from stripwatch.service.monitor.sources import Sources
from stripwatch.stages.heartbeat import Heartbeat

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
KEPT_S = 0.5  # for so long the same text answers again: a flood costs no more than two scrapes


class Monitor:
    """Serves /metrics, /healthz and /readyz."""

    def __init__(self, port: int) -> None:
        """Bind the port.

        Raises:
            AddressError: another process has it.
        """
        self._sources: Sources | None = None
        self._sampler: Sampler | None = None
        self._main: Heartbeat | None = None  # of the main thread
        self._reloads: Counter[str] = Counter({"done": 0, "refused": 0})
        self._kept: tuple[float, bytes] | None = None
        self._registry = CollectorRegistry()
        self._registry.register(
            PipelineCollector(lambda: self._sources, self._latest_sample, self._reloads)
        )
        ProcessCollector(registry=self._registry)
        self._server = Server(port, self._reply)
        self._server.start()

    def watch(self, sources: Sources) -> None:
        """The pipeline is there; its engine may still be loading."""
        self._sources = sources
        self._sampler = Sampler(sources.journal_folder)
        self._sampler.start()

    def beat(self) -> None:
        """The main thread makes progress."""
        self._main = self._main or Heartbeat()
        self._main.beat()

    def reload_ended(self, *, done: bool) -> None:
        """Count a reload."""
        self._reloads["done" if done else "refused"] += 1

    def close(self) -> None:
        """Close the port."""
        self._server.close()
        if self._sampler is not None:
            self._sampler.close()

    def _latest_sample(self) -> Sample | None:
        return self._sampler.latest if self._sampler else None

    def _reply(self, path: str) -> Reply | None:
        match path:
            case "/metrics":
                return Reply(HTTPStatus.OK, self._metrics(), METRICS_TYPE)
            case "/healthz":
                return health(self._sources, self._main)
            case "/readyz":
                return readiness(self._sources)
        return None

    def _metrics(self) -> bytes:
        now_s = time.monotonic()
        if self._kept is None or now_s - self._kept[0] > KEPT_S:
            self._kept = (now_s, generate_latest(self._registry))
        return self._kept[1]
