"""The logger that TensorRT writes to, with the TensorRT-RTX package that is installed; no GPU."""

from __future__ import annotations

import subprocess
import sys
import threading
from types import ModuleType
from typing import Any

from structlog.testing import capture_logs

from stripwatch.engines.trt_log import CHARACTERS_MAX, ERRORS_KEPT, make_logger


class Base:
    """ILogger, as much of it as the logger uses."""

    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


def logger() -> Any:
    """That of a library of its own."""
    library = ModuleType("tensorrt")
    vars(library)["ILogger"] = Base
    return make_logger(library)


def test_errors_are_kept_and_warnings_are_logged() -> None:
    """The last errors in one line, cut; a warning at once; nothing of what is merely said."""
    log = logger()
    assert log.summary() == "it gives no reason"
    with capture_logs() as logged:
        for number in range(ERRORS_KEPT + 2):
            log.log(Base.ERROR, f"error {number}\nmore of it")
        log.log(Base.WARNING, "  a driver is old\n")
        log.log(Base.INFO, "said")
        log.log(Base.INTERNAL_ERROR, "x" * 1000)
        log.log(Base.ERROR, "")
    assert log.summary() == f"error 4; error 5; error 6; {'x' * CHARACTERS_MAX}; "
    assert [(entry["library"], entry["reason"]) for entry in logged] == [
        ("tensorrt", "a driver is old")
    ]
    log.clear()
    assert log.summary() == "it gives no reason"


def test_any_thread_may_write_while_another_reads() -> None:
    """TensorRT writes from threads of its own."""
    log, over = logger(), threading.Event()

    def write() -> None:
        while not over.is_set():
            log.log(Base.ERROR, "error")

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(2000):
        assert log.summary()
    over.set()
    for thread in threads:
        thread.join()


SWAP = """
import gc
import tensorrt_rtx as trt
from stripwatch.engines.trt_log import make_logger

first = trt.Runtime(make_logger(trt))
second = trt.Runtime(make_logger(trt))   # a hot-swap: loaded beside the first,
del first                                # which is closed then
gc.collect()
filler = [bytearray(200) for _ in range(10_000)]
try:
    trt.get_plugin_registry().load_library("/no/such/library.so")  # writes to the first logger
except Exception:
    pass
print(make_logger(trt).summary()[:300])
"""


def test_a_message_to_no_engine_survives_the_engine_that_came_first() -> None:
    """With a logger for each engine the real library crashed here, after every hot-swap."""
    done = subprocess.run(
        [sys.executable, "-c", SWAP], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "no/such/library" in done.stdout
