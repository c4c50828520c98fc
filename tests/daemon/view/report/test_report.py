"""The report's parts: the map's scale, the worst defects, tables, and what a hostile name does."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from tests.daemon.inspect.grading.strips import MadeStrip

from stripwatch.config.grading import Grading, Rule
from stripwatch.inspect.grading.grade import grade
from stripwatch.inspect.grading.record import Mark, StripRecord
from stripwatch.journal.strips import Signature, StoredStrip
from stripwatch.view.report.markup import grade_colour
from stripwatch.view.report.page import ReportParts, report_page
from stripwatch.view.report.pictures import worst_defects
from stripwatch.view.report.strip_map import LEFT, RIGHT, ROWS_MAX, WIDTH, row_length_m, strip_map
from stripwatch.view.report.tables import coverage_table, sectors_table, share_text, sides_text

GRADING = Grading(
    grades=("best", "middle", "worst"),
    rules=(
        Rule(name="inspected", measure="not_inspected_m", limit=1, grade="middle"),
        Rule(name="holes", classes=("holes",), measure="count", limit=0, grade="worst"),
    ),
)


def page(record: StripRecord, *, graded: bool = True) -> str:
    signature = Signature("stream", 1, 9, 9, "f" * 64)
    verdict = grade(GRADING, record) if graded else None
    pictures = [(flaw, None) for flaw in worst_defects(record, verdict)]
    stored = StoredStrip(record, signature, ())
    return report_page(ReportParts(stored, verdict, pictures, None, "not known", 1))


VOID = ("meta", "br", "img", "line", "rect")


class Tags(HTMLParser):
    """Checks that what is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open.pop() == tag


@pytest.mark.parametrize("graded", [True, False])
def test_a_page_is_whole_has_no_external_part_and_runs_nothing(graded: bool) -> None:
    """Whatever the strip is called."""
    strip = MadeStrip()
    strip.defect(1000.0, class_name="holes")
    record = strip.record()
    record.strip = """<script>alert('x')</script>"&"""
    text = page(record, graded=graded)
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert "script" not in tags.seen
    assert not re.search(r"""(https?:|url\((?!#)|@import|<link|src=(?!"data:))""", text)
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&quot;&amp;" in text


@pytest.mark.parametrize("graded", [True, False])
def test_a_strip_of_which_nothing_is_known_has_a_page(graded: bool) -> None:
    record = MadeStrip(length_m=0.0, cameras=(), has_ended=False).record()
    assert "has not ended" in page(record, graded=graded)


def test_the_map_is_to_scale_and_hatches_what_was_not_inspected() -> None:
    """A gap from 30 m to 40 m of 100 m: rows of 20 m, the gap is half of the second."""
    strip = MadeStrip()
    strip.gap(30.0, 10.0)
    rows = strip_map(strip.record(), None).split("</svg>")[:-1]
    assert row_length_m(100.0) == 20
    assert len(rows) == 5
    assert [row.count('fill="url(#hatch)"') for row in rows] == [0, 1, 0, 0, 0]
    (x, width), *_ = re.findall(r'x="([\d.]+)" y="[\d.]+" width="([\d.]+)"[^>]*hatch', rows[1])
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    assert float(x) == pytest.approx(middle, abs=0.1)
    assert float(width) == pytest.approx(475, abs=0.1)


@pytest.mark.parametrize("length_m", [0.0, 0.3, 1.0, 7.9, 99.0, 100.0, 801.0, 12_345.0])
def test_a_map_has_a_bounded_number_of_rows(length_m: float) -> None:
    assert length_m <= ROWS_MAX * row_length_m(length_m)


def test_the_band_has_the_colour_of_the_worst_grade_of_each_place() -> None:
    """A hole within a gap is seen."""
    strip = MadeStrip(length_m=20.0)
    strip.gap(5.0, 5.0)
    strip.defect(7000.0, class_name="holes", size_mm=(10.0, 1000.0))
    record = strip.record()
    band = re.findall(r'height="7.0" fill="(#\w+)"', strip_map(record, grade(GRADING, record)))
    best, middle, worst = (grade_colour(one, GRADING.grades) for one in GRADING.grades)
    # Rows of 2.5 m; each piece in the order of the grades, the worst first.
    assert band == [best, best, *2 * [worst, middle], best, best, best, best]


def test_the_worst_defects_are_those_that_cost_the_grade_then_the_largest() -> None:
    strip = MadeStrip()
    strip.defect(1.0, size_mm=(50.0, 50.0))
    strip.defect(2.0, size_mm=(90.0, 90.0))
    strip.defect(3.0, class_name="holes", size_mm=(1.0, 1.0))
    record = strip.record()
    verdict = grade(GRADING, record)
    assert [flaw.area_mm2 for flaw in worst_defects(record, verdict)] == [1.0, 8100.0, 2500.0]
    assert [flaw.area_mm2 for flaw in worst_defects(record, None)] == [8100.0, 2500.0, 1.0]


def cells(text: str) -> list[list[str]]:
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", text)]


def test_tables_by_stretch_and_camera_count_what_is_there() -> None:
    strip = MadeStrip(length_m=150.0)
    strip.defect(99_995.0)  # in both
    strip.defect(120_000.0, class_name="holes", side="bottom")
    strip.defect(None)
    strip.gap(110.0, 10.0)
    record = strip.record()
    rows = [row for row in cells(sectors_table(record)) if row]
    assert rows == [
        ["0 - 100 m", "", "1", "100 %", "100 %"],
        ["100 - 150 m", "1", "1", "80 %", "100 %"],
        ["place unknown", "", "1", "", ""],
    ]
    rows = [row for row in cells(coverage_table(record)) if row]
    assert rows == [
        ["top (top)", "0 - 1000 mm", "140.00", "10.00"],
        ["bottom (bottom)", "0 - 1000 mm", "150.00", ""],
    ]
    assert sides_text(record).startswith("top side: 93.33 % of the length inspected, 1000 mm wide")


def test_a_share_is_never_rounded_up_to_all() -> None:
    assert share_text(999_999.0, 1_000_000.0) == "99.99 %"
    assert share_text(1.0, 1.0) == "100 %"
    assert share_text(0.0, 0.0) == "-"


def test_a_side_without_a_camera_is_named_as_not_inspected() -> None:
    """A buyer is told which surface was controlled."""
    record = MadeStrip().record()
    del record.cameras["bottom"]
    assert "bottom side: not inspected" in sides_text(record)


def test_roll_marks_are_told_with_period_and_rolls() -> None:
    record = MadeStrip().record()
    record.marks = [Mark("m", "top", 400.0, 1999.0, ("F7 <old>",), 1e3, 2e4, 9, 1, 1e-9)]
    text = page(record)
    assert "F7 &lt;old&gt;" in text
    assert "1999.0" in text
    assert "stroke-dasharray" in text
