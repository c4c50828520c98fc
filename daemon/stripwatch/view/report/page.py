"""The page of a strip's report, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from stripwatch._version import __version__
from stripwatch.engines.manifest import DefectClass
from stripwatch.inspect.grading.record import Flaw
from stripwatch.journal.strips import StoredStrip
from stripwatch.view.report import tables
from stripwatch.view.report.markup import Markup, grade_colour, paragraph, section, table, text
from stripwatch.view.report.pictures import figure
from stripwatch.view.report.strip_map import legend, row_length_m, strip_map
from stripwatch.view.report.style import CSS
from stripwatch.wire.verdict import Verdict


@dataclass(frozen=True, slots=True)
class ReportParts:
    """What a report is made of."""

    strip: StoredStrip
    verdict: Verdict | None  # None: there are no rules
    pictures: Sequence[tuple[Flaw, bytes | None]]  # the worst defects, each with a PNG
    classes: Sequence[DefectClass] | None  # thresholds in force; None: not known
    classes_remark: str  # why they are or are not known
    written_ns: int  # Unix time


def report_page(parts: ReportParts) -> str:
    """The report as one HTML document without external parts."""
    record, verdict = parts.strip.record, parts.verdict
    row_m = row_length_m(record.length_mm / 1000)
    sections = [
        _verdict(verdict),
        section(
            "Strip map",
            strip_map(record, verdict),
            legend(record),
            paragraph(
                f"Rows of {row_m:g} m, to scale along; the width is drawn larger. ",
                "Left edge above. The band on top has the colour of the grade of each place.",
                kind="small",
            ),
        ),
        section(
            "Inspection",
            paragraph(Markup(f"<b>{text(tables.sides_text(record))}.</b>")),
            tables.coverage_table(record),
            paragraph("not_seen: strip that is in no account of the camera.", kind="small"),
        ),
        section("Defects by class", tables.classes_table(record)),
        section("Worst defects", _pictures(parts.pictures)),
        section("Defects by stretch", tables.sectors_table(record)),
        section("Roll marks", tables.marks_table(record)),
        section("Model and thresholds", _model(parts)),
        section("Data", _signature(parts)),
    ]
    title = f"Strip {record.strip}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{text(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n"
        f"{_header(title, parts)}{''.join(sections)}</body>\n</html>\n"
    )


def time_text(t_ns: int | None) -> str:
    """A time of this computer's zone to the second."""
    if not t_ns:
        return "unknown"
    return datetime.fromtimestamp(t_ns / 1e9).astimezone().isoformat(" ", "seconds")


def _header(title: str, parts: ReportParts) -> str:
    record, verdict = parts.strip.record, parts.verdict
    grade = ""
    if verdict:
        colour = grade_colour(verdict.grade, verdict.grades)
        so_far = "" if verdict.is_final else " so far"
        grade = (
            f'<div class="grade" style="background:{colour}">{text(verdict.grade)}{so_far}</div>'
        )
    ended = "" if record.has_ended else " (the strip has not ended)"
    return (
        f"<header><div><h1>{text(title)}</h1>"
        + paragraph(
            f"{record.length_mm / 1000:,.2f} m, {len(record.defects)} defects{ended}; ",
            f"{time_text(record.start_ns)} to {time_text(record.end_ns)}",
        )
        + f"</div>{grade}</header>\n"
    )


def _verdict(verdict: Verdict | None) -> str:
    if verdict is None:
        return section("Verdict", paragraph("There are no rules: the strip has no grade."))
    usable = f"Usable length {verdict.usable_m:,.2f} m of {verdict.length_m:,.2f} m. "
    cuts = f"To cut out: {tables.spans_text(verdict.cut_m)}." if verdict.cut_m else ""
    return section(
        "Verdict",
        paragraph(f"Rules: {verdict.rule_set}. Grades: {', '.join(verdict.grades)}."),
        tables.rules_table(verdict),
        paragraph(usable, cuts),
        *(paragraph(f"Note: {remark}.") for remark in verdict.remarks),
    )


def _pictures(pictures: Sequence[tuple[Flaw, bytes | None]]) -> str:
    if not pictures:
        return paragraph("No defects were found.")
    figures = "".join(figure(flaw, png) for flaw, png in pictures)
    return f'<div class="pictures">{figures}</div>\n'


def _model(parts: ReportParts) -> str:
    rows = [
        (time_text(start.t_ns), start.version, start.model, start.config)
        for start in parts.strip.starts
    ]
    made = [paragraph("Models of these defects: ", ", ".join(parts.strip.record.models) or "none")]
    if rows:
        made.append(table(("daemon started", "version", "model", "configuration SHA-256"), rows))
    made.append(paragraph(parts.classes_remark))
    if parts.classes:
        made.append(
            table(
                ("class", "#probability at least", "#area at least, px"),
                ((one.name, f"{one.threshold:g}", one.min_area_px) for one in parts.classes),
            )
        )
    return "".join(made)


def _signature(parts: ReportParts) -> str:
    signature = parts.strip.signature
    rows = (
        ("journal (stream)", signature.stream),
        ("events", f"{signature.events}, seq {signature.first_seq} to {signature.last_seq}"),
        ("SHA-256 over their payloads", signature.sha256),
        ("report", f"written {time_text(parts.written_ns)} by stripwatch {__version__}"),
    )
    return table(("", ""), ((name, Markup(f"<code>{text(value)}</code>")) for name, value in rows))
