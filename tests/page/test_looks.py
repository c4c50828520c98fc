"""Themes, accessibility and the budget of the page, in a real browser."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from tests.page.browser import Browser
from tests.page.line import PageLine

# Of each view its address and what is there when it has loaded.
VIEWS = {
    "live": ("#/", "tr[data-seq]"),
    "line": ("#/line", ".chart .uplot"),
    "defects": ("#/defects", "tr[data-seq]"),
    "gallery": ("#/defects?as=gallery", ".gallery img"),
    "strips": ("#/strips", "tbody a"),
    "strip": ("#/strips/coil-1", "tr[data-seq]"),
    "compare": ("#/compare/coil-1/coil-2", "th[scope=row]"),
    "review": ("#/review", ".picture canvas"),
    "thresholds": ("#/thresholds", ".bar"),
    "cameras": ("#/cameras", ".cameras h2"),
    "nothing": ("#/no-such-view", ".empty a"),
}
FIRST_REQUESTS_MAX = 45
FIRST_BYTES_MAX = 200_000  # of files; data is extra
STAGES_MAX = 9  # of files that wait for files

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _no_console_errors(browser: Browser) -> Iterator[None]:
    yield
    assert browser.errors() == []


def show(browser: Browser, line: PageLine, view: str) -> None:
    address, there = VIEWS[view]
    browser.goto(line.url + address)
    browser.wait(f"document.querySelector({there!r})")


def test_no_view_breaks_a_rule_of_accessibility(browser: Browser, line: PageLine) -> None:
    """All rules of axe in the dark theme; in the light one those that colours can break."""
    browser.open("dark")
    for view in VIEWS:
        show(browser, line, view)
        found = browser.accessibility()
        assert found["violations"] == [], view
        assert found["passes"] > 15, view
        browser.run("document.documentElement.toggleTheme()")
        assert browser.accessibility("color-contrast") == {"passes": 1, "violations": []}, view
        browser.run("document.documentElement.toggleTheme()")


def test_the_theme_follows_the_system_and_can_be_changed(browser: Browser, line: PageLine) -> None:
    """Also over a reload."""
    grounds = {}
    for scheme in ("dark", "light"):
        browser.open(scheme)
        show(browser, line, "live")
        assert browser.run("document.documentElement.dataset.theme") == scheme
        grounds[scheme] = browser.run("getComputedStyle(document.body).backgroundColor")
    assert grounds["dark"] != grounds["light"]
    browser.click("button[title='Dark or light']")
    assert browser.run("getComputedStyle(document.body).backgroundColor") == grounds["dark"]
    show(browser, line, "live")
    browser.reload()
    assert browser.run("document.documentElement.dataset.theme") == "dark"


def test_the_first_view_keeps_to_its_budget(browser: Browser, line: PageLine) -> None:
    """Few requests, few bytes."""
    browser.open()
    show(browser, line, "live")
    files = [one for one in browser.traffic() if one["path"] == "/" or "/static/" in one["path"]]
    files = [
        one for one in files if one["path"] != "/static/icon.svg"
    ]  # the tab's, asked for apart
    paths = Counter(one["path"] for one in files)
    assert [path for path, count in paths.items() if count > 1] == [], "asked for twice"
    assert 10 < len(files) <= FIRST_REQUESTS_MAX
    assert 20_000 < sum(one["bytes"] for one in files) <= FIRST_BYTES_MAX


def test_something_is_painted_before_any_data_has_come(browser: Browser, line: PageLine) -> None:
    """The data is held back until then."""
    browser.open()
    browser.hold("/api/state")
    browser.goto(line.url)
    browser.wait("performance.getEntriesByName('first-contentful-paint').length")
    assert "Loading the line" in browser.run("document.body.innerText")
    assert not browser.run("document.querySelector('tr[data-seq]')")
    browser.release()
    browser.wait("document.querySelector('tr[data-seq]')")


def test_nothing_is_cut_off_at_the_side(browser: Browser, line: PageLine) -> None:
    """No view scrolls sideways, from a small screen to a large one."""
    browser.open()
    for view in VIEWS:
        show(browser, line, view)
        for width in (1024, 1366, 1920):
            browser.resize(width, 800)
            browser.run("new Promise((done) => requestAnimationFrame(done))")
            excess = browser.run("document.documentElement.scrollWidth - innerWidth")
            assert excess <= 0, (view, width)
