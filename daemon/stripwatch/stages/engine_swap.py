"""Hot-swap: an engine is loaded beside the one that runs, and takes its place between two batches.

    loader thread:  load, warm up ....... loaded        close the old one -> over
    engine thread:  batch  batch  batch   take  batch (new engine) ...

Nothing stops meanwhile: the engine thread checks once per batch whether the new engine is warm.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence

from stripwatch.engines.base import Engine, EngineFactory, Frames
from stripwatch.errors import DeviceError
from stripwatch.inspect.model import Model


class Swap:
    """One hot-swap, from the request until the old engine is closed.

    Any thread may wait for `over` and then read `error`.
    """

    def __init__(self, model: Model, factory: EngineFactory) -> None:
        """Ask for an engine that runs `model` and is made by `factory`."""
        self.model, self.factory = model, factory
        self.over = threading.Event()  # it succeeded, failed, or was refused
        self.error: Exception | None = None  # why the old engine stays
        self._engine: Engine | None = None
        self._loaded = threading.Event()  # or failed
        self._retired: queue.SimpleQueue[Engine] = queue.SimpleQueue()

    def refuse(self, reason: str) -> None:
        """Engine thread: end the swap before it has begun."""
        self.error = DeviceError(reason)
        self.over.set()

    def start(self, frames: Sequence[Frames], beside: Engine) -> None:
        """Engine thread: load the new engine on all slots' memory, beside the one that runs."""

        def load() -> None:
            self._run(frames, beside)

        threading.Thread(target=load, name="engine-loader", daemon=True).start()

    def take(self) -> Engine | None:
        """Engine thread: the new engine once it is warm; it is handed out one time."""
        if not self._loaded.is_set():
            return None
        engine, self._engine = self._engine, None
        return engine

    def retire(self, engine: Engine) -> None:
        """Engine thread: the old engine is idle; the loader thread closes it."""
        self._retired.put(engine)

    def abandon(self, reason: str, timeout_s: float) -> bool:
        """Engine thread: give the new engine up; False while it cannot be stopped from loading."""
        if not self._loaded.wait(timeout_s):
            return False
        engine = self.take()
        if engine is not None:
            self.error = DeviceError(reason)
            self.retire(engine)
        return True

    def _run(self, frames: Sequence[Frames], beside: Engine) -> None:
        try:
            self._engine = self.factory(frames, beside)
        except Exception as error:  # noqa: BLE001 - whatever it is, inspection continues
            self.error = error
        del beside  # the old engine may be freed when it is closed
        self._loaded.set()
        try:
            if self.error is None:
                self._retired.get().close()
        finally:
            self.over.set()
