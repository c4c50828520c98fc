"""What frames need is there before the first of them."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import io, sys, time
import numpy as np
from PIL import Image
from stripwatch.testing import fake_line
from stripwatch.wire.frame import FrameHeader, build_frame

noise = np.random.default_rng(0).integers(240, 256, (256, 600)).astype(np.uint8)
images = {}
for codec in ("png", "jpeg"):
    file = io.BytesIO()
    Image.fromarray(noise).save(file, codec)
    images[codec] = file.getvalue()
with fake_line(frame_shape=noise.shape) as line:
    line.events.clear()
    before = set(sys.modules)
    for seq in range(12):
        codec = ("raw", "png", "jpeg")[seq % 3]
        payload = noise.tobytes() if codec == "raw" else images[codec]
        header = FrameHeader(
            v=1, camera="top", session="s", seq=2 * seq, t_ns=time.time_ns(), shape=noise.shape,
            dtype="u8", codec=codec, strip=f"c{seq // 4}", line=256 * seq, end=seq % 4 == 3,
        )
        line.camera.socket.send_multipart(build_frame(header, payload[: -5 if seq > 8 else None]))
        line.camera.socket.send_multipart([b"frame.top", b"{"])
    line.camera.send("top", "s", 24, codec="gif")
    line.camera.send("top", "s", 25, strip="", t_ns=1.0)
    line.wait_for_frame("top", "s", 25)
    line.wait(lambda: line.pipeline.telemetry.latest is not None)
    time.sleep(1.2)
    late = sorted(set(sys.modules) - before)
assert not late, late
"""


def test_no_frame_makes_the_daemon_import_anything() -> None:
    """Later an import may fail, for example where file descriptors are used up."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
