"""The strip map in a real browser: what the journal holds is where it belongs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from tests.line.test_restart import journalled
from tests.page.browser import Browser
from tests.page.conftest import LOST, PART
from tests.page.line import FRAME_SHAPE, MM_PER_LINE, PageLine

from stripwatch.wire.event import Defect, DefectClosed

FRAME_MM = FRAME_SHAPE[0] * MM_PER_LINE
GUTTER_PX = 92  # left of the strip, where the names of the sides stand
SIGN_PX = 12  # from the middle of a sign to its end, and a little more
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 190, 140), (240, 90, 40))  # of class 1 to 4
HATCH = [(150, 160, 172), (58, 66, 76)]
STEEL = (33, 40, 47)
READY = "document.querySelector('strip-map')?.model.count > 0"
MAP = "document.querySelector('strip-map')"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _no_console_errors(browser: Browser) -> Iterator[None]:
    yield
    assert browser.errors() == []


@pytest.fixture
def shown(page: Browser, line: PageLine) -> Browser:
    """The page of strip coil-1, whole, with everything loaded."""
    show_strip(page, line, "coil-1", len(whole_defects(line, "coil-1")))
    return page


def show_strip(browser: Browser, line: PageLine, strip: str, count: int) -> None:
    """Open the view of a strip anew, and wait until it has so many defects."""
    browser.goto(f"{line.url}#/cameras")
    browser.wait("document.title.startsWith('Cameras')")
    browser.goto(f"{line.url}#/strips/{strip}")
    browser.wait(f"{MAP}?.model.count === {count} && {MAP}.raster")


def whole_defects(line: PageLine, strip: str) -> list[Defect | DefectClosed]:
    """What the journal says is a whole defect."""
    return [
        event
        for event in journalled(line.folder)
        if (isinstance(event, Defect) and event.is_whole) or isinstance(event, DefectClosed)
        if event.strip == strip
    ]


def drawn_defects(line: PageLine, strip: str) -> list[Defect | DefectClosed]:
    """The whole defects, and the pieces of those that are not closed yet."""
    events = [event for event in journalled(line.folder) if getattr(event, "strip", 0) == strip]
    closed = {
        name
        for event in events
        if isinstance(event, DefectClosed)
        for name in (event.part_of, *event.joined)
    }
    open_pieces = [
        event
        for event in events
        if isinstance(event, Defect) and not event.is_whole and event.part_of not in closed
    ]
    return [*whole_defects(line, strip), *open_pieces]


def geometry(browser: Browser) -> dict[str, Any]:
    """What the map shows now, and where: metres of the window, pixels of the sides."""
    return dict(
        browser.run(
            f"(() => {{ const m = {MAP}; return {{ from: m.window.fromMm, to: m.window.toMm,"
            " width: m.raster.width, sides: m.bands.map((b) => [b.top, b.bottom]) }; })()"
        )
    )


def place(defect: Defect | DefectClosed, shown: dict[str, Any]) -> tuple[int, int]:
    """The pixel of the canvas at the middle of a defect's box, from the journal's millimetres."""
    assert defect.box_mm is not None
    assert defect.box_mm.downweb_mm is not None
    along, across = (
        sum(pair) / 2 for pair in (defect.box_mm.downweb_mm, defect.box_mm.crossweb_mm)
    )
    top, bottom = shown["sides"][0 if defect.side == "top" else 1]
    x = (along - shown["from"]) / (shown["to"] - shown["from"]) * shown["width"]
    return round(GUTTER_PX + x), round(top + across / 1000 * (bottom - top))


def reach(defect: Defect | DefectClosed, shown: dict[str, Any]) -> tuple[float, float]:
    """How far its sign and its box go from their middle, px along and across."""
    along = shown["width"] / (shown["to"] - shown["from"])
    across = (shown["sides"][0][1] - shown["sides"][0][0]) / 1000
    return (
        max(SIGN_PX, defect.size_mm[1] * along / 2),
        max(SIGN_PX, defect.size_mm[0] * across / 2),
    )


def lonely(defects: list[Defect | DefectClosed], shown: dict[str, Any]) -> list[int]:
    """Those that no other's sign or box can cover."""
    places = [place(defect, shown) for defect in defects]
    reaches = [reach(defect, shown) for defect in defects]

    def is_apart(one: int, other: int) -> bool:
        apart = [abs(a - b) for a, b in zip(places[one], places[other], strict=True)]
        return any(apart[i] > reaches[one][i] + reaches[other][i] for i in (0, 1))

    numbers = range(len(defects))
    return [
        one for one in numbers if all(one == other or is_apart(one, other) for other in numbers)
    ]


def colours_about(browser: Browser, places: list[tuple[int, int]]) -> list[set[tuple[int, ...]]]:
    """The colours of the canvas in a square of 13 pixels about each place."""
    found = browser.run(
        f"(() => {{ const c = {MAP}.canvas.getContext('2d'); return {list(map(list, places))}"
        ".map(([x, y]) => [...c.getImageData(x - 6, y - 6, 13, 13).data]); })()"
    )
    return [{tuple(data[i : i + 3]) for i in range(0, len(data), 4)} for data in found]


def drawn(browser: Browser) -> dict[str, Any]:
    """Wait until the map is painted anew; its geometry then."""
    browser.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return geometry(browser)


def test_every_defect_of_the_journal_is_at_its_place_in_its_colour(
    shown: Browser, line: PageLine
) -> None:
    """Pixels are read back; what another's sign may cover is left out."""
    defects = whole_defects(line, "coil-1")
    assert len(defects) > 100
    shown.run(f"{MAP}.showWhole()")
    now = drawn(shown)
    alone = lonely(defects, now)
    assert len(alone) > 30
    places = [place(defects[index], now) for index in alone]
    for index, colours in zip(alone, colours_about(shown, places), strict=True):
        defect = defects[index]
        assert COLOURS[defect.class_id - 1] in colours, defect
        assert not colours & (set(COLOURS) - {COLOURS[defect.class_id - 1]}), defect


def test_zooming_by_keys_keeps_defects_at_their_places(shown: Browser, line: PageLine) -> None:
    defect = max(whole_defects(line, "coil-1"), key=lambda one: one.area_mm2)
    shown.run(f"{MAP}.canvas.focus(); {MAP}.select({defect.seq})")
    before = geometry(shown)
    shown.press("+", "+", "+", "ArrowRight", "ArrowLeft")
    after = geometry(shown)
    assert after["to"] - after["from"] < before["to"] - before["from"]
    shown.run(f"{MAP}.select({defect.seq}); {MAP}.select(null)")  # moves it into view
    (colours,) = colours_about(shown, [place(defect, drawn(shown))])
    assert COLOURS[defect.class_id - 1] in colours


def test_a_class_that_is_hidden_is_not_on_the_map(shown: Browser, line: PageLine) -> None:
    name = whole_defects(line, "coil-1")[0].class_name
    shown.click(f".legend button[data-class={name}]")
    drawn(shown)
    kind = next(d.class_id for d in whole_defects(line, "coil-1") if d.class_name == name)
    data = shown.run(
        f"(() => {{ const m = {MAP}; const [r, g, b] = {list(COLOURS[kind - 1])}; "
        "const p = m.raster.pixels; const c = (0xff000000 | (b << 16) | (g << 8) | r) >>> 0; "
        "return p.reduce((n, v) => n + (v === c), 0); })()"
    )
    assert data == 0


def test_what_was_not_inspected_is_hatched(page: Browser, line: PageLine) -> None:
    """Frames that never came are a gap of their length, on both sides, from the ledger."""
    browser = page
    show_strip(browser, line, "coil-2", len(drawn_defects(line, "coil-2")))
    browser.wait(f"{MAP}.model.sides.every((side) => side.gaps.length)")
    browser.run(f"{MAP}.showWhole()")
    shown = drawn(browser)
    scale = shown["width"] / (shown["to"] - shown["from"])
    inside, outside = (PART + LOST / 2) * FRAME_MM, (PART - 1.5) * FRAME_MM
    for top, bottom in shown["sides"]:
        xs = [round(GUTTER_PX + (mm - shown["from"]) * scale) for mm in (inside, outside)]
        ys = range(top + 8, bottom - 8, 14)
        hatched, plain = (
            set(itertools.chain(*colours_about(browser, [(x, y) for y in ys]))) for x in xs
        )
        assert set(HATCH) <= hatched
        assert not set(HATCH) & plain
        assert STEEL in plain


def test_a_click_selects_what_is_there_and_shows_all_of_it(shown: Browser, line: PageLine) -> None:
    """Picture with mask and box, class, score, size, place, edge, whole, model, latency."""
    defect = max(
        (one for one in whole_defects(line, "coil-1") if isinstance(one, Defect)),
        key=lambda one: one.area_mm2,
    )
    x, y = place(defect, geometry(shown))
    shown.click_at("strip-map canvas", x, y)
    shown.wait(f"{MAP}.selectedSeq === {defect.seq}")
    facts = shown.wait(
        "(() => { const t = document.querySelector('.facts')?.innerText;"
        " return t?.includes('journalled') && t; })()"
    )
    for name in ("Class", "Score", "Size", "Area", "Place", "To the edge", "Model", "Latency"):
        assert name in facts
    assert defect.class_name in facts
    assert "whole, in one piece" in facts
    assert f"{defect.size_mm[1]:.1f}".split(".")[0] in facts
    shown.wait("document.querySelector('.picture canvas')?.width > 0")
    pixels = shown.run(
        "(() => { const c = document.querySelector('.picture canvas'); return"
        " [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]; })()"
    )
    colours = {tuple(pixels[i : i + 3]) for i in range(0, len(pixels), 4)}
    assert COLOURS[defect.class_id - 1] in colours  # the box
    assert len(colours) > 10  # steel, and the mask over it


def test_the_table_beside_the_map_tells_the_same(shown: Browser, line: PageLine) -> None:
    """The accessible form: the same defects, in the window, selected together."""
    shown.wait("document.querySelectorAll('tr[data-seq]').length === 60")
    known = {one.seq for one in whole_defects(line, "coil-1")}
    seqs = shown.run(
        "[...document.querySelectorAll('tr[data-seq]')].map((row) => Number(row.dataset.seq))"
    )
    assert set(seqs) <= known
    shown.run("document.querySelector('tr[data-seq]').focus()")
    shown.press("ArrowDown")
    shown.wait(f"{MAP}.selectedSeq === {seqs[1]}")
    assert shown.run("document.activeElement.dataset.seq") == str(seqs[1])
    assert shown.run("document.activeElement.getAttribute('aria-selected')") == "true"


def test_everything_can_be_done_by_keyboard(browser: Browser, line: PageLine) -> None:
    """From the address bar by Tab to the map, to a defect, and by keys to the other views."""
    browser.open()
    browser.goto(line.url)
    browser.wait(READY)
    for _ in range(30):
        browser.press("Tab")
        if browser.run("document.activeElement.tagName") == "CANVAS":
            break
    assert browser.run("document.activeElement.tagName") == "CANVAS"
    browser.press("Home", "ArrowDown", "ArrowDown")
    seq = browser.wait(f"{MAP}.selectedSeq")
    assert "from the left edge" in browser.run("document.querySelector('[aria-live]').textContent")
    browser.press("Enter")
    browser.wait(f"location.hash === '#/defects/{seq}' && document.querySelector('.facts')")
    browser.press("Alt+4")
    browser.wait("document.title.startsWith('Strips')")
    browser.press("?")
    browser.wait("document.querySelector('dialog').open")
    browser.press("Escape")
    browser.wait("!document.querySelector('dialog').open")


def test_defects_appear_as_they_are_found(page: Browser, line: PageLine) -> None:
    """Live: without asking again, at the end of the strip that the map follows."""
    browser = page
    browser.goto(f"{line.url}#/")
    browser.wait(f"{READY} && document.title.startsWith('Live')")
    before = browser.run(f"[{MAP}.model.count, {MAP}.model.lengthMm]")
    asked = [one["path"] for one in browser.traffic() if one["path"].endswith("/defects")]
    line.send("coil-2", 2 * PART + LOST, 10)
    browser.wait(f"{MAP}.model.count > {before[0]} && {MAP}.model.lengthMm > {before[1]} + 4000")
    assert browser.run(f"{MAP}.isFollowing")
    again = [one["path"] for one in browser.traffic() if one["path"].endswith("/defects")]
    # Now and then, where a defect closed whose pieces were loaded; not with every event.
    assert len(again) <= len(asked) + 3
