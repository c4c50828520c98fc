"""Parts of a manifest in words, as `stripwatch check` and `engine-build` print them."""

from __future__ import annotations

import pytest

from stripwatch.engines.manifest import DefectClass, Gate
from stripwatch.engines.manifest_text import batch_text, class_text, gate_text


def test_a_class_is_printed_with_its_limits() -> None:
    entry = DefectClass(id=2, name="pits", threshold=0.25, min_area_px=12)
    assert class_text(entry) == "pits: probability >= 0.25, area >= 12 px"


def test_a_batch_is_a_range_or_any_number() -> None:
    assert batch_text((1, 16)) == "1 to 16"
    assert batch_text(None) == "any number"


@pytest.mark.parametrize(
    ("gate", "text"),
    [
        (None, "none"),
        (
            Gate(mode="skip", gate_threshold=0.5),
            "skip: a class below its threshold (frame 0.5) is not reported",
        ),
        (
            Gate(mode="soft", gate_threshold=0.5, class_thresholds=(0.4, 0.6), min_area_factor=3),
            (
                "soft: a class below its threshold (frame 0.5; classes 0.4, 0.6) needs 3 times "
                "its minimum area"
            ),
        ),
    ],
)
def test_a_gate_is_printed_with_mode_thresholds_and_effect(gate: Gate | None, text: str) -> None:
    assert gate_text(gate) == text
