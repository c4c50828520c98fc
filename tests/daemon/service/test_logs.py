"""What may reach the daemon's log."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from stripwatch.errors import ExitCode

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


OF_LEVELS = """
import structlog
from stripwatch.config.sections import Service
from stripwatch.service.logs import set_log_level, set_up_logs

stream = set_up_logs(Service(log_format=FORMAT, log_level="debug"))
log = structlog.get_logger()
log.debug("a")
log.info("b", text="two\\nlines")
log.warning("c")
log.error("d")
set_log_level("error")
log.warning("not any more")
log.error("e")
stream.close()
"""


def logged(format_: str, *, to_journal: bool) -> list[str]:
    """The lines of a process whose standard error is, or is not, that of $JOURNAL_STREAM."""
    reading, writing = os.pipe()
    status = os.fstat(writing)
    inode = status.st_ino if to_journal else status.st_ino + 1
    environment = os.environ | {"JOURNAL_STREAM": f"{status.st_dev}:{inode}"}
    script = OF_LEVELS.replace("FORMAT", repr(format_))
    try:
        subprocess.run([sys.executable, "-c", script], stderr=writing, check=True, env=environment)
    finally:
        os.close(writing)
    with os.fdopen(reading) as lines:
        return lines.read().splitlines()


def test_the_journal_is_given_priorities() -> None:
    """Each line begins with one of syslog, and is one JSON object without it."""
    lines = logged("json", to_journal=True)
    assert [line[:3] for line in lines] == ["<7>", "<6>", "<4>", "<3>", "<3>"]
    assert [json.loads(line[3:])["event"] for line in lines] == ["a", "b", "c", "d", "e"]


def test_other_files_get_lines_without_priorities() -> None:
    """$JOURNAL_STREAM may be there although standard error was sent elsewhere."""
    lines = logged("json", to_journal=False)
    assert [json.loads(line)["level"] for line in lines] == [
        *("debug", "info", "warning", "error", "error")
    ]


def test_the_log_level_can_be_changed_while_loggers_exist() -> None:
    """What was made before the change follows it."""
    assert not any("not any more" in line for line in logged("console", to_journal=False))


def test_the_last_words_of_a_process_are_an_error_to_the_journal() -> None:
    reading, writing = os.pipe()
    status = os.fstat(writing)
    environment = os.environ | {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
    command = [sys.executable, "-m", "stripwatch", "run", "/nowhere/config.toml"]
    try:
        done = subprocess.run(command, stderr=writing, check=False, env=environment)
    finally:
        os.close(writing)
    with os.fdopen(reading) as lines:
        assert lines.read().startswith("<3>error: /nowhere/config.toml")
    assert done.returncode == ExitCode.CONFIG
