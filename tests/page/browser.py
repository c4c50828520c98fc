"""A headless Chromium for tests and screenshots, driven through Node.js (driver.mjs)."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.programs import NotHere, find_program

FOLDER = Path(__file__).parent
PACKAGES = FOLDER / "package.json"
INSTALLED = FOLDER.parents[1] / "build" / ".page-tests"
INSTALL_S_MAX = 120


def node_packages() -> Path:
    """The folder with what package.json names, installed once into build/.

    Raises:
        NotHere: there is no npm, or it cannot install.
    """
    wanted = PACKAGES.read_bytes()
    kept = INSTALLED / PACKAGES.name
    if kept.exists() and kept.read_bytes() == wanted and (INSTALLED / "node_modules").is_dir():
        return INSTALLED
    npm = find_program("npm", "npm")
    INSTALLED.parent.mkdir(exist_ok=True)
    # Tests run in several processes: each installs aside, and the first one is kept.
    with tempfile.TemporaryDirectory(dir=INSTALLED.parent) as name:
        folder = Path(name) / "packages"
        folder.mkdir()
        (folder / PACKAGES.name).write_bytes(wanted)
        installed = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"],
            cwd=folder,
            capture_output=True,
            check=False,
            timeout=INSTALL_S_MAX,
        )
        if installed.returncode:
            raise NotHere(f"npm cannot install {PACKAGES}: {installed.stderr[-300:]!r}")
        if kept.exists() and kept.read_bytes() != wanted:
            INSTALLED.rename(Path(name) / "old")
        if not INSTALLED.exists():
            folder.rename(INSTALLED)
    return INSTALLED


class Browser:
    """One page of a headless Chromium. Every method waits until it is done."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def _ask(self, do: str, **given: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **given}).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the browser's driver has ended"
        answer = json.loads(line)
        assert "error" not in answer, f"{do} {given}: {answer['error']}"
        return answer["ok"]

    def open(self, scheme: str = "dark", width: int = 1600, height: int = 1000) -> None:
        """A fresh page: no cookies, nothing stored; `scheme` is what the system prefers."""
        self._ask("open", scheme=scheme, width=width, height=height)

    def goto(self, url: str) -> None:
        """Go to an address and wait until it is loaded."""
        self._ask("goto", url=url)

    def resize(self, width: int, height: int) -> None:
        """Change the size of the window."""
        self._ask("resize", width=width, height=height)

    def hold(self, path: str) -> None:
        """Let requests for a path wait, until `release`; in the page that is open."""
        self._ask("hold", path=path)

    def release(self) -> None:
        """Let the requests go on that were held."""
        self._ask("release")

    def reload(self) -> None:
        """Load the page again."""
        self._ask("reload")

    def run(self, code: str) -> Any:
        """The value of an expression of JavaScript, evaluated in the page."""
        return self._ask("run", code=code)

    def wait(self, code: str, timeout_ms: int = 30_000) -> Any:
        """Wait until an expression is true; its value."""
        return self._ask("wait", code=code, timeout_ms=timeout_ms)

    def click(self, selector: str) -> None:
        """Click the first element that matches."""
        self._ask("click", selector=selector)

    def click_at(self, selector: str, x: float, y: float) -> None:
        """Click a place of an element, px from its corner."""
        self._ask("click_at", selector=selector, x=x, y=y)

    def fill(self, selector: str, text: str) -> None:
        """Replace the text of a field."""
        self._ask("fill", selector=selector, text=text)

    def choose(self, selector: str, value: str) -> None:
        """Choose an option of a select."""
        self._ask("choose", selector=selector, value=value)

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self._ask("press", key=key)

    def screenshot(self, path: Path) -> None:
        """What is seen, as PNG."""
        self._ask("screenshot", path=str(path))

    def errors(self) -> list[str]:
        """Errors and warnings of the console since the last call."""
        return list(self._ask("errors"))

    def traffic(self) -> list[dict[str, Any]]:
        """Path and bytes of every answer since `open`."""
        return list(self._ask("traffic"))

    def accessibility(self, *rules: str) -> dict[str, Any]:
        """What axe finds: how many rules pass, and `violations`; without names all rules."""
        return dict(self._ask("axe", rules=list(rules) or None))


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser for the length of a block.

    Raises:
        NotHere: Node.js, Chromium or the packages are not here.
    """
    node, browser = find_program("node", "nodejs"), find_program("chromium", "chromium")
    process = subprocess.Popen(
        [node, str(FOLDER / "driver.mjs"), str(node_packages()), browser],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield Browser(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()  # the driver ends the browser, and itself
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()
