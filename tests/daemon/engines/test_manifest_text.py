"""Parts of a manifest in words, as `stripwatch check` and `engine-build` print them."""

from __future__ import annotations

import pytest

from stripwatch.engines.manifest import (
    JUDGED_PX_MIN,
    Agreement,
    ClassAgreement,
    DefectClass,
    Gate,
    Verification,
)
from stripwatch.engines.manifest_text import (
    batch_text,
    class_text,
    classes_not_judged,
    gate_text,
    verdict_of,
)


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


def verification(passed: bool, *pixels: int, **changes: object) -> Verification:
    """One comparison of classes a, b, ... with so many pixels each; none without any."""
    classes = tuple(
        ClassAgreement(name, 1, count, 0) for name, count in zip("abc", pixels, strict=False)
    )
    fields: dict[str, object] = {
        "reference": "",
        "source": "",
        "frames": 8,
        "dice_min": 0.99,
        "error_mean_max": 0.01,
        "agreements": (Agreement("the engine", classes, 0, 0),) if pixels else (),
        "passed": passed,
    }
    return Verification(**(fields | changes))  # type: ignore[arg-type]


def test_an_older_manifest_passes_only_with_pixels_of_every_class() -> None:
    """Such manifests have no verdict and call an engine passed that nothing was compared of."""
    whole = verification(True, JUDGED_PX_MIN, JUDGED_PX_MIN)
    assert verdict_of(whole) == "passed"
    assert classes_not_judged(whole) == ()
    part = verification(True, JUDGED_PX_MIN, JUDGED_PX_MIN - 1)
    assert verdict_of(part) == "not verified"
    assert classes_not_judged(part) == ("b",)
    assert verdict_of(verification(True)) == "not verified"
    assert verdict_of(verification(False, 0)) == "degraded"


def test_a_verdict_counts_for_more_than_pixels() -> None:
    """As does a class that engine-build did not judge because it was everywhere."""
    given = verification(False, 5000, 5000, verdict="not verified", not_judged=("a",))
    assert verdict_of(given) == "not verified"
    assert classes_not_judged(given) == ("a",)
