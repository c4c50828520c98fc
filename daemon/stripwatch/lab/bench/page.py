"""What the operator's page costs the line: rates with the page open in three browsers, and without.

A browser is a process that reads the event stream and asks for what the page shows. It stands for
one on another computer, so it gives way here as the page does: what is measured is the cost of the
page and the daemon. What each has received is counted; a reading of one that starved counts for
nothing.
"""

from __future__ import annotations

import http.client
import multiprocessing
import os
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http import HTTPStatus
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any

import msgspec

from stripwatch.config.page import Page
from stripwatch.config.sections import Config
from stripwatch.config.toml import config_toml
from stripwatch.engines.base import EngineFactory
from stripwatch.errors import StripwatchError
from stripwatch.inspect.model import Model
from stripwatch.lab.bench.canned import canned_factory
from stripwatch.lab.bench.feed import SEED, feed_process, make_frames
from stripwatch.lab.bench.figures import Figures, goal_row, ratio_figures
from stripwatch.lab.bench.harness import BenchSetup, bench_config, frames_per_s, running_config
from stripwatch.lab.bench.load_monitor import process_cpu_s
from stripwatch.lab.bench.measure import DENSE, as_segmentation
from stripwatch.lab.demo import free_port
from stripwatch.lab.processes import Process, command_process
from stripwatch.service.priority import give_way
from stripwatch.synthetic import CLASSES

ROUNDS = 5  # of without, with and without
BROWSERS = 3
SHARE = 0.3  # of defective frames
GOAL = 0.95
ASK_S = 2.0  # between two questions of a browser
ASKED = ("/api/state", "/api/charts?span=minute", "/api/defects?limit=100")
START_S_MAX = 60.0
STOP_S = 10.0
PORT = 8360

_Count = Any  # ctypes' c_longlong in memory that processes share


class _Received:
    """What a browser has received; counted in its process, read in ours."""

    def __init__(self, context: SpawnContext) -> None:
        self.events = context.Value("q", 0, lock=False)
        self.answers = context.Value("q", 0, lock=False)


def page_cost(
    setup: BenchSetup,
    engine: tuple[Model, EngineFactory] | None = None,
    rounds: int = ROUNDS,
) -> Figures:
    """Frames per second with the page open over without it.

    Args:
        setup: of the bench.
        engine: model and factory of a real engine; None: one that costs nothing and finds defects
            in a share of the frames, so that the daemon's own capacity is measured.
        rounds: of without, with and without.
    """
    frames = make_frames(SEED, setup.frame_shape, DENSE)
    pixels = [frame.pixels for frame in frames]
    found = [as_segmentation(frame) for frame in frames if frame.mask.any()]
    model, factory = engine or (Model("canned", CLASSES), canned_factory(found, SHARE))
    rates: dict[bool, list[float]] = {False: [], True: []}
    shares: list[float] = []  # of a core, that the page's process uses
    events: list[int] = []  # of each browser in each reading
    answers: list[int] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="stripwatch-") as folder, ExitStack() as stack:
            config = bench_config(setup, folder)
            pipeline = stack.enter_context(running_config(config, model, factory))
            stack.enter_context(feed_process(setup.frames_at, pixels))
            frames_per_s(pipeline, 0)  # until frames flow
            # Before and after, as a daemon's rate changes in its first seconds.
            without = [frames_per_s(pipeline, setup.seconds)]
            with _open_page(config, Path(folder)) as (page, browsers):
                before = [one.events.value for one in browsers]
                before_s, began_s = process_cpu_s(page.pid), time.monotonic()
                rates[True].append(frames_per_s(pipeline, setup.seconds))
                taken_s = time.monotonic() - began_s
                shares.append((process_cpu_s(page.pid) - before_s) / taken_s)
                events += [
                    one.events.value - count for one, count in zip(browsers, before, strict=True)
                ]
                answers += [one.answers.value for one in browsers]
            without.append(frames_per_s(pipeline, setup.seconds))
            rates[False].append(statistics.mean(without))
    figures = ratio_figures(
        "without_page_frames_per_s", rates[False], "with_page_frames_per_s", rates[True]
    )
    starved = sum(not (read and asked) for read, asked in zip(events, answers, strict=True))
    told = f"{figures['ratio']}"
    if starved:
        told += f"; {starved} of {len(events)} browsers received nothing"
    return {
        "engine": "real" if engine else "costs nothing",
        "browsers": BROWSERS,
        "page_percent_of_a_core": round(100 * statistics.median(shares), 1),
        "events_of_a_browser": f"{min(events)} to {max(events)} in a reading",
        "answers_of_a_browser": f"{min(answers)} to {max(answers)} in a reading",
        "browsers_that_received_nothing": starved,
        **figures,
        "goals": [
            goal_row(
                setup.rows,
                f"page open in {BROWSERS} browsers, over without",
                f">= {GOAL:g}",
                told,
                met=not starved and float(str(figures["ratio"])) >= GOAL,
            )
        ],
    }


@contextmanager
def _open_page(config: Config, folder: Path) -> Iterator[tuple[Process, list[_Received]]]:
    """The page's process, and what browsers that look at it receive.

    Raises:
        StripwatchError: it does not open.
    """
    page = Page(endpoint=f"127.0.0.1:{free_port(PORT)}")
    path = folder / "config.toml"
    engine = msgspec.structs.replace(config.engine, folder="engine")  # that it does not look at
    path.write_text(config_toml(msgspec.structs.replace(config, page=page, engine=engine)))
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        command = ["page", "--config", str(path)]
        log = folder / "page.log"
        process = stack.enter_context(command_process("stripwatch", command, STOP_S, log))
        _wait_for(page.url)
        received = [_Received(context) for _ in range(BROWSERS)]
        for one in received:
            arguments = (page.address, one.events, one.answers)
            browser = context.Process(target=_browse, args=arguments, daemon=True)
            browser.start()
            stack.callback(browser.join)
            stack.callback(browser.terminate)
        _wait_for(page.url, lookers=BROWSERS)
        yield process, received


def _wait_for(url: str, lookers: int = 0) -> None:
    until_s = time.monotonic() + START_S_MAX
    while time.monotonic() < until_s:
        try:
            with urllib.request.urlopen(f"{url}api/state", timeout=10) as answer:  # noqa: S310
                if msgspec.json.decode(answer.read())["lookers"] >= lookers:
                    return
        except OSError:
            time.sleep(0.1)
    raise StripwatchError(f"the page at {url} did not open in {START_S_MAX:g} s")


def _browse(address: tuple[str, int], events: _Count, answers: _Count) -> None:
    """Read the event stream, and ask for what a page shows."""
    with (
        closing(http.client.HTTPConnection(*address, timeout=60)) as stream,
        closing(http.client.HTTPConnection(*address, timeout=60)) as client,
    ):
        stream.request("GET", "/api/events")
        lines = stream.getresponse()
        # Only now: beside a busy engine it would hardly start.
        os.setsid()
        give_way()
        due_s = time.monotonic()
        while line := lines.readline():
            events.value += line.startswith(b"data:")
            if time.monotonic() >= due_s:
                due_s = time.monotonic() + ASK_S
                for path in ASKED:
                    client.request("GET", path)
                    answer = client.getresponse()
                    answer.read()
                    answers.value += answer.status == HTTPStatus.OK
