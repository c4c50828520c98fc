"""The sender on docs/wire-formats.md, as a camera's author would copy it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.line.conftest import DAEMON_SHAPE, Daemon

from stripwatch import Status, Subscriber
from stripwatch.engines.manifest import FakeBehaviour

PAGE = Path(__file__).resolve().parents[2] / "docs" / "wire-formats.md"
FRAMES = 20


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon whose frames arrive on a SUB socket."""
    daemon = Daemon(tmp_path, pattern="sub")
    daemon.make_engine(FakeBehaviour())
    yield daemon
    daemon.close()


def test_the_sender_on_the_page_loses_no_frame(daemon: Daemon) -> None:
    """From the first frame to the last: it waits for the subscription and for the last bytes."""
    snippet = re.findall(r"```python\n(import json.*?)```", PAGE.read_text(), re.DOTALL)[0]
    snippet = snippet.replace("tcp://127.0.0.1:5550", f"ipc://{daemon.folder}/in")
    frames = f"import numpy as np\nframes = [np.zeros({DAEMON_SHAPE}, np.uint8)] * {FRAMES}\n"
    daemon.start()
    daemon.wait_for("READY=1")
    with Subscriber(f"ipc://{daemon.folder}/out", ("status",)) as events:
        subprocess.run([sys.executable, "-c", frames + snippet], check=True, timeout=60)
        while True:
            status = events.receive(20)
            assert isinstance(status, Status), status
            camera = status.cameras.get("top")
            if camera and camera.last_frame_seq == FRAMES - 1:
                break
    assert (camera.first_frame_seq, camera.inspected, camera.missed) == (0, FRAMES, {})
