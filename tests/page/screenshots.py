"""Pictures of the page for the documents: `make screenshots`.

The shipped model inspects the synthetic strip: one that has ended, and one that runs, with a gap
and the marks of a roll.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from PIL import Image
from tests.page.browser import Browser, chromium
from tests.page.line import PageLine, Setting, page_line
from zmq import ZMQError

from stripwatch.resources import resource_path
from stripwatch.synthetic.roll_marks import RollMark

SIZE = (1600, 1000)
SHAPE, MM_PER_LINE, MM_PER_PIXEL = (256, 1600), 0.5, 0.625
FRAMES_PER_S = 8.0  # of a camera, where this computer is quick enough
AHEAD = 6  # frames sent and not inspected yet, at most
ENDED, RUNNING = "4711-1", "4711-2"
ENDED_FRAMES, GAP_AT, LOST = 260, 90, 12
MAP = "document.querySelector('strip-map')"
LARGEST = (
    "(() => { const m = document.querySelector('strip-map').model; let best = [0, 0];"
    " for (const { defects } of m.sides) for (let i = 0; i < defects.size; i += 1) {"
    " if (defects.areaMm2[i] > best[0]) best = [defects.areaMm2[i], defects.seq[i]]; }"
    " return best[1]; })()"
)
TRY_A_LARGER_AREA = (
    "(() => { const field = document.querySelector('input[name=area-pits]'); field.value = 150;"
    " field.dispatchEvent(new Event('input')); })()"
)
# Name, address, what must be there, what is done then.
VIEWS = (
    ("live", "#/", "tr[data-seq]", f"{MAP}.setFollowing(true)"),
    ("line", "#/line", ".chart .uplot", "0"),
    ("defects", "#/defects", "tr[data-seq]", "document.querySelector('tr[data-seq]').click()"),
    ("gallery", "#/defects?as=gallery", ".gallery img", "0"),
    ("strips", "#/strips", "tbody a", "0"),
    ("strip", f"#/strips/{ENDED}", "tr[data-seq]", f"{MAP}.select({LARGEST})"),
    ("compare", f"#/compare/{ENDED}/{RUNNING}", "th[scope=row]", "0"),
    ("review", f"#/review?strip={ENDED}", ".picture canvas", "0"),
    ("thresholds", f"#/thresholds?strip={ENDED}", ".bar", TRY_A_LARGER_AREA),
    ("cameras", "#/cameras", ".cameras img:not([hidden])", "0"),
)


def main() -> None:
    """Write the pictures of all views, or of some, in one or both themes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--views", nargs="*", default=[name for name, *_ in VIEWS])
    parser.add_argument("--themes", nargs="*", default=["dark", "light"])
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engine = folder / "openvino"
        command = [sys.executable, "-m", "stripwatch_engine"]
        command += [str(resource_path("models/edge/model.onnx")), "--output", str(engine)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        setting = Setting(
            frame_shape=SHAPE,
            mm_per_line=MM_PER_LINE,
            mm_per_pixel=MM_PER_PIXEL,
            engine=engine,
            count_max=100,
            roll_marks=(RollMark(1885 / MM_PER_LINE, 400 / MM_PER_PIXEL),),
            defects_per_1000_lines=3.0,
        )
        with page_line(folder, setting) as line, chromium() as browser:
            _run_line(line)
            for theme in given.themes:
                _pictures(browser, line, theme, given.views, given.folder)


def _run_line(line: PageLine) -> None:
    """One whole strip at once; then a second one at a steady pace, in the background."""
    line.send(ENDED, 0, ENDED_FRAMES, end=True)
    line.wait(lambda: _inspected(line) == 2 * ENDED_FRAMES, 300)

    def send() -> None:
        for index in range(10_000):
            if GAP_AT <= index < GAP_AT + LOST:
                continue
            line.send(RUNNING, index, 1, skip=LOST if index == GAP_AT + LOST else 0)
            sent = 2 * (ENDED_FRAMES + index - LOST * (index > GAP_AT))
            while sent - _inspected(line) > AHEAD:
                time.sleep(0.1)
            time.sleep(1 / FRAMES_PER_S)

    def send_until_the_end() -> None:
        with suppress(ZMQError, OSError):  # the line is closed under it
            send()

    threading.Thread(target=send_until_the_end, daemon=True).start()
    line.wait(lambda: _inspected(line) > 2 * (ENDED_FRAMES + 2 * GAP_AT), 300)


def _inspected(line: PageLine) -> int:
    state = line.get("api/state")
    assert isinstance(state, dict)
    return sum(camera["inspected"] for camera in state["status"]["cameras"].values())


def _pictures(browser: Browser, line: PageLine, theme: str, views: list[str], folder: Path) -> None:
    browser.open(theme, *SIZE)
    for name, address, there, action in VIEWS:
        if name not in views:
            continue
        browser.goto(line.url + address)
        browser.wait(f"document.querySelector({there!r})", 30_000)
        time.sleep(1.5)  # tables and pictures that come after the first answer
        browser.run(action)
        if name == "live":
            browser.run(f"{MAP}.select({LARGEST}, false); {MAP}.showLength(20000)")
            browser.wait("document.querySelector('.picture canvas')", 30_000)
        time.sleep(1.5)
        path = folder / f"page-{name}-{theme}.png"
        browser.screenshot(path)
        Image.open(path).convert("RGB").save(path, optimize=True)
        print(path)


if __name__ == "__main__":
    main()
