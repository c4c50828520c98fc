"""Fuzz every parser: `python -m tests.fuzz --cases 1000000`, in the project's folder."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.campaign import TARGETS, Outcome, run_cases
from tests.fuzz.target import Target, case_of, is_accepted


def shares(targets: tuple[Target, ...], cases: int) -> list[int]:
    """Cases of each target by its weight; together at least `cases`."""
    weights = sum(target.weight for target in targets)
    return [-(-cases * target.weight // weights) for target in targets]


def campaign(targets: tuple[Target, ...], seed: int, cases: int) -> bool:
    """Run all targets and print a line for each; returns whether nothing was found."""
    sys.stdout.write(f"seed {seed}\n{'target':18} cases    accepted  mean ms  slowest ms   MiB\n")
    started, total = time.monotonic(), Outcome()
    for target, count in zip(targets, shares(targets, cases), strict=True):
        outcome = run_cases(target, seed, 0, count - 1)
        sys.stdout.write(line_of(target.name, outcome) + "\n")
        for number, fault in outcome.findings:
            again = f'python -m tests.fuzz --seed {seed} --target "{target.name}" --case {number}'
            sys.stdout.write(f"FOUND: {again}\n{fault}\n")
        sys.stdout.flush()
        total.add(outcome)
    sys.stdout.write(line_of("all", total) + "\n")
    sys.stdout.write(f"{len(total.findings)} findings, {time.monotonic() - started:.0f} s\n")
    return not total.findings


def line_of(name: str, outcome: Outcome) -> str:
    """An outcome as a row of the table."""
    cases = max(1, outcome.cases)
    return (
        f"{name:18}{outcome.cases:8} {outcome.accepted / cases:9.1%} "
        f"{1000 * outcome.cpu_s / cases:8.3f} {outcome.slowest_ms:11.1f} {outcome.peak_mib:5.0f}"
    )


def reproduce(target: Target, seed: int, number: int) -> None:
    """Print one case and run it in this process, with whatever comes out of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        case = case_of(target, target.seeds(folder), seed, number)
        for part in case:
            sys.stdout.write(f"{part!r}\n")
        sys.stdout.write(f"accepted: {is_accepted(target, case, folder)}\n")


def main() -> int:
    """The command line; 0: nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the parsers.")
    names = {target.name: target for target in TARGETS}
    parser.add_argument("--cases", type=int, default=20_000, help="of all targets (%(default)s)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="of all cases")
    parser.add_argument("--target", action="append", choices=names, help="only this one")
    parser.add_argument("--case", type=int, help="run this one of the target, and show it")
    args = parser.parse_args()
    targets = tuple(names[name] for name in args.target) if args.target else TARGETS
    if args.case is not None:
        reproduce(targets[0], args.seed, args.case)
        return 0
    return 0 if campaign(targets, args.seed, args.cases) else 1


if __name__ == "__main__":
    sys.exit(main())
