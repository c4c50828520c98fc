"""Rules that no linter knows: sizes of functions, files and lines, and no swallowed exceptions."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.gpu_simulation.checksum import is_tested

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("daemon", "engine_build", "train")
FILES = sorted(path for folder in (*PACKAGES, "tests") for path in (ROOT / folder).rglob("*.py"))
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 300
FILE_LINES_MEDIAN_MAX = 130
TEST_FILE_LINES_MAX = 450
MARKDOWN_COLUMNS_MAX = 120


PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_fits_the_house_rules(path: Path) -> None:
    """Short files of short functions that swallow no exception and hide no `__del__`."""
    is_test = path.is_relative_to(ROOT / "tests")
    length = len(path.read_text().splitlines())
    assert length <= (TEST_FILE_LINES_MAX if is_test else FILE_LINES_MAX)
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} has {lines} lines"
            assert node.name != "__del__", "close explicitly"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}: bare except"
            assert not all(isinstance(step, ast.Pass) for step in node.body), (
                f"line {node.lineno}: an exception is swallowed"
            )


def test_the_median_file_of_the_packages_is_short() -> None:
    lengths = [
        len(path.read_text().splitlines())
        for path in FILES
        if not path.is_relative_to(ROOT / "tests")
    ]
    assert statistics.median(lengths) <= FILE_LINES_MEDIAN_MAX


def long_lines(page: Path) -> list[int]:
    """Numbers of the lines that are too long; tables, code and link targets do not count."""
    found, in_code = [], False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        in_code ^= line.lstrip().startswith("```")
        text = re.sub(r"\]\([^)]*\)|https?://\S+", "", line)
        is_text = not in_code and not text.lstrip().startswith("|")
        if is_text and len(text) > MARKDOWN_COLUMNS_MAX:
            found.append(number)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_lines_of_a_page_are_short(page: Path) -> None:
    """Lines end where a sentence or a clause does, so that a diff shows what has changed."""
    assert long_lines(page) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_what_it_is_for(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_the_simulated_gpu_is_tested_as_it_is() -> None:
    """Its own tests run only when it changes; this one notices that it has (ADR 11)."""
    assert is_tested(), (
        "tests/gpu_simulation has changed since its tests last passed: run "
        "`make test-simulation` and commit tests/gpu_simulation/tested.sha256"
    )
