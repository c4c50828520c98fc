"""Numbers for the events of batches: what is journalled, and what is to be published after it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from stripwatch.inspect.inspector import DefectiveFrame
from stripwatch.journal.records import Transaction, event_record
from stripwatch.outputs.pictures import View
from stripwatch.stages.batches import Batch
from stripwatch.wire.event import FrameResult, Status, build_event, with_number


@dataclass(frozen=True, slots=True)
class NumberedView:
    """What the picture of a defect is made from."""

    seq: int  # of its defect
    view: View


Message = list[bytes] | DefectiveFrame | NumberedView


def number_events(
    batches: Sequence[Batch], transaction: Transaction, end: tuple[str, int]
) -> list[Message]:
    """Number the events of these batches; fills in `transaction.events` and the tickets.

    Args:
        batches: in order.
        transaction: that writes them.
        end: of the journal: its stream, and the number of its newest event.

    Returns:
        What is to be published, in order.
    """
    stream, seq = end
    t_ns = time.time_ns()
    messages: list[Message] = []
    transaction.events.clear()
    for batch in batches:
        for output in batch.outputs:
            match output:
                case DefectiveFrame():
                    messages.append(output)
                case View():  # of the defect before it
                    messages.append(NumberedView(seq, output))
                case Status() | FrameResult():
                    messages.append(build_event(output))
                case _:
                    seq += 1
                    event = with_number(output, stream, seq)
                    topic, payload = message = build_event(event)
                    messages.append(message)
                    transaction.events.append(event_record(event, topic, payload, t_ns))
        if batch.ticket:
            batch.ticket.seq = seq
    return messages
