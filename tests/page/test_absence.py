"""What the page shows when something is away, and that it loses nothing meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.page.browser import Browser
from tests.page.conftest import LOST, PART
from tests.page.line import PageLine
from tests.page.test_map import MAP, READY, drawn_defects

BANNER = "document.querySelector('#banner')"
WAIT_MS = 40_000
NEXT = 2 * PART + LOST

pytestmark = pytest.mark.slow


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


def test_a_defect_that_does_not_exist_is_said_so(live: Browser, line: PageLine) -> None:
    live.goto(f"{line.url}#/defects/999999")
    live.wait("document.querySelector('.note.bad')?.textContent.length > 10")
    live.goto(f"{line.url}#/strips/nowhere")
    live.wait("document.querySelector('.note.bad')?.textContent.length > 10")
