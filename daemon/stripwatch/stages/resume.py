"""Where the daemon before this one stopped: its sessions and strips go on."""

from __future__ import annotations

from pathlib import Path

from stripwatch.inspect.grading.live import LiveGrades
from stripwatch.inspect.inspector import Inspector
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.store import Past
from stripwatch.journal.strips import strip_events
from stripwatch.stages.receive import Receiver


def resume(past: Past, receiver: Receiver, inspector: Inspector) -> None:
    """Continue the sessions and the open strips of the cameras that are still there."""
    trackers = receiver.arrivals.trackers
    for record in past.coverage:
        if record.camera in trackers:
            account = record.account
            trackers[record.camera].resume(
                account.session, account.last_seq, record.strip, record.line_end
            )
    for camera, state in past.open_strips.items():
        if camera in trackers:
            inspector.resume(camera, state)


def resume_grades(past: Past, grades: LiveGrades, folder: Path) -> None:
    """Read what is known of the open strips from the journal in a folder.

    Raises:
        StorageError: it cannot be read.
    """
    latest = {record.camera: record.strip for record in past.coverage}  # the oldest first
    open_strips = {latest.get(camera) for camera in past.open_strips}
    with JournalReader(folder) as reader:
        for strip in filter(None, open_strips):
            events = (event for event, _ in strip_events(reader, strip))
            grades.resume(strip, events)
