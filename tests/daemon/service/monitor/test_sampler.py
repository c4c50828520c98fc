"""Figures of files, readers and GPUs."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest

from stripwatch.journal.positions import Positions
from stripwatch.journal.records import Transaction, event_record
from stripwatch.journal.store import Journal
from stripwatch.service.monitor import gpu
from stripwatch.service.monitor.gpu import Gpus
from stripwatch.service.monitor.sampler import Sample, Sampler
from stripwatch.wire.event import DaemonStop, build_event

AGE_S = 100


def journal_of(folder: Path, events: int) -> Journal:
    """A journal with so many events, each a second younger than the one before."""
    journal = Journal(folder)
    transaction = Transaction()
    for seq in range(1, events + 1):
        event = DaemonStop(stream=journal.stream, seq=seq, t_ns=seq, reason="stopped", detail="")
        topic, payload = build_event(event)
        t_ns = time.time_ns() - (AGE_S - seq) * 1_000_000_000
        transaction.events.append(event_record(event, topic, payload, t_ns))
    journal.append(transaction)
    return journal


def sample_of(folder: Path) -> Sample:
    sampler = Sampler(folder)
    sampler.start()
    until_s = time.monotonic() + 20
    while sampler.latest is None:
        assert time.monotonic() < until_s
        time.sleep(0.01)
    sampler.close()
    return sampler.latest


def test_it_is_known_how_far_each_reader_is_behind(tmp_path: Path) -> None:
    """In events, and by the age of the first that it lacks; one of another stream lacks all."""
    with closing(journal_of(tmp_path, 10)) as journal, closing(Positions(tmp_path)) as positions:
        positions.set("done", journal.stream, 10)
        positions.set("slow", journal.stream, 4)
        positions.set("other", "another-stream", 10)
        readers = sample_of(tmp_path).readers
    assert {name: one.events for name, one in readers.items()} == {
        "done": 0,
        "slow": 6,
        "other": 10,
    }
    assert readers["done"].seconds == 0
    assert AGE_S - 5 <= readers["slow"].seconds < readers["other"].seconds


def test_files_and_the_free_space_of_the_disk_are_measured(tmp_path: Path) -> None:
    with closing(journal_of(tmp_path, 10)):
        sample = sample_of(tmp_path)
    assert sample.file_bytes["journal"] > 0
    assert "pictures" not in sample.file_bytes
    assert sample.disk_free_bytes
    assert sample.readers == {}  # nobody asked for a position: no file is made for that


def test_a_journal_that_is_gone_leaves_the_other_figures(tmp_path: Path) -> None:
    with closing(Positions(tmp_path)) as positions:
        positions.set("mes", "stream", 1)
    sample = sample_of(tmp_path)
    assert sample.readers == {}
    assert sample.disk_free_bytes


class Nvml:
    """NVML as a computer with two GPUs has it, of which one has fallen off the bus."""

    class NVMLError(Exception):
        pass

    NVML_TEMPERATURE_GPU = 0

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:  # noqa: N802
        if number == 0:
            raise self.NVMLError
        return number

    def nvmlDeviceGetMemoryInfo(self, _device: int) -> object:  # noqa: N802
        return type("Memory", (), {"used": 3, "total": 8})

    def nvmlDeviceGetUtilizationRates(self, _device: int) -> object:  # noqa: N802
        raise self.NVMLError

    def nvmlDeviceGetTemperature(self, _device: int, _sensor: int) -> int:  # noqa: N802
        return 40


def test_a_gpu_that_has_failed_is_left_out_and_what_one_does_not_tell_is_unknown() -> None:
    gpus = Gpus()
    gpus._nvml = Nvml()
    (figures,) = gpus.read()
    assert figures == gpu.GpuFigures(1, 3, 8, None, 40)


def test_without_a_driver_or_the_library_there_are_no_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    assert Gpus().read() == []
