"""What operators do on the page: search, review, change thresholds."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.line.test_restart import journalled
from tests.page.browser import Browser
from tests.page.line import PageLine
from tests.page.test_map import whole_defects

from stripwatch.lab.faults.proxy import free_port

ROWS = "document.querySelectorAll('tr[data-seq]')"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _no_console_errors(browser: Browser) -> Iterator[None]:
    yield
    assert browser.errors() == []


def visit(browser: Browser, line: PageLine, address: str) -> None:
    """Open a view anew, also where it is open."""
    browser.goto(f"{line.url}#/cameras")
    browser.wait("document.title.startsWith('Cameras')")
    browser.goto(line.url + address)


def test_filters_leave_what_fits_them_and_are_kept_in_the_address(
    page: Browser, line: PageLine
) -> None:
    visit(page, line, "#/defects?strip=coil-1")
    page.wait(f"{ROWS}.length > 0")
    page.click("input[name=class][value=pits]")
    page.choose("select[name=side]", "top")
    page.fill("input[name=score_min]", "0.5")
    expected = {
        one.seq
        for one in whole_defects(line, "coil-1")
        if one.class_name == "pits" and one.side == "top" and one.score >= 0.5
    }
    assert 0 < len(expected) <= 60
    page.wait(f"{ROWS}.length === {len(expected)}")
    seqs = set(page.run(f"[...{ROWS}].map((row) => Number(row.dataset.seq))"))
    assert seqs == expected
    assert "class=pits" in page.run("location.hash")
    page.reload()
    page.wait(f"{ROWS}.length === {len(expected)}")
    page.click("button:has-text('Gallery')")
    page.wait(f"document.querySelectorAll('.gallery img').length === {len(expected)}")
    page.wait("[...document.querySelectorAll('.gallery img')].some((i) => i.naturalWidth > 0)")
    page.fill("input[name=score_min]", "1")
    page.wait("document.querySelector('[role=status].muted').textContent.startsWith('No defect')")


def test_a_strip_is_found_by_a_part_of_its_coil_id(page: Browser, line: PageLine) -> None:
    visit(page, line, "#/strips")
    page.wait("document.querySelectorAll('tbody a').length === 4")  # of two strips
    page.fill("input[type=search]", "IL-1")
    page.wait("document.querySelectorAll('tbody a').length === 2")
    assert page.run("document.querySelector('tbody a').textContent") == "coil-1"
    assert page.run("document.querySelector('.grade').textContent") == "second"
    report = page.run("fetch(document.querySelectorAll('tbody a')[1].href).then((a) => a.text())")
    assert "coil-1" in report
    page.fill("input[type=search]", "nowhere")
    page.wait("document.querySelector('td.empty')?.textContent.includes('nowhere')")


def test_two_strips_are_seen_in_the_same_window(page: Browser, line: PageLine) -> None:
    visit(page, line, "#/strips")
    page.wait("document.querySelectorAll('tbody input').length === 2")
    page.click("tbody tr:nth-child(1) input")
    page.click("tbody tr:nth-child(2) input")
    page.click("button:has-text('Compare two')")
    page.wait("location.hash === '#/compare/coil-1/coil-2'")
    maps = "[...document.querySelectorAll('strip-map')]"
    page.wait(f"{maps}.length === 2 && {maps}.every((map) => map.model.count > 0)")
    page.run(f"{maps}[0].showLength(10000)")
    first, second = page.run(f"{maps}.map((map) => map.window)")
    assert first == second
    assert round(first["toMm"] - first["fromMm"]) == 10_000


def reviews(line: PageLine) -> list[dict[str, object]]:
    """All reviews of the journal, as they were published."""
    return [
        {name: getattr(event, name) for name in ("defect_seq", "verdict", "said", "box_px", "note")}
        for event in journalled(line.folder)
        if type(event).__name__ == "Review"
    ]


def test_defects_are_judged_by_keys_one_after_the_other(page: Browser, line: PageLine) -> None:
    """R, W, a class, a corrected box, a note: each is journalled, the next defect is there."""
    visit(page, line, "#/review")
    seen: list[int] = []
    for keys in (["r"], ["w"], ["4"], ["b", "Shift+ArrowRight", "ArrowDown", "r"]):
        page.wait("document.querySelector('.picture canvas')?.width > 0")
        seq = page.wait(
            "(() => { const t = document.querySelector('.facts')?.innerText ?? '';"
            " const m = /Event\\s+(\\d+)/.exec(t);"
            f" return m && !{seen}.includes(Number(m[1])) && Number(m[1]); }})()"
        )
        seen.append(seq)
        if keys[0] == "b":
            page.press("n")
            page.run("document.activeElement.value = 'larger'")
            page.press("Enter")
        page.press(*keys)
    page.wait("document.querySelector('header [role=status].muted').textContent[0] === '4'")
    latest = {one["defect_seq"]: one for one in reviews(line)[-4:]}
    assert latest.keys() == set(seen)
    found = [latest[seq] for seq in seen]  # the page sends them side by side
    assert [one["verdict"] for one in found] == ["right", "wrong", "other", "right"]
    assert found[2]["said"] == "patches"
    assert found[3]["note"] == "larger"
    (told,) = (one for one in journalled(line.folder) if getattr(one, "seq", 0) == seen[3])
    x, y, width, height = told.bbox_px  # type: ignore[union-attr]
    assert found[3]["box_px"] == (x, y + 1, width + 1, height)


def test_what_if_counts_what_would_remain_and_changes_nothing(
    page: Browser, line: PageLine
) -> None:
    visit(page, line, "#/thresholds?strip=coil-1")
    page.wait("document.querySelectorAll('.bar').length > 4")
    areas = [one.area_px for one in whole_defects(line, "coil-1") if one.class_name == "pits"]
    limit = sorted(areas)[len(areas) // 2]
    remain = sum(area >= limit for area in areas)
    page.fill("input[name=area-pits]", str(limit))
    page.wait(
        "[...document.querySelectorAll('tr.changed td')].some((cell) => cell.textContent"
        f".startsWith('{remain} of {len(areas)}'))"
    )
    page.wait("document.querySelectorAll('.gallery li').length > 0")
    page.fill("input[name=area-pits]", "-1")
    page.wait("document.querySelector('.note.bad')?.textContent.includes('from 0')")
    assert page.run("document.querySelector('button.primary').disabled")
    assert not any(type(event).__name__ == "Threshold" for event in journalled(line.folder))


def test_a_threshold_that_is_applied_is_in_force_and_journalled(
    page: Browser, line: PageLine
) -> None:
    visit(page, line, "#/thresholds")
    page.wait("document.querySelector('.bar')")
    page.fill("input[name=threshold-cracks]", "0.7")
    page.fill("input[placeholder=why]", "customer 4711")
    page.click("button:has-text('Apply')")
    page.wait("document.querySelector('.note.ok')?.textContent.startsWith('In force')")
    event = next(e for e in journalled(line.folder) if type(e).__name__ == "Threshold")
    assert event.note == "customer 4711"  # type: ignore[union-attr]
    (row,) = (
        row
        for row in line.get("api/state")["config"]["classes"]  # type: ignore[index]
        if row["name"] == "cracks"
    )
    assert (row["threshold"], row["configured_threshold"]) == (0.7, 0.5)
    visit(page, line, "#/thresholds")
    page.wait("document.querySelector('tbody')?.textContent.includes('(configured: 0.5')")


def test_people_log_in_and_are_told_what_their_role_may_not(page: Browser, line: PageLine) -> None:
    """A server with users: the form, a wrong password, a role that only looks, and out again."""
    port = free_port()
    config = line.folder / "users.toml"
    config.write_text(
        line.config.read_text()
        .replace(f"127.0.0.1:{line.port}", f"127.0.0.1:{port}")
        .replace('local_role = "change"', 'users_file = "users.json"')
    )
    command = [sys.executable, "-m", "stripwatch", "page"]
    with_config = ["--config", str(config)]
    adding = [*command, "user", "add", "eva", "--role", "look", *with_config]
    subprocess.run(adding, input=b"correct horse\n", check=True, capture_output=True)
    with subprocess.Popen([*command, *with_config], stderr=subprocess.DEVNULL) as server:
        try:
            line.wait(lambda: is_open(port))
            page.goto(f"http://127.0.0.1:{port}/#/thresholds")
            page.wait("document.title.startsWith('Log in')")
            assert page.accessibility()["violations"] == []
            page.fill("input[name=user]", "eva")
            page.fill("input[name=password]", "wrong horse")
            page.press("Enter")
            page.wait("document.querySelector('#message').textContent.length > 5")
            page.fill("input[name=password]", "correct horse")
            page.press("Enter")
            page.wait("document.querySelector('.note')?.innerText.includes('may try')")
            page.fill("input[name=threshold-pits]", "0.9")
            page.wait("document.querySelector('tr.changed')")
            assert page.run("document.querySelector('button.primary').disabled")
            page.click("button:has-text('Log out')")
            page.wait("document.title.startsWith('Log in')")
            page.goto("about:blank")  # nothing asks the server when it ends
            refused = [error for error in page.errors() if "401" not in error]
        finally:
            server.terminate()
    assert refused == []


def is_open(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
