"""A daemon, its cameras and the page's server as processes, on the synthetic strip."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray

from stripwatch.engines.fake import PAINT
from stripwatch.engines.manifest import FakeBehaviour, Manifest, save_manifest
from stripwatch.lab.faults.proxy import free_port
from stripwatch.synthetic.roll_marks import RollMark
from stripwatch.synthetic.strip import CLASSES, SyntheticStrip
from stripwatch.testing import FakeCamera

FRAME_SHAPE = (128, 800)
MM_PER_LINE, MM_PER_PIXEL = 4.0, 1.25
SIDES = ("top", "bottom")
PACE_S = 0.02  # between frames: pictures that come faster than they are made are dropped
START_S_MAX = 40.0
CONFIG = """
[line]
frame_lines = {lines}
frame_pixels = {pixels}
mm_per_line = {mm_per_line}
mm_per_pixel = {mm_per_pixel}
[[cameras]]
name = "top"
[[cameras]]
name = "bottom"
side = "bottom"
[[inputs]]
endpoint = "ipc://{folder}/in"
pattern = "pull"
queue_frames = 500
[engine]
folder = "{engine}"
[[rolls]]
name = "work roll"
diameter_mm = [590.0, 610.0]
[grading]
rule_set = "test"
grades = ["prime", "second"]
[[grading.rules]]
name = "inspected"
measure = "not_inspected_m"
limit = 1.0
grade = "second"
[[grading.rules]]
name = "few defects"
measure = "count"
limit = {count_max}
grade = "second"
[publish]
endpoint = "ipc://{folder}/out"
[requests]
endpoint = "ipc://{folder}/requests"
[service]
drain_timeout_s = 3.0
log_format = "json"
[page]
endpoint = "127.0.0.1:{port}"
local_role = "change"
"""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a line inspects, and with what."""

    frame_shape: tuple[int, int] = FRAME_SHAPE
    mm_per_line: float = MM_PER_LINE
    mm_per_pixel: float = MM_PER_PIXEL
    engine: Path | None = None  # None: the fake engine
    count_max: int = 5  # defects of a strip of the best grade
    roll_marks: tuple[RollMark, ...] = ()  # on the top side
    defects_per_1000_lines: float = 4.0


PLAIN = Setting()


class PageLine:
    """A line with a page.

    The fake engine finds what is painted, and the strip's own ground truth is painted for it.
    """

    def __init__(self, folder: Path, setting: Setting = PLAIN) -> None:
        self.folder = folder
        self.setting = setting
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.config = folder / "config.toml"
        lines, pixels = setting.frame_shape
        self.config.write_text(
            CONFIG.format(
                folder=folder,
                port=self.port,
                lines=lines,
                pixels=pixels,
                mm_per_line=setting.mm_per_line,
                mm_per_pixel=setting.mm_per_pixel,
                engine=setting.engine or folder / "engine",
                count_max=setting.count_max,
            )
        )
        if setting.engine is None:
            manifest = Manifest(
                target="fake",
                engine_hash="0" * 64,
                builder="test",
                precision="fp32",
                frame_shape=setting.frame_shape,
                classes=CLASSES,
                fake=FakeBehaviour(),
            )
            (folder / "engine").mkdir()
            save_manifest(folder / "engine", manifest)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._context = zmq.Context()
        push = self._context.socket(zmq.PUSH)
        push.set_hwm(10_000)
        push.connect(f"ipc://{folder}/in")
        self.camera = FakeCamera(push, setting.frame_shape)
        self._strips = {
            side: SyntheticStrip(
                seed,
                setting.frame_shape,
                setting.defects_per_1000_lines,
                setting.roll_marks if side == "top" else (),
            )
            for seed, side in enumerate(SIDES, 5)
        }
        self._seqs: dict[tuple[str, str], int] = {}  # of the next frame, by session and side

    def start(self, *names: str) -> None:
        """Start `run` (the daemon) and `page`, and wait until the page answers."""
        for name in names or ("run", "page"):
            command = {"run": [str(self.config)], "page": ["--config", str(self.config)]}[name]
            with (self.folder / f"{name}.log").open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    [sys.executable, "-m", "stripwatch", name, *command],
                    stdout=log,
                    stderr=log,
                    env=os.environ | {"OMP_NUM_THREADS": "1"},
                )
        if not names or "page" in names:
            self.wait(self._answers)

    def stop(self, name: str) -> None:
        """Stop a process."""
        process = self._processes.pop(name)
        process.terminate()
        process.wait(20)

    def send(
        self,
        strip: str | None,
        first: int,
        count: int,
        *,
        end: bool = False,
        skip: int = 0,
        session: str = "s",
    ) -> None:
        """Send frames of both sides, from number `first` of the strip; `skip` are lost before.

        Without a strip they have no line either.
        """
        for side in SIDES:
            for index in range(first, first + count):
                seq = self._seqs.get((session, side), 0) + (skip if index == first else 0)
                self.camera.send(
                    side,
                    session,
                    seq,
                    self.frame(side, index),
                    strip=strip,
                    line=index * self.setting.frame_shape[0] if strip else None,
                    end=end and index == first + count - 1,
                )
                self._seqs[session, side] = seq + 1
                time.sleep(PACE_S)

    def frame(self, side: str, index: int) -> NDArray[np.uint8]:
        """A frame; for the fake engine its defects have the grey levels that it finds."""
        frame = self._strips[side].frame(index)
        if self.setting.engine:
            return frame.pixels
        pixels = np.minimum(frame.pixels, PAINT)
        for number in range(len(CLASSES)):
            pixels[(frame.mask & (1 << number)) > 0] = PAINT + number + 1
        return pixels

    def wait(self, condition: Callable[[], bool], timeout_s: float = START_S_MAX) -> None:
        """Wait until a condition holds; the error shows the logs."""
        until_s = time.monotonic() + timeout_s
        while not condition():
            logs = "\n".join(path.read_text()[-1500:] for path in self.folder.glob("*.log"))
            assert time.monotonic() < until_s, logs
            for name, process in self._processes.items():
                assert process.poll() is None, f"{name} has ended: {logs}"
            time.sleep(0.05)

    def get(self, path: str) -> object:
        """An answer of the page's server."""
        with urllib.request.urlopen(self.url + path, timeout=20) as answer:  # noqa: S310
            return msgspec.json.decode(answer.read())

    def _answers(self) -> bool:
        try:
            state = self.get("api/state")
        except OSError:
            return False
        assert isinstance(state, dict)
        return state["status"] is not None

    def close(self) -> None:
        """End everything."""
        for process in self._processes.values():
            process.kill()
            process.wait()
        self.camera.socket.close(0)
        self._context.term()


@contextmanager
def page_line(folder: Path, setting: Setting = PLAIN) -> Iterator[PageLine]:
    """A line that runs, for the length of a block."""
    line = PageLine(folder, setting)
    try:
        line.start()
        yield line
    finally:
        line.close()
