"""What may reach the daemon's log."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import io, zlib, numpy as np
from PIL import Image
from stripwatch.config.sections import Service
from stripwatch.service.logs import set_up_logs
from stripwatch.wire.frame import BadFrame, FrameHeader, decode_image

set_up_logs(Service())
file = io.BytesIO()
Image.fromarray(np.zeros((8, 8), np.uint8)).save(file, "PNG")
huge = bytearray(file.getvalue())
huge[16:24] = (10_000).to_bytes(4, "big") * 2
huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
header = FrameHeader(
    v=1, camera="top", session="s", seq=0, t_ns=0, shape=(8, 8), dtype="u8", codec="png"
)
try:
    decode_image(header, bytes(huge))
except BadFrame:
    print("refused")
"""


def test_a_peers_image_cannot_make_pillow_write_to_the_log() -> None:
    """An image that claims 100 megapixels is refused without a warning on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("refused\n", "")
