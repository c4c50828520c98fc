"""`stripwatch check`: its summary of a valid configuration and its engine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import pytest

from stripwatch.cli.main import main
from stripwatch.engines.manifest import (
    Agreement,
    ClassAgreement,
    DefectClass,
    Gate,
    Manifest,
    Verification,
    save_manifest,
)
from stripwatch.errors import ExitCode

CONFIG = """
[line]
frame_lines = 8
frame_pixels = 16
mm_per_line = 0.5
mm_per_pixel = 0.6
[[cameras]]
name = "top"
[[inputs]]
endpoint = "tcp://127.0.0.1:5550"
[engine]
folder = "engine"
[publish]
endpoint = "tcp://127.0.0.1:5560"
"""


def verification(
    passed: bool, *dice: float, remark: str = "", pixels: int = 900, verdict: str = ""
) -> Verification:
    """One comparison with a class for each Dice, and before it a perfect one."""
    classes = tuple(
        ClassAgreement(f"kind{n}", value, pixels, pixels) for n, value in enumerate(dice)
    )
    perfect = Agreement("half", (ClassAgreement("kind0", 1, pixels, pixels),), 0, 0)
    return Verification(
        reference="onnxruntime",
        source="synthetic",
        frames=8,
        dice_min=0.99,
        error_mean_max=0.001,
        agreements=(perfect, Agreement("engine", classes, 0.1, 0.0001)) if dice else (),
        passed=passed,
        remark=remark,
        verdict=verdict,  # type: ignore[arg-type]
    )


def check(folder: Path, *flags: str, **changes: object) -> None:
    """Check a configuration whose engine has a manifest with these changes."""
    (folder / "line.toml").write_text(CONFIG)
    (folder / "engine").mkdir()
    manifest = Manifest(
        target="fake",
        engine_hash="",
        builder="test",
        precision="fp32",
        frame_shape=(8, 16),
        classes=(DefectClass(id=1, name="pits"),),
    )
    save_manifest(folder / "engine", msgspec.structs.replace(manifest, **changes))
    assert main(["check", str(folder / "line.toml"), *flags]) == ExitCode.OK


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ({}, "  NOT VERIFIED"),
        ({"verification": verification(True, remark="no GPU")}, "  NOT VERIFIED: no GPU"),
        (
            {"verification": verification(True, 0.9991, 0.998)},
            "  verified on 8 frames (synthetic): worst Dice 0.998, mean error 0.0001",
        ),
        (  # an older manifest, whose engine passed although its class was not there
            {"verification": verification(True, 1.0, pixels=0)},
            (
                "  NOT VERIFIED by 8 frames (synthetic): they do not show kind0; verify the engine "
                "on frames of the line: engine-build --verify"
            ),
        ),
        (
            {"verification": verification(False, 1.0, verdict="not verified")},
            (
                "  NOT VERIFIED by 8 frames (synthetic); verify the engine on frames of the line: "
                "engine-build --verify"
            ),
        ),
        (
            {"verification": verification(False, 0.91)},
            (
                "  DEGRADED on 8 frames (synthetic): worst Dice 0.91 (limit 0.99), "
                "mean error 0.0001 (limit 0.001)"
            ),
        ),
        ({}, "  batch    4 frames; the engine takes any number"),
        ({"batch": (1, 8)}, "  batch    4 frames; the engine takes 1 to 8"),
        ({}, "  gate     none"),
        (
            {"gate": Gate(mode="soft", gate_threshold=0.3, class_thresholds=(0.25,))},
            (
                "  gate     soft: a class below its threshold (frame 0.3; classes 0.25) "
                "needs 5 times its minimum area"
            ),
        ),
        (
            {"gate": Gate(mode="skip", gate_threshold=0.3)},
            "  gate     skip: a class below its threshold (frame 0.3) is not reported",
        ),
    ],
)
def test_the_summary_tells_what_the_engine_is_worth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, object], row: str
) -> None:
    """Verification, batches and gate, each on a line of its own."""
    check(tmp_path, **changes)
    assert row in capsys.readouterr().out.splitlines()


def test_a_script_reads_the_summary_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(tmp_path, "--json", verification=verification(True, 0.999))
    summary = json.loads(capsys.readouterr().out)
    assert summary["engine"]["verdict"] == "passed"
    assert summary["engine"]["not_judged"] == []
    assert summary["inputs"][0]["endpoint"] == "tcp://127.0.0.1:5550"
    assert summary["classes"] == [
        {"id": 1, "name": "pits", "threshold": 0.5, "min_area_px": 0},
    ]


def test_the_rules_for_grades_are_named_and_what_they_lack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a rule on what was not inspected no strip can be the best."""
    rule = """
[grading]
rule_set = "customer 7"
grades = ["best", "worse"]
[[grading.rules]]
name = "pits"
measure = "count"
limit = 0
grade = "worse"
"""
    monkeypatch.setattr(sys.modules[__name__], "CONFIG", CONFIG + rule)
    check(tmp_path)
    text = capsys.readouterr().out
    assert "grading  customer 7: 1 rule; best > worse" in text
    assert "no rule limits what was not inspected of side top" in text
