"""Many runs, one line each: `python -m stripwatch.lab.faults.soak 1-200`."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stripwatch.errors import ExitCode
from stripwatch.lab.faults.plan import Fault, plan_of
from stripwatch.lab.faults.run import Outcome, run_plan
from stripwatch.lab.faults.storage import impossible_faults

MIB = 2**20


def soak(first: int, last: int, at_once: int, kept: Path | None) -> bool:
    """Run seeds `first` to `last` and print what came of each; returns whether all held.

    Args:
        first: seed.
        last: seed.
        at_once: runs side by side.
        kept: where the folders of failed runs are left; None: nowhere.
    """
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        impossible = impossible_faults(folder)
        for fault, reason in impossible.items():
            sys.stdout.write(f"left out: {fault}: {reason}\n")

        def run_seed(seed: int) -> Outcome:
            run_folder = folder / str(seed)
            run_folder.mkdir()
            outcome = run_plan(plan_of(seed, impossible), run_folder)
            if outcome.faults and kept is not None:
                shutil.copytree(run_folder, kept / str(seed), ignore=_sockets)
            shutil.rmtree(run_folder)
            sys.stdout.write(line_of(outcome) + "\n")
            sys.stdout.flush()
            return outcome

        with ThreadPoolExecutor(at_once) as pool:
            outcomes = list(pool.map(run_seed, range(first, last + 1)))
    sys.stdout.write(summary_of(outcomes) + "\n")
    return not any(outcome.faults for outcome in outcomes)


def line_of(outcome: Outcome) -> str:
    """A run in one line, and each of its faults in one more."""
    plan = outcome.plan
    missed = " ".join(f"{cause}={count}" for cause, count in sorted(outcome.missed.items()))
    line = (
        f"seed {plan.seed:4}  {'FAILED' if outcome.faults else 'ok    '}  "
        f"{outcome.wall_s:4.0f} s  "
        f"{outcome.lives} lives  {outcome.events} events  {outcome.inspected} inspected  "
        f"missed {missed or 'none'}  {outcome.growth_bytes / MIB:.0f} MiB  "
        f"{plan.pattern}{' proxied' if plan.proxied else ''}  {plan.faults}"
    )
    return "\n".join([line, *(f"           {fault}" for fault in outcome.faults)])


def summary_of(outcomes: list[Outcome]) -> str:
    """All runs in some lines."""
    missed: Counter[str] = Counter()
    faults: Counter[Fault] = Counter()
    states: Counter[str] = Counter()
    for outcome in outcomes:
        missed += outcome.missed
        states += outcome.states
        faults.update(step.fault for step in outcome.plan.steps)
    failed = [str(outcome.plan.seed) for outcome in outcomes if outcome.faults]
    growth = max((outcome.growth_bytes for outcome in outcomes), default=0)
    lives, events, inspected = (
        sum(getattr(outcome, name) for outcome in outcomes)
        for name in ("lives", "events", "inspected")
    )
    return "\n".join(
        (
            f"{len(outcomes)} runs, {len(failed)} failed{': ' if failed else ''}{' '.join(failed)}",
            f"{lives} lives of the daemon, {events} events, {inspected} frames inspected",
            "missed: " + ", ".join(f"{cause} {count}" for cause, count in missed.most_common()),
            "faults: " + ", ".join(f"{fault} {count}" for fault, count in faults.most_common()),
            "states: " + ", ".join(f"{state} {count}" for state, count in states.most_common()),
            f"largest growth of a daemon's memory: {growth / MIB:.0f} MiB",
        )
    )


def _sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_socket()]


def _parse(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    try:
        return int(first), int(last or first)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a seed nor FIRST-LAST") from None


def main() -> int:
    """The command line; 0: all held, 1: a run failed."""
    parser = argparse.ArgumentParser(prog="soak", description="Run the daemon under faults.")
    parser.add_argument("seeds", type=_parse, metavar="SEEDS", help="one seed, or FIRST-LAST")
    parser.add_argument("--at-once", type=int, default=2, help="runs side by side (%(default)s)")
    parser.add_argument("--keep", type=Path, help="leave the folders of failed runs here")
    args = parser.parse_args()
    first, last = args.seeds
    # So that a run that is broken off gives back what it has mounted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return 0 if soak(first, last, args.at_once, args.keep) else 1
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
