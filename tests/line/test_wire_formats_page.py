"""The sender on docs/wire-formats.md, as a camera's author would copy it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.line.conftest import DAEMON_SHAPE, Daemon

from stripwatch import Status, Subscriber
from stripwatch.engines.manifest import FakeBehaviour
from stripwatch.wire.rle import encode_coco, runs_of_mask

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


@pytest.mark.parametrize("seed", range(3))
def test_the_decoder_of_coco_counts_on_the_page_is_right(seed: int) -> None:
    """It finds the runs of masks with long and short, growing and shrinking runs."""
    (snippet,) = re.findall(r"```python\n(def coco_counts.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Callable[[str], list[int]]] = {}
    exec(snippet, names)  # noqa: S102 - it is ours
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 10 ** random.integers(1, 5, 200), dtype=np.int64)
    flat = np.repeat(np.arange(len(lengths)) % 2, lengths).astype(np.uint8)
    counts = names["coco_counts"](encode_coco(runs_of_mask(flat[:, None])))
    assert counts == lengths.tolist()
