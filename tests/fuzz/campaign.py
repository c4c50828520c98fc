"""Many cases of one target in a process of their own, whose end, time and memory are watched."""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.fuzz.file_targets import FILE_TARGETS, MEMORY
from tests.fuzz.journal_target import JOURNAL_TARGETS
from tests.fuzz.target import Case, Target, case_of, is_accepted
from tests.fuzz.wire_targets import WIRE_TARGETS

TARGETS = (*WIRE_TARGETS, *FILE_TARGETS, *JOURNAL_TARGETS)
CPU_S_MAX = 2.0  # of one case; the slowest parsers need some milliseconds
GROWTH_MIB_MAX = 64  # of the largest memory that the process has had, by one case
ADDRESSES_MIB_MAX = 2048  # beyond those in use at the start, for memory that is never touched
WITHOUT_END_S = 60.0
FINDINGS_MAX = 10  # of a target, after which the rest of its cases is left
_MIB = 2**20


@dataclass(slots=True)
class Outcome:
    """What came of the cases of a target."""

    cases: int = 0
    accepted: int = 0
    cpu_s: float = 0.0
    slowest_ms: float = 0.0
    peak_mib: float = 0.0
    findings: list[tuple[int, str]] = field(default_factory=list)  # number of the case, and what

    def add(self, other: Outcome) -> None:
        """Count the cases of another process."""
        self.cases += other.cases
        self.accepted += other.accepted
        self.cpu_s += other.cpu_s
        self.slowest_ms = max(self.slowest_ms, other.slowest_ms)
        self.peak_mib = max(self.peak_mib, other.peak_mib)
        self.findings += other.findings


def run_cases(target: Target, seed: int, first: int, last: int) -> Outcome:
    """Run the cases `first` to `last`; after one that ends the process, the others go on."""
    total = Outcome()
    fork = multiprocessing.get_context("fork")
    while first <= last and len(total.findings) < FINDINGS_MAX:
        number = fork.Value("q", first)
        receiver, sender = fork.Pipe(duplex=False)
        worker = fork.Process(target=_work, args=(target, seed, last, number, sender))
        worker.start()
        sender.close()
        try:
            part = _received(receiver, number)
        except (EOFError, TimeoutError) as error:
            worker.kill()
            worker.join()
            fault = str(error) or f"ends the process with code {worker.exitcode}"
            part = Outcome(number.value - first + 1, findings=[(number.value, fault)])
        worker.join()
        total.add(part)
        first = number.value + 1
    return total


def _work(target: Target, seed: int, last: int, number: Any, sender: Connection) -> None:
    """The process: cases from `number` on, until one needs too much, or the last is done."""
    warnings.simplefilter("ignore")  # Pillow's, which the daemon silences as well
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff writes about every file
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + ADDRESSES_MIB_MAX * _MIB
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    outcome = Outcome()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        folder = Path(name)
        seeds = target.seeds(folder)
        for current in range(number.value, last + 1):
            number.value = current
            _run(target, seeds, seed, current, folder, outcome)
            if len(outcome.findings) >= FINDINGS_MAX:
                break
    outcome.peak_mib = _peak_mib()
    sender.send(outcome)


def _run(
    target: Target, seeds: list[Case], seed: int, number: int, folder: Path, outcome: Outcome
) -> None:
    case = case_of(target, seeds, seed, number)
    peak_mib, started = _peak_mib(), time.process_time()
    fault = ""
    try:
        outcome.accepted += is_accepted(target, case, folder)
    except Exception:  # noqa: BLE001 - whatever it is, it is the finding
        fault = traceback.format_exc()
    cpu_s = time.process_time() - started
    growth_mib = _peak_mib() - peak_mib
    outcome.cases += 1
    outcome.cpu_s += cpu_s
    outcome.slowest_ms = max(outcome.slowest_ms, 1000 * cpu_s)
    if cpu_s > CPU_S_MAX:
        fault += f"took {cpu_s:.1f} s of processor time\n"
    if growth_mib > GROWTH_MIB_MAX:
        fault += f"took {growth_mib:.0f} MiB of memory\n"
    if fault:
        outcome.findings.append((number, fault))


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _received(receiver: Connection, number: Any) -> Outcome:
    """What the process has to tell at its end.

    Raises:
        EOFError: it ended without a word.
        TimeoutError: one case takes for ever.
    """
    current, since = number.value, time.monotonic()
    while not receiver.poll(0.2):
        if number.value != current:
            current, since = number.value, time.monotonic()
        elif time.monotonic() - since > WITHOUT_END_S:
            raise TimeoutError(f"does not end within {WITHOUT_END_S:.0f} s")
    outcome = receiver.recv()
    assert isinstance(outcome, Outcome)
    return outcome
