"""What operators set, over a restart and beside a configuration that changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import StorageError
from stripwatch.service.kept_thresholds import FILE, Kept, applied, holding, load_kept, save_kept

PITS = DefectClass(id=1, name="pits", threshold=0.5, min_area_px=30)
CRACKS = DefectClass(id=2, name="cracks", threshold=0.4, min_area_px=10)


def kept(name: str, key: str, value: float, configured: float) -> Kept:
    assert key in ("threshold", "min_area_px")
    return Kept(
        class_name=name,
        key="threshold" if key == "threshold" else "min_area_px",
        value=value,
        configured=configured,
        who="eva",
        t_ns=1,
    )


SETTINGS = (kept("pits", "threshold", 0.7, 0.5), kept("cracks", "min_area_px", 25, 10))


def test_settings_come_back_from_their_file(tmp_path: Path) -> None:
    """No file is no setting."""
    assert load_kept(tmp_path) == ()
    save_kept(tmp_path, SETTINGS)
    assert load_kept(tmp_path) == SETTINGS


def test_a_setting_holds_until_the_configuration_gives_another_value() -> None:
    """Whoever changed the configuration decided later; other settings stay."""
    pits, cracks = applied(SETTINGS, (PITS, CRACKS))
    assert (pits.threshold, pits.min_area_px) == (0.7, 30)
    assert (cracks.threshold, cracks.min_area_px) == (0.4, 25)
    changed = DefectClass(id=1, name="pits", threshold=0.6, min_area_px=30)
    assert holding(SETTINGS, (changed, CRACKS)) == SETTINGS[1:]
    assert applied(SETTINGS, (changed, CRACKS))[0] == changed
    assert applied(SETTINGS, (CRACKS,)) == (cracks,)  # an engine without that class


@pytest.mark.parametrize("text", ["", "{", '{"settings":[{"class_name":"pits"}]}', '{"v":2}'])
def test_a_damaged_file_stops_the_daemon_with_a_sentence(tmp_path: Path, text: str) -> None:
    """Going on with other thresholds than those that an operator set must be a decision."""
    (tmp_path / FILE).write_text(text)
    with pytest.raises(StorageError, match="mend it, or remove it"):
        load_kept(tmp_path)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / f".{FILE}.new").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        save_kept(tmp_path, SETTINGS)
