"""A browser for each file of tests, and one line for all of them that leave it as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.page.browser import Browser, chromium
from tests.page.line import PageLine, page_line
from tests.programs import NotHere

FRAMES = 80  # of the first strip: 41 m
PART = 20  # of the second: so many, then as many are lost as `LOST` says, then as many again
LOST = 4


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium; skips where there is none and none can be installed."""
    try:
        with chromium() as browser:
            yield browser
    except NotHere as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def page(line: PageLine, browser: Browser) -> Browser:
    """The browser with the live view open. Tests go from view to view, as people do."""
    browser.open()
    browser.goto(line.url)
    return browser


@pytest.fixture(scope="session")
def shared_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageLine]:
    """A line whose strip coil-1 has ended and whose strip coil-2 runs."""
    with started_line(tmp_path_factory.mktemp("line")) as line:
        yield line


@pytest.fixture(scope="module")
def line(browser: Browser, request: pytest.FixtureRequest) -> PageLine:
    """The same. Needs a browser: without one nothing need be started."""
    del browser
    line = request.getfixturevalue("shared_line")
    assert isinstance(line, PageLine)
    return line


@contextmanager
def started_line(folder: Path) -> Iterator[PageLine]:
    """A line, when all that has been sent is inspected."""
    with page_line(folder) as line:
        line.send("coil-1", 0, FRAMES, end=True)
        line.send("coil-2", 0, PART)
        line.send("coil-2", PART + LOST, PART, skip=LOST)
        line.wait(lambda: _has_both(line))
        yield line


def _has_both(line: PageLine) -> bool:
    state = line.get("api/state")
    strips = line.get("api/strips")
    assert isinstance(state, dict)
    assert isinstance(strips, dict)
    cameras = state["status"]["cameras"]
    done = [camera["inspected"] for camera in cameras.values()]
    names = [strip["strip"] for strip in strips["strips"]]
    return done == [FRAMES + 2 * PART] * 2 and names == ["coil-2", "coil-1"]
