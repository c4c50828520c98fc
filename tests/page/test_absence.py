"""What the page shows when something is away, and that it loses nothing meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from tests.line.test_restart import journalled
from tests.page.browser import Browser
from tests.page.conftest import LOST, PART, started_line
from tests.page.line import PageLine
from tests.page.test_map import MAP, READY, drawn_defects

from stripwatch.wire.event import Defect

BANNER = "document.querySelector('#banner')"
WAIT_MS = 40_000
NEXT = 2 * PART + LOST

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[PageLine]:
    """A line of its own: parts of it are stopped here."""
    del browser  # without one nothing need be started
    with started_line(tmp_path_factory.mktemp("line")) as line:
        yield line


@pytest.fixture
def live(browser: Browser, line: PageLine) -> Iterator[Browser]:
    """The live view of coil-2."""
    browser.open()
    browser.goto(line.url)
    browser.wait(READY)
    yield browser
    browser.errors()  # a browser tells failed connections as errors


def test_a_camera_that_stops_is_a_banner_with_time_and_metres(
    live: Browser, line: PageLine
) -> None:
    """It cannot be missed, and it goes when frames come again."""
    live.wait(f"{BANNER}.innerText.includes('NOT INSPECTED')", WAIT_MS)
    text = live.run(f"{BANNER}.innerText")
    assert "since" in text
    height, size = live.run(
        f"[{BANNER}.offsetHeight, parseFloat(getComputedStyle({BANNER}.querySelector('strong'))"
        ".fontSize)]"
    )
    assert height >= 60
    assert size >= 25
    assert live.accessibility()["violations"] == []
    line.send("coil-2", NEXT, 2)
    live.wait(f"!{BANNER}.innerText.includes('frames')", WAIT_MS)


def test_a_daemon_that_restarts_is_seen_to_be_away_and_loses_no_defect(
    live: Browser, line: PageLine
) -> None:
    line.stop("run")
    live.wait("document.querySelector('.state').textContent === 'NO ANSWER'", WAIT_MS)
    live.wait(f"{BANNER}.innerText.includes('NOT INSPECTED')", WAIT_MS)
    line.start("run")
    line.send("coil-2", NEXT + 2, 10)
    live.wait("document.querySelector('.state').textContent !== 'NO ANSWER'", WAIT_MS)
    live.wait(f"{MAP}.model.lengthMm >= {(NEXT + 12) * 512}", WAIT_MS)
    line.wait(lambda: live.run(f"{MAP}.model.count") == len(drawn_defects(line, "coil-2")))


def test_a_server_that_is_away_is_said_so_and_the_page_goes_on_where_it_was(
    live: Browser, line: PageLine
) -> None:
    """What came meanwhile is there afterwards, without a reload."""
    live.run("globalThis.samePage = true")
    line.stop("page")
    live.wait(f"{BANNER}.innerText.includes('Not connected')", WAIT_MS)
    assert live.run("document.querySelector('.state').textContent") == "NOT CONNECTED"
    before = live.run(f"{MAP}.model.count")
    line.send("coil-2", NEXT + 12, 10)
    line.start("page")
    live.wait(f"{BANNER}.innerText === '' || !{BANNER}.innerText.includes('connected')", WAIT_MS)
    live.wait(f"{MAP}.model.lengthMm >= {(NEXT + 22) * 512}", WAIT_MS)
    line.wait(lambda: live.run(f"{MAP}.model.count") == len(drawn_defects(line, "coil-2")))
    assert live.run(f"{MAP}.model.count") > before
    assert live.run("globalThis.samePage")


@contextmanager
def pictures_of(line: PageLine) -> Iterator[sqlite3.Connection]:
    """The file of pictures, to change it."""
    path = line.folder / "journal" / "pictures.db"
    with closing(sqlite3.connect(path, 10, isolation_level=None)) as file:
        yield file


def test_a_picture_that_is_written_late_appears_by_itself(live: Browser, line: PageLine) -> None:
    """What is not written yet is said to be on its way; what is not kept is said so at once."""
    line.send("coil-2", NEXT + 22, 5, end=True)
    live.wait(f"{MAP}.model.lengthMm >= {(NEXT + 27) * 512}", WAIT_MS)
    seqs = [one.seq for one in journalled(line.folder) if isinstance(one, Defect)]
    first, newest = seqs[0], seqs[-1]
    picture = "document.querySelector('.picture')"
    with pictures_of(line) as file:
        find = "SELECT * FROM picture WHERE seq = ?"
        line.wait(lambda: len(file.execute(find, (newest,)).fetchall()) == 2)
        rows = file.execute(find, (newest,)).fetchall()
        file.execute("DELETE FROM picture WHERE seq IN (?, ?)", (first, newest))
        live.run(f"{MAP}.select({newest})")
        live.wait(f"{picture}.innerText.includes('is being written')")
        file.executemany("INSERT INTO picture VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    live.wait(f"{picture}.querySelector('canvas')?.width > 0", WAIT_MS)
    live.run(f"{MAP}.select({first})")
    live.wait(f"{picture}.innerText.includes('has been kept')")


def test_strip_without_a_coil_id_is_shown_as_it_runs(live: Browser, line: PageLine) -> None:
    """In the live view without a reload, its places counted in frames, and in the list."""
    line.send(None, 0, 12, session="u")
    live.wait(
        f"{MAP}.model.strip?.startsWith('no coil id') && {MAP}.model.lengthMm >= {12 * 512}",
        WAIT_MS,
    )
    live.run(f"{MAP}.showWhole()")
    line.send(None, 12, 8, session="u", skip=LOST)
    length_mm = (12 + LOST + 8) * 512
    live.wait(f"{MAP}.model.lengthMm === {length_mm} && {MAP}.model.isRunning", WAIT_MS)
    live.wait(f"{MAP}.window.fromMm === 0 && {MAP}.window.toMm >= {length_mm}")  # still whole
    live.wait(f"{MAP}.model.sides.every((side) => side.gaps.length === 1)", WAIT_MS)
    gap = live.run(f"{MAP}.model.sides.map(({{ gaps }}) => [gaps[0].fromMm, gaps[0].toMm])")
    assert gap == [[12 * 512, (12 + LOST) * 512]] * 2
    told = [one for one in journalled(line.folder) if isinstance(one, Defect) and not one.strip]
    expected = {one.seq: one.frame_seq * 512 + one.bbox_px[1] * 4 for one in told if one.is_whole}
    assert len(expected) > 10
    shown = f"Object.fromEntries({MAP}.model.sides.flatMap(({{ defects }}) => "
    shown += "Array.from(defects.seq.subarray(0, defects.size), (seq, i) => "
    shown += "[seq, defects.alongMm[i]])))"
    line.wait(lambda: expected.keys() <= set(map(int, live.run(shown))))
    along_mm = {int(seq): value for seq, value in live.run(shown).items()}
    assert {seq: along_mm[seq] for seq in expected} == pytest.approx(expected, abs=0.2)
    assert live.run("document.querySelector('.figure dd').textContent") == "no coil id"
    live.goto(f"{line.url}#/strips")
    live.wait("document.querySelector('tbody a')?.textContent === 'no coil id · 0 km'")
    assert f"running, {length_mm / 1000:.1f} m" in live.run(
        "document.querySelector('tbody tr').innerText"
    )
    live.click("tbody a")
    live.wait(
        f"{MAP}?.model.count > 10 && document.querySelector('h1').innerText === 'no coil id · 0 km'"
    )
    live.wait("document.body.innerText.includes('Coverage')")
    assert live.run("document.querySelectorAll('a[href*=report]').length") == 0


def test_a_defect_that_does_not_exist_is_said_so(live: Browser, line: PageLine) -> None:
    live.goto(f"{line.url}#/defects/999999")
    live.wait("document.querySelector('.note.bad')?.textContent.length > 10")
    live.goto(f"{line.url}#/strips/nowhere")
    live.wait("document.querySelector('.note.bad')?.textContent.length > 10")
