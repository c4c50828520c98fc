"""Roll marks: one flaw of a roll, printed once a turn, more or less visibly and regularly."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

SLIP_TURNS = 200  # after which the slip is as it was
JITTER_MAX = 6.0  # deviations: none is larger
_KEY = 0x70  # of the random generators

Kind = Literal["pits", "cracks", "patches"]


@dataclass(frozen=True, slots=True)
class RollMark:
    """A mark and its teeth, in lines and pixels of the strip."""

    period_lines: float  # a turn of the roll, on the strip
    pixel: float  # of the middle
    kind: Kind = "pits"
    first_line: float = 0.0  # of the first tooth
    end_line: float = math.inf  # there is none from here on
    visible: float = 1.0  # share of the teeth that can be seen
    fade_lines: float = math.inf  # over which the mark fades away and comes back
    jitter_lines: float = 0.0  # standard deviations of a tooth's place
    jitter_pixels: float = 0.0
    slip: float = 0.0  # largest share by which a turn is longer or shorter

    def teeth(
        self, seed: tuple[int, ...], first_line: float, end_line: float
    ) -> Iterator[tuple[float, float]]:
        """Line and pixel of each tooth that can be seen, by their numbers.

        Each is a pure function of the seed and its number, whatever part is asked for.

        Args:
            seed: of the strip, and what else tells this mark from others.
            first_line: of the part of the strip.
            end_line: one past its last.
        """
        sway = self.slip * SLIP_TURNS / (2 * math.pi)  # turns
        margin = sway + JITTER_MAX * self.jitter_lines / self.period_lines + 1
        first = math.floor((first_line - self.first_line) / self.period_lines - margin)
        end = math.ceil((end_line - self.first_line) / self.period_lines + margin)
        for number in range(max(first, 0), max(end, 0)):
            random = np.random.default_rng([*seed, _KEY, number])
            shift = sway * math.sin(2 * math.pi * number / SLIP_TURNS)
            line = self.first_line + (number + shift) * self.period_lines
            if line >= self.end_line:
                return
            faded = 0.5 + 0.5 * math.cos(2 * math.pi * (line - self.first_line) / self.fade_lines)
            if random.random() >= self.visible * faded:
                continue
            along, across = np.clip(random.normal(0, 1, 2), -JITTER_MAX, JITTER_MAX).tolist()
            line += along * self.jitter_lines
            if first_line <= line < end_line:
                yield line, self.pixel + across * self.jitter_pixels
