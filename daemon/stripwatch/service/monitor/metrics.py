"""The metrics, read from the pipeline's own counts at the time of a scrape.

docs/monitoring.md lists them; a test compares. Names and units as Prometheus recommends.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import get_args

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from stripwatch._version import __version__
from stripwatch.service.monitor.sampler import Sample
from stripwatch.service.monitor.sources import Sources
from stripwatch.stages.histogram import Histogram
from stripwatch.wire.causes import NOT_INSPECTED
from stripwatch.wire.light import LightKind
from stripwatch.wire.state import State, Why

_LABELS_MAX = 1000  # of one metric: a peer's or a reader's names must not fill a database


class PipelineCollector(Collector):
    """What a pipeline counts."""

    def __init__(
        self,
        sources: Callable[[], Sources | None],
        sample: Callable[[], Sample | None],
        reloads: Mapping[str, int],
    ) -> None:
        """Read from the results of these functions; None: not there yet.

        `reloads` counts those that have ended, by result.
        """
        self._sources = sources
        self._sample = sample
        self._reloads = reloads

    def collect(self) -> Iterator[Metric]:
        """All metrics, with their values now."""
        version = [((__version__,), 1.0)]
        yield _gauge("stripwatch_build_info", "Version of stripwatch.", version, "version")
        sources = self._sources()
        yield from _health(sources)
        yield _counter(
            "stripwatch_reloads", "Reloads that have ended.", _keyed(self._reloads), "result"
        )
        if sources is not None:
            yield from _frames(sources)
            yield from _light(sources)
            yield from _threads(sources)
            yield from _journal(sources)
        sample = self._sample()
        if sample is not None:
            yield from _sampled(sample)


def _health(sources: Sources | None) -> Iterator[Metric]:
    state, reasons = sources.telemetry.health.latest if sources else (State.STARTING, ())
    yield _gauge(
        "stripwatch_state",
        "1 for the state of the daemon, 0 for the others.",
        [((one,), int(one is state)) for one in State],
        "state",
    )
    held = {reason.why for reason in reasons}
    yield _gauge(
        "stripwatch_reason",
        "1 for the reasons of the state that hold, 0 for the others.",
        [((why,), int(why in held)) for why in Why],
        "why",
    )


def _frames(sources: Sources) -> Iterator[Metric]:
    counts = sources.telemetry.counts
    cameras = sources.telemetry.cameras
    # From 0 on: what a series begins with, Prometheus does not take for an increase.
    inspected = dict.fromkeys(cameras, 0) | counts.inspected
    missed = {(camera, cause): 0 for camera in cameras for cause in NOT_INSPECTED} | counts.missed
    yield _counter(
        "stripwatch_frames_inspected",
        "Frames inspected since the start.",
        _keyed(inspected),
        "camera",
    )
    for name, text, values in (
        ("frames_missed", "Frames not inspected since the start.", missed),
        ("messages_rejected", "Messages that are no frames to inspect.", counts.rejected),
        ("frames_remarked", "Frames inspected with something wrong.", counts.remarks),
    ):
        yield _counter(f"stripwatch_{name}", text, values.items(), "camera", "cause")
    stages = HistogramMetricFamily(
        "stripwatch_stage_seconds", "Time of a frame in each stage.", labels=["stage"]
    )
    for stage, histogram in sources.outbox.latency.histograms.items():
        _add(stages, [stage.name.lower()], histogram)
    yield stages


def _light(sources: Sources) -> Iterator[Metric]:
    """Of the cameras whose side tells it, as the latest status has it."""
    status = sources.telemetry.latest
    cameras = status.cameras if status else {}
    grey = _keyed({name: one.light for name, one in cameras.items() if one.light is not None})
    yield _gauge("stripwatch_light_grey", "Mean grey of the latest frame.", grey, "camera")
    faults = {(name, kind): 0 for name in cameras for kind in get_args(LightKind)}
    for name, one in cameras.items():
        for fault in one.light_faults:
            faults[name, fault.kind] += 1
    text = "Faults of the light that are open."
    yield _gauge("stripwatch_light_faults", text, faults.items(), "camera", "kind")


def _threads(sources: Sources) -> Iterator[Metric]:
    silent_s = _keyed({name: beat.silent_s for name, beat in sources.beats.items()})
    yield _gauge(
        "stripwatch_thread_silence_seconds",
        "Time since a thread made progress.",
        silent_s,
        "thread",
    )
    slots = _keyed({state.value: count for state, count in sources.ring.states().items()})
    yield _gauge("stripwatch_slots", "Batches of frame memory.", slots, "state")
    waiting = {
        "decode": sources.decoders.waiting,
        "outbox": sources.outbox.waiting,
        "images": sources.images.waiting,
        "pictures": sources.pictures.waiting,
    }
    yield _gauge("stripwatch_queue_entries", "What waits for a thread.", _keyed(waiting), "queue")
    model = [((sources.engine_loop.model.name,), 1.0)]
    yield _gauge("stripwatch_engine_info", "Hash of the engine that runs.", model, "model")
    dropped = {
        "images": sources.outbox.images_dropped,
        "pictures": sources.outbox.pictures_dropped,
    }
    text = "Images and pictures that had no room."
    yield _counter("stripwatch_copies_dropped", text, _keyed(dropped), "kind")


def _journal(sources: Sources) -> Iterator[Metric]:
    outbox = sources.outbox
    commits = HistogramMetricFamily(
        "stripwatch_journal_commit_seconds", "Time of a transaction, with its fsync."
    )
    _add(commits, [], outbox.commit_s)
    yield commits
    status = sources.telemetry.latest
    for name, text, value in (
        ("journal_lag_seconds", "Age of the oldest events not journalled.", outbox.lag_s),
        ("journal_last_seq", "Number of the newest event.", outbox.last_seq),
        ("subscriptions", "Topics asked for.", status.subscribers if status else 0),
    ):
        yield _gauge(f"stripwatch_{name}", text, [((), value)])


def _sampled(sample: Sample) -> Iterator[Metric]:
    age_s = time.monotonic() - sample.t_s
    yield _gauge(
        "stripwatch_sample_age_seconds",
        "Age of the figures of files, readers and GPUs.",
        [((), age_s)],
    )
    yield _gauge(
        "stripwatch_journal_file_bytes",
        "Size of the journal's files.",
        _keyed(sample.file_bytes),
        "file",
    )
    if sample.disk_free_bytes is not None:
        free = [((), float(sample.disk_free_bytes))]
        yield _gauge("stripwatch_journal_disk_free_bytes", "Free on the journal's disk.", free)
    readers = sample.readers.items()
    events = [((name,), behind.events) for name, behind in readers]
    seconds = [((name,), behind.seconds) for name, behind in readers]
    yield _gauge("stripwatch_reader_behind_events", "Events not read.", events, "reader")
    yield _gauge(
        "stripwatch_reader_behind_seconds", "Age of the oldest event not read.", seconds, "reader"
    )
    for name, text, attribute in (
        ("memory_used_bytes", "Memory of the GPU in use.", "memory_used_bytes"),
        ("memory_bytes", "Memory of the GPU.", "memory_total_bytes"),
        ("utilisation_ratio", "Share of time in which the GPU computed.", "utilisation"),
        ("temperature_celsius", "Temperature of the GPU.", "temperature_celsius"),
    ):
        values = [
            ((str(gpu.number),), value)
            for gpu in sample.gpus
            if (value := getattr(gpu, attribute)) is not None
        ]
        yield _gauge(f"stripwatch_gpu_{name}", text, values, "gpu")


def _gauge(
    name: str, text: str, values: Iterable[tuple[tuple[str, ...], float]], *labels: str
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in itertools.islice(values, _LABELS_MAX):
        family.add_metric(key, value)
    return family


def _counter(
    name: str, text: str, values: Iterable[tuple[tuple[str, ...], float]], *labels: str
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in itertools.islice(values, _LABELS_MAX):
        family.add_metric(key, value)
    return family


def _add(family: HistogramMetricFamily, labels: list[str], histogram: Histogram) -> None:
    buckets, sum_s = histogram.cumulated()
    family.add_metric(labels, buckets, sum_s)


def _keyed(values: Mapping[str, float]) -> list[tuple[tuple[str, ...], float]]:
    return [((key,), value) for key, value in values.items()]
