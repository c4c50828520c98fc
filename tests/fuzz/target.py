"""What a fuzzed parser promises, and how one case of it is made."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.mutate import mutated

Case = tuple[bytes, ...]  # the parts of a message, or the content of a file
# Whether the input was accepted; refusals are the errors that the parser documents, and whatever
# else comes out is a finding. The folder is for its own use.
Parse = Callable[[Case, Path], bool]


def _as_it_is(_: random.Random, case: Case) -> Case:
    return case


class Target(NamedTuple):
    """One parser."""

    name: str
    seeds: Callable[[Path], list[Case]]  # valid input, all with the same number of parts
    parse: Parse
    refusals: tuple[type[Exception], ...]
    weight: int = 1  # cases for each case of the slowest targets
    # Puts checksums right, now and then, so that the damage is found behind them.
    mend: Callable[[random.Random, Case], Case] = _as_it_is


def case_of(target: Target, seeds: list[Case], seed: int, number: int) -> Case:
    """Case `number` of a target: the same whenever it is asked for."""
    # Not for secrets; from a text, so that targets and numbers share no sequence.
    chance = random.Random(f"{seed} {target.name} {number}")
    parts = list(chance.choice(seeds))
    spoiled = chance.sample(range(len(parts)), chance.choice((1, 1, len(parts))))
    for place in spoiled:
        parts[place] = mutated(chance, parts[place], [other[place] for other in seeds])
    return target.mend(chance, tuple(parts))


def is_accepted(target: Target, case: Case, folder: Path) -> bool:
    """Whether the parser takes the input.

    Raises:
        Exception: one that the parser does not document, or a broken promise.
    """
    try:
        return target.parse(case, folder)
    except target.refusals:
        return False
