"""The deliver thread: a slot's results to events, events to the outbox."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import cv2

from stripwatch.config.sections import Config
from stripwatch.inspect.coverage import Miss, joined, misses_of_rows
from stripwatch.inspect.grading.live import LiveGrades
from stripwatch.inspect.inspector import DefectiveFrame, Inspector, Output
from stripwatch.outputs.images import Images
from stripwatch.outputs.pictures import Pictures, View
from stripwatch.outputs.publish import Publisher
from stripwatch.stages.batches import Batch
from stripwatch.stages.follow import Follow
from stripwatch.stages.heartbeat import Heartbeat
from stripwatch.stages.outbox import Outbox
from stripwatch.stages.slots import Slot, SlotRing
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import Defect

IDLE_S = 0.2  # longest wait for a slot, so that the heartbeat continues


class Deliverer:
    """Inspects the slots that the engine has finished, and gives their memory back."""

    def __init__(
        self,
        config: Config,
        ring: SlotRing,
        outbox: Outbox,
        publisher: Publisher,
        images: Images,
        pictures: Pictures,
        heartbeat: Heartbeat,
    ) -> None:
        self._ring = ring
        self._outbox = outbox
        self._publisher = publisher
        self._images = images
        self._pictures = pictures
        self._heartbeat = heartbeat
        self.inspector = Inspector(config)
        self.grades = LiveGrades(config)

    def run(self) -> None:
        """Deliver until the engine closes the ring."""
        cv2.setNumThreads(1)  # the cores belong to the engine
        try:
            while not self._ring.done_closed:
                self._heartbeat.beat()
                slot = self._ring.take_done(IDLE_S)
                if slot is not None:
                    change = slot.change
                    batch = self._follow(change) if change else self._inspect(slot)
                    self._outbox.put(batch, self._heartbeat.beat)
                    self._ring.release(slot)
                    if change:
                        change.over.set()
        finally:
            self._outbox.close()
            self._ring.break_off()

    def _follow(self, change: Follow) -> Batch:
        """The ends of strips under cameras that are there no more."""
        outputs, open_strips = self.inspector.follow(change.config)
        graded = [self.grades.follow(one) for one in outputs]
        self.grades.begin_with(change.config)
        return Batch(graded, (), open_strips, inspected_ns=time.monotonic_ns())

    def _inspect(self, slot: Slot) -> Batch:
        """Everything that a slot has come to, in order; nothing in it is memory of the slot."""
        entries = joined(slot.entries)  # images that could not be decoded have become misses
        if slot.result is None:
            entries = misses_of_rows(entries, Cause.ENGINE_ERROR)
        outputs: list[Output | View] = []
        for of_entry in self.inspector.slot_outputs(entries, slot.frames, slot.result, slot.model):
            self._heartbeat.beat()
            graded = [
                one if isinstance(one, DefectiveFrame) else self.grades.follow(one)
                for one in of_entry
            ]
            outputs += self._with_copies(graded)
        cameras = {
            entry.camera if isinstance(entry, Miss) else entry.header.camera for entry in entries
        }
        return Batch(
            outputs,
            entries,
            self.inspector.open_strips(cameras),
            submitted_ns=slot.submitted_ns,
            done_ns=slot.done_ns,
            inspected_ns=time.monotonic_ns(),
        )

    def _with_copies(self, outputs: Sequence[Output]) -> Iterator[Output | View]:
        """The outputs of an entry with copies of the pixels that others need after the slot."""
        frame = next((one for one in outputs if isinstance(one, DefectiveFrame)), None)
        for output in outputs:
            if isinstance(output, DefectiveFrame):
                if output.header.camera in self._publisher.image_cameras:
                    copy = self._images.copy(output)
                    if copy is not None:
                        yield copy
                continue
            yield output
            if isinstance(output, Defect) and frame is not None:
                view = self._pictures.view(output, frame.pixels)
                if view is not None:
                    yield view
