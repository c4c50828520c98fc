"""What the demo does with the folder of an earlier demo."""

from __future__ import annotations

from pathlib import Path

from stripwatch.lab.demo import _remove_earlier_results


def test_results_of_an_earlier_demo_are_removed_and_nothing_else(tmp_path: Path) -> None:
    """Its overlays, of whatever seed, and its summary; the rest is somebody's own."""
    overlays = tmp_path / "overlays"
    overlays.mkdir()
    own = ["demo-7_top_000000003_4f1a.png", "demo--1_bottom_000000120_00ff.png"]
    others = ["demo-7_top_000000003_4f1a copy.png", "demo-7.png", "steel_top_000000003_4f1a.png"]
    for name in (*own, *others):
        (overlays / name).write_bytes(b"")
    (tmp_path / "summary.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    _remove_earlier_results(tmp_path)
    assert sorted(path.name for path in overlays.iterdir()) == sorted(others)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "overlays"]
    _remove_earlier_results(tmp_path / "new")
