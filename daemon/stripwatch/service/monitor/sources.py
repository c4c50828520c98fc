"""What metrics and health are read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stripwatch.outputs.images import Images
from stripwatch.outputs.pictures import Pictures
from stripwatch.service.status import Telemetry
from stripwatch.stages.decode import Decoders
from stripwatch.stages.engine_loop import EngineLoop
from stripwatch.stages.heartbeat import Heartbeat
from stripwatch.stages.outbox import Outbox
from stripwatch.stages.slots import SlotRing


@dataclass(frozen=True)
class Sources:
    """The parts of a pipeline; what is read of them, any thread may read."""

    beats: Mapping[str, Heartbeat]  # by thread
    ring: SlotRing
    decoders: Decoders
    engine_loop: EngineLoop
    outbox: Outbox
    images: Images
    pictures: Pictures
    telemetry: Telemetry
    journal_folder: Path

    def silent_threads(self) -> dict[str, float]:
        """Threads that have been silent for longer than they may, and for how long, in s.

        While the engine is being loaded the others have not begun.
        """
        beats = dict(self.beats)
        if not self.engine_loop.ready.is_set():
            beats = {"engine": beats["engine"]}
        return {name: beat.silent_s for name, beat in beats.items() if beat.is_late()}
