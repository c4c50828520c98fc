"""`stripwatch report`: a strip of the journal as a page to print, and its defects as tables."""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from stripwatch.cli.stored_strip import add_rules, add_strip, find_strip, grading_of, opened
from stripwatch.config.sections import Config
from stripwatch.engines.manifest import DefectClass, load_manifest
from stripwatch.errors import ExitCode, StorageError, StripwatchError
from stripwatch.files import write_whole
from stripwatch.inspect.grading.grade import grade
from stripwatch.inspect.grading.record import Flaw
from stripwatch.journal.pictures import PictureStore
from stripwatch.journal.strips import StoredStrip
from stripwatch.service.engine_fit import resolve_classes
from stripwatch.view.report.defect_table import defects_csv, defects_parquet
from stripwatch.view.report.page import ReportParts, report_page
from stripwatch.view.report.pictures import draw_defect, worst_defects


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "report",
        allow_abbrev=False,
        help="write the report of a strip as one HTML page",
        description="Write the report of a strip as one HTML page without external parts, which "
        "prints on A4; and its defects as tables.",
    )
    add_strip(parser)
    add_rules(parser)
    add = parser.add_argument
    add("-o", "--output", type=Path, required=True, metavar="FILE.html", help="the page")
    add("--csv", type=Path, metavar="FILE.csv", help="the whole defects as a table, too")
    add("--parquet", type=Path, metavar="FILE.parquet", help="the same as Parquet (an extra)")
    parser.set_defaults(command=_report)


def _report(args: argparse.Namespace) -> ExitCode:
    with opened(args) as (config, folder, reader):
        grading = grading_of(args, config)
        strip = find_strip(args, config, reader)
    record = strip.record
    verdict = grade(grading, record) if grading.rules else None
    worst = worst_defects(record, verdict)
    classes, remark = _classes(config, strip)
    parts = ReportParts(
        strip=strip,
        verdict=verdict,
        pictures=_pictures(folder, strip.signature.stream, worst),
        classes=classes,
        classes_remark=remark,
        written_ns=time.time_ns(),
    )
    _write(args.output, report_page(parts).encode())
    if args.csv:
        _write(args.csv, defects_csv(record.defects))
    if args.parquet:
        _write(args.parquet, defects_parquet(record.defects))
    return ExitCode.OK


def _pictures(
    folder: Path, stream: str, defects: Sequence[Flaw]
) -> list[tuple[Flaw, bytes | None]]:
    """The defects with their pictures; without the file of pictures none has one."""
    try:
        store = PictureStore(folder, read_only=True)
    except StorageError as error:
        sys.stderr.write(f"the report has no pictures: {error}\n")
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


def _write(path: Path, content: bytes) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error
    sys.stdout.write(f"{path}\n")
