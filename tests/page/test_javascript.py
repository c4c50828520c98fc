"""The page's own files: their unit tests, their size, and what they may not ask for."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

STATIC = Path(str(files("stripwatch"))) / "page" / "static"
UNIT = Path(__file__).parent / "unit"
OWN = sorted(
    path
    for folder in (STATIC, Path(__file__).parent)
    for path in folder.rglob("*")
    if path.suffix in {".js", ".mjs", ".css", ".html"} and "vendor" not in path.parts
)
MODULES = [path for path in OWN if path.suffix in {".js", ".mjs"}]
FILE_LINES_MAX = 300
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
UPLOT = "1.6.32"
SHIPPED_BYTES_MAX = 320_000  # of all views, uPlot included


def test_the_modules_do_what_their_tests_say() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here: apt-get install nodejs")
    done = subprocess.run(
        [node, "--test", str(UNIT)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert int(re.findall(r"^# pass (\d+)", done.stdout, re.MULTILINE)[0]) >= 16


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_a_file_of_the_page_fits_the_house_rules(path: Path) -> None:
    """Short files of short lines; each module begins with what it is for."""
    text = path.read_text()
    lines = text.splitlines()
    assert len(lines) <= FILE_LINES_MAX
    assert [number for number, line in enumerate(lines, 1) if len(line) > COLUMNS_MAX] == []
    if path in MODULES:
        assert text.startswith("/*")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_the_functions_of_a_module_are_short(path: Path) -> None:
    """A function ends where a brace closes at the column where its line began."""
    begun: dict[str, int] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        indent = re.match(r" *", line)
        assert indent is not None
        if re.match(r" *(export )?(async )?(function\*? )?[\w$]*\(.*\{$", line):
            begun[indent[0]] = number
        if line.startswith(indent[0] + "}") and indent[0] in begun:
            assert number - begun.pop(indent[0]) < FUNCTION_LINES_MAX, f"line {number}"


@pytest.mark.parametrize("path", sorted(STATIC.rglob("*.*")), ids=lambda path: path.name)
def test_no_file_names_a_foreign_host(path: Path) -> None:
    """The page works without the internet, and asks nobody but its own server."""
    text = path.read_text()
    hosts = set(re.findall(r"https?://([\w.-]+)", text)) - {"www.w3.org"}  # names of XML
    assert hosts <= ({"github.com"} if "vendor" in path.parts else set())


def test_the_page_has_no_script_or_style_inside_of_its_html() -> None:
    """The policy that the server sends forbids them."""
    for path in STATIC.glob("*.html"):
        text = path.read_text()
        assert re.findall(r"<script(?![^>]*\bsrc=)", text) == []
        assert "<style" not in text
        assert " style=" not in text
        assert re.findall(r"\son\w+=", text) == []


def test_what_is_asked_for_is_there() -> None:
    """Imports, style sheets and pictures of the page name files that exist."""
    for path in OWN:
        if not path.is_relative_to(STATIC):
            continue
        text = path.read_text()
        named = re.findall(r"""(?:from|import) ?\(?["'](\.[^"']+)["']""", text)
        missing = [name for name in named if not (path.parent / name).resolve().is_file()]
        absolute = re.findall(r"""["']/static/([^"']+)["']""", text)
        missing += [name for name in absolute if not (STATIC / name).is_file()]
        assert missing == [], path


def test_the_whole_page_is_small() -> None:
    sizes = {path: path.stat().st_size for path in STATIC.rglob("*.*")}
    assert sum(sizes.values()) <= SHIPPED_BYTES_MAX


def test_uplot_comes_with_its_licence_and_version() -> None:
    folder = STATIC / "vendor" / "uplot"
    assert "MIT" in (folder / "LICENSE").read_text()
    assert UPLOT in (folder / "uPlot.iife.min.js").read_text()[:200]
