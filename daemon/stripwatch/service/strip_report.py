"""The report of a strip, put together from the journal, its pictures and the configuration."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from stripwatch.config.grading import Grading
from stripwatch.config.sections import Config
from stripwatch.engines.manifest import DefectClass, load_manifest
from stripwatch.errors import StorageError, StripwatchError
from stripwatch.inspect.grading.grade import grade
from stripwatch.inspect.grading.record import Flaw
from stripwatch.journal.pictures import PictureStore
from stripwatch.journal.strips import StoredStrip
from stripwatch.service.engine_fit import resolve_classes
from stripwatch.view.report.page import ReportParts, report_page
from stripwatch.view.report.pictures import draw_defect, worst_defects


def strip_report(
    folder: Path,
    config: Config,
    grading: Grading,
    strip: StoredStrip,
    note: Callable[[str], object] = lambda _: None,
) -> str:
    """One HTML page without external parts.

    Args:
        folder: of the journal, for the pictures.
        config: of the daemon.
        grading: the rules; they may be none.
        strip: as the journal has it.
        note: is told why there are no pictures.
    """
    record = strip.record
    verdict = grade(grading, record) if grading.rules else None
    worst = worst_defects(record, verdict)
    classes, remark = _classes(config, strip)
    parts = ReportParts(
        strip=strip,
        verdict=verdict,
        pictures=_pictures(folder, strip.signature.stream, worst, note),
        classes=classes,
        classes_remark=remark,
        written_ns=time.time_ns(),
    )
    return report_page(parts)


def _pictures(
    folder: Path, stream: str, defects: Sequence[Flaw], note: Callable[[str], object]
) -> list[tuple[Flaw, bytes | None]]:
    """The defects with their pictures; without the file of pictures none has one."""
    try:
        store = PictureStore(folder, read_only=True)
    except StorageError as error:
        note(f"the report has no pictures: {error}\n")
        return [(flaw, None) for flaw in defects]
    with closing(store):
        return [(flaw, draw_defect(store.get(stream, flaw.seq), flaw.class_id)) for flaw in defects]


def _classes(config: Config, strip: StoredStrip) -> tuple[Sequence[DefectClass] | None, str]:
    """The thresholds in force, where this configuration and engine are those of the strip."""
    in_force = {start.config for start in strip.starts}
    if in_force != {hashlib.sha256(msgspec.json.encode(config)).hexdigest()}:
        return None, (
            "The configuration has changed since, or is not that of the daemon: the thresholds in "
            "force are those of the configuration with the SHA-256 above."
        )
    try:
        manifest = load_manifest(Path(config.engine.folder))
        classes = resolve_classes(config, manifest)
    except StripwatchError as error:
        return None, f"The engine of the configuration cannot be looked at: {error}."
    if not all(map(manifest.engine_hash.startswith, strip.record.models)):
        return None, "The engine of the configuration is not that which found these defects."
    return classes, (
        "Thresholds of the configuration with the SHA-256 above; what a reload changed in between "
        "is not recorded:"
    )
