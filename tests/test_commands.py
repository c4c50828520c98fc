"""The commands as a user types them, and the README as a user reads it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from stripwatch.cli.main import main
from stripwatch.cli.main import make_parser as stripwatch_parser
from stripwatch.errors import ExitCode
from stripwatch.testing import fake_line
from stripwatch_engine.cli.flags import make_parser as build_parser
from stripwatch_train.cli.main import make_parser as train_parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "models" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
PARSERS = {
    "stripwatch": stripwatch_parser,
    "stripwatch-train": train_parser,
    "engine-build": build_parser,
}
COMMANDS = (
    *("run", "init", "check", "reload", "demo", "replay", "record", "events", "journal"),
    *("grade", "report", "audit", "camera", "forward", "keys", "bench"),
)


def run(*arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stripwatch", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == ExitCode.OK
    assert len(capsys.readouterr().out) > 200
    with pytest.raises(SystemExit) as caught:
        main([command, "--no-such-flag"])
    assert caught.value.code == ExitCode.USAGE


@pytest.mark.slow
def test_the_demo_runs_a_whole_line_and_ends_by_itself(tmp_path: Path) -> None:
    """Every frame is accounted for, defects are found, overlays and a summary are left."""
    done = run("demo", "--output", str(tmp_path), "--duration", "3", "--rate", "5")
    assert done.returncode == ExitCode.OK, done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    missed = sum(summary["drops"].values())
    assert summary["frames_sent"] == 30 == summary["frames_inspected"] + missed
    assert missed >= 8  # four of each camera are lost on purpose
    assert sum(summary["defects"].values()) > 0
    overlays = sorted((tmp_path / "overlays").glob("*.png"))
    assert len(overlays) == summary["overlays"] > 0
    picture = cv2.imread(str(overlays[0]))
    assert picture is not None
    assert picture.shape[1] == 1600
    assert np.ptp(picture.astype(int).max(axis=2) - picture.min(axis=2)) > 0, "no colour drawn"
    assert "demo-7" in (tmp_path / "report.html").read_text()
    assert summary["grade"] in ("prime", "second")
    # What it left can be used by hand.
    assert run("check", str(tmp_path / "config.toml")).returncode == ExitCode.OK


def test_a_demo_that_cannot_write_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = run("demo", "--output", str(tmp_path / "file"))
    assert done.returncode == ExitCode.STORAGE
    assert "file" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_bench_prints_ratios_and_writes_json(tmp_path: Path) -> None:
    """Figures are there and are figures; their size is not tested."""
    path = tmp_path / "bench.json"
    parts = [word for name in ("transport", "inspect", "memory") for word in ("--only", name)]
    done = run("bench", *parts, "--seconds", "0.2", "--memory-frames", "400", "--json", str(path))
    assert done.returncode == ExitCode.OK, done.stderr
    figures = json.loads(path.read_text())
    assert set(figures) == {"machine", "transport", "inspect", "memory"}
    assert figures["transport"]["ratio"] > 0
    assert figures["inspect"]["frames_per_s_per_core"] > 0
    assert figures["memory"]["frames"] >= 400
    assert "growth mb" in done.stdout


def test_bench_needs_an_engine_for_the_end_to_end_part() -> None:
    done = run("bench")
    assert done.returncode == ExitCode.CONFIG
    assert "--engine" in done.stderr
    assert "engine-build" in done.stderr


def test_the_readmes_subscriber_works() -> None:
    """Its twenty lines, on a running line, print a defect and a gap."""
    text = (ROOT / "README.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(snippet.splitlines()) <= 20
    pixels = np.zeros((8, 32), np.uint8)
    pixels[2, 3:9] = 252
    with fake_line() as line:
        snippet = snippet.replace("tcp://127.0.0.1:5551", line.events_endpoint)
        snippet = snippet.replace("tcp://127.0.0.1:5552", line.requests_endpoint)
        with subprocess.Popen(
            [sys.executable, "-u", "-c", snippet], stdout=subprocess.PIPE, text=True
        ) as subscriber:
            assert subscriber.stdout
            line.wait(line.has_readers)
            line.camera.send("top", "s", 0, pixels)
            line.camera.send("top", "s", 2)
            printed = [subscriber.stdout.readline() for _ in range(2)]
            subscriber.terminate()
    assert printed == [
        "top: kind1 of 6.0 x 1.0 mm, 6.0 mm from the left edge\n",
        "top: 1 frames not inspected: lost\n",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_can_be_typed(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its flags and arguments exist; what it would do is tested elsewhere."""
    blocks = "".join(
        re.findall(r"^```(?:sh|bash)?\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    )
    for line in blocks.replace("\\\n", " ").splitlines():
        found = re.match(r"(?:[A-Z_]+=\S+ )*(stripwatch|stripwatch-train|engine-build) (.*)", line)
        if not found:
            continue
        words = shlex.split(found[2], comments=True)
        words = words[: words.index(">")] if ">" in words else words
        try:
            parser = PARSERS[found[1]]()
            is_build = found[1] == "engine-build"  # whose models may stand between flags
            (parser.parse_intermixed_args if is_build else parser.parse_args)(words)
        except SystemExit as wrong:
            assert wrong.code == ExitCode.OK, f"{line}: {capsys.readouterr().err}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_readme_leads_to_every_page() -> None:
    """Directly, or through the pages that it links to."""
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        waiting += [(page.parent / target).resolve() for target in targets]
    records = ROOT / "docs" / "adr"  # the index links to their folder
    assert [page for page in PAGES if page not in reached and page.parent != records] == []


def test_every_anchor_of_a_link_exists() -> None:
    """As hosts of Git repositories make anchors from headings."""
    anchors = {
        page: {
            re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
        }
        for page in PAGES
    }
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
            named = (page.parent / target).resolve() if target else page
            assert anchor in anchors.get(named, {anchor}), f"{page}: {target}#{anchor}"


def test_every_key_of_the_configuration_is_documented() -> None:
    documented = (ROOT / "docs" / "configuration.md").read_text()
    for row in (ROOT / "config.toml").read_text().splitlines():
        key = re.match(r"#? ?([a-z_]+) = ", row)
        if key:
            assert f".{key[1]}`" in documented, key[1]
