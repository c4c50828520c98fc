"""The outbox: the one place where events get their numbers and leave the daemon."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from stripwatch.inspect.inspector import DefectiveFrame, Output
from stripwatch.outputs.publish import Publisher
from stripwatch.wire.event import FrameResult, Status, with_number


class Outbox:
    """Numbers events and publishes them, in order; belongs to one thread after it was made."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self.stream = uuid.uuid4().hex  # the numbers are contiguous in it
        self.last_seq = 0  # of the event published last

    def send(self, outputs: Iterable[Output]) -> None:
        """Number the journalled events among these outputs, and publish all of them."""
        for output in outputs:
            match output:
                case DefectiveFrame(header, pixels):
                    self._publisher.send_image(header, pixels)
                case Status() | FrameResult():
                    self._publisher.send(output)
                case _:
                    self.last_seq += 1
                    self._publisher.send(with_number(output, self.stream, self.last_seq))
