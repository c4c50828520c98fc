"""The deliver thread: results to defects, defects to numbered events, events to subscribers."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.config import Config
from stripwatch.engines.base import BatchResult
from stripwatch.inspect.coverage import Entry, Ledger, Miss, Row, misses_of_rows
from stripwatch.inspect.defects import Finding, classes_of_frame, find_defects
from stripwatch.inspect.events import EventNumber, StripReport, defect_event, gap_event
from stripwatch.inspect.model import Model
from stripwatch.inspect.seams import SeamJoiner
from stripwatch.outputs.publish import Publisher
from stripwatch.stages.heartbeat import Heartbeat
from stripwatch.stages.latency import LatencyWindow
from stripwatch.stages.slots import Slot, SlotRing
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import FrameResult
from stripwatch.wire.frame import FrameHeader

STATUS_PERIOD_S = 1.0
IDLE_S = 0.2  # longest wait for a slot, so that the heartbeat goes on


class Deliverer:
    """Owns the event numbers and the state of every camera's strip."""

    def __init__(
        self,
        config: Config,
        ring: SlotRing,
        publisher: Publisher,
        heartbeat: Heartbeat,
    ) -> None:
        self._config = config
        self._ring = ring
        self._publisher = publisher
        self._heartbeat = heartbeat
        self.stream = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        self.last_event_seq = 0
        self.ledger = Ledger()
        self.latency = LatencyWindow()
        self._cameras = {camera.name: camera for camera in config.cameras}
        self._seams = {camera.name: SeamJoiner() for camera in config.cameras}
        self._strips: dict[str, StripReport] = {}

    def run(self, tick: Callable[[], None]) -> None:
        """Deliver until the engine closes the ring; call `tick` once a second."""
        cv2.setNumThreads(1)  # the cores belong to the engine
        next_tick_s = time.monotonic() + STATUS_PERIOD_S
        while not self._ring.done_closed:
            self._heartbeat.beat()
            self._publisher.read_subscriptions()
            left_s = next_tick_s - time.monotonic()
            slot = self._ring.take_done(max(0, min(left_s, IDLE_S)))
            if slot is not None:
                self._deliver(slot)
                self._ring.release(slot)
            if time.monotonic() >= next_tick_s:
                tick()
                next_tick_s += STATUS_PERIOD_S
        tick()

    def _deliver(self, slot: Slot) -> None:
        """Book and publish everything that a slot carries, in the order in which it happened."""
        result = slot.result
        entries: Sequence[Entry] = slot.entries
        if result is None:
            entries = misses_of_rows(entries, Cause.ENGINE_ERROR)
        for entry in entries:
            if isinstance(entry, Miss):
                self._miss(entry)
            elif result is not None:
                self._frame(entry, slot, result)

    def _miss(self, miss: Miss) -> None:
        self.ledger.book_miss(miss)
        self._follow_strip(miss.camera, miss.strip, miss.session, miss.first_seq, miss.t_ns)
        report = self._strips.get(miss.camera)
        # Frames lost between two strips may belong to either; they count for the open one.
        strip = report.strip if report else miss.strip
        self._publisher.send(gap_event(miss, strip, self._config.line, self._number()))
        if report:
            report.add_miss(miss, self._config.line.frame_lines)
            if miss.end:
                self._end_strip(miss.camera)

    def _frame(self, row: Row, slot: Slot, result: BatchResult) -> None:
        header = row.header
        self.ledger.book_row(header)
        self._follow_strip(header.camera, header.strip, header.session, header.seq, header.t_ns)
        lines, model = header.shape[0], slot.model
        assert model is not None
        findings = find_defects(
            result.mask[row.row, :lines],
            result.prob[row.row, :, :lines],
            result.area[row.row],
            classes_of_frame(model.classes, model.raised_classes, result.absent[row.row]),
            self._config.inspect.defects_max,
        )
        inspected_ns = time.monotonic_ns()
        self._publish(header, findings, slot.frames[row.row, :lines], model)
        if self._config.publish.frame_results:
            self._frame_result(row, result, findings)
        report = self._strips.get(header.camera)
        if report:
            report.add_frame(header, findings)
            if header.end:
                self._end_strip(header.camera)
        self._time(row, slot, inspected_ns)

    def _publish(
        self,
        header: FrameHeader,
        findings: list[Finding],
        pixels: NDArray[np.uint8],
        model: Model,
    ) -> None:
        camera = self._cameras[header.camera]
        names = self._seams[header.camera].join(header, findings)
        for finding, name in zip(findings, names, strict=True):
            number = self._number()
            line = self._config.line
            event = defect_event(finding, header, camera, line, name, model.name, number)
            self._publisher.send(event)
        if findings:
            self._publisher.send_image(header, pixels)

    def _frame_result(self, row: Row, result: BatchResult, findings: list[Finding]) -> None:
        header = row.header
        self._publisher.send(
            FrameResult(
                camera=header.camera,
                session=header.session,
                frame_seq=header.seq,
                strip=header.strip,
                t_ns=header.t_ns,
                area_px=tuple(int(area) for area in result.area[row.row]),
                peak=tuple(round(float(peak), 4) for peak in result.peak[row.row]),
                defects=len(findings),
            )
        )

    def _follow_strip(
        self, camera: str, strip: str | None, session: str, seq: int, t_ns: int
    ) -> None:
        """Open and close strips as their names change; frames without a name change nothing."""
        report = self._strips.get(camera)
        if strip is None or (report and report.strip == strip):
            return
        if report:
            self._end_strip(camera)
        self._strips[camera] = report = StripReport(strip, session, seq, t_ns)
        self._publisher.send(report.start(camera, self._number()))

    def _end_strip(self, camera: str) -> None:
        report = self._strips.pop(camera)
        self._publisher.send(report.end(camera, self._config.line, self._number()))

    def _number(self) -> EventNumber:
        self.last_event_seq = next(self._numbers)
        return EventNumber(self.stream, self.last_event_seq)

    def _time(self, row: Row, slot: Slot, inspected_ns: int) -> None:
        now_ns = time.monotonic_ns()
        stages_ns = (
            slot.submitted_ns - row.received_ns,
            slot.done_ns - slot.submitted_ns,
            inspected_ns - slot.done_ns,
            now_ns - inspected_ns,
            now_ns - row.received_ns,
        )
        *stages_ms, since_receipt_ms = (stage_ns / 1e6 for stage_ns in stages_ns)
        self.latency.add((row.receive_ms, *stages_ms, row.receive_ms + since_receipt_ms))
