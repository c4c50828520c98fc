"""A journal's figures as text."""

from __future__ import annotations

from datetime import datetime

from stripwatch.journal.summary import CameraSummary, ReaderSummary, Summary


def summary_text(summary: Summary) -> str:
    """One line for each figure, camera and reader."""
    rows = [
        f"{summary.folder}: journal of schema {summary.schema}",
        f"  stream   {summary.stream}, begun {time_text(summary.created_ns)}",
        f"  events   {_events(summary)}",
        *(f"    {name:<13} {count}" for name, count in (summary.types or {}).items()),
        f"  size     {_megabytes(summary.used_bytes)} used of {_megabytes(summary.file_bytes)}",
        *(f"  camera   {_camera(camera)}" for camera in summary.cameras),
        *(f"  reader   {_reader(reader)}" for reader in summary.readers),
    ]
    return "\n".join(rows) + "\n"


def time_text(t_ns: int) -> str:
    """A time on this machine's clock, with its zone, to the second."""
    return datetime.fromtimestamp(t_ns / 1e9).astimezone().isoformat(" ", "seconds")


def _events(summary: Summary) -> str:
    if summary.first_t_ns is None or summary.last_t_ns is None:
        return "none"
    return (
        f"{summary.first_seq} to {summary.last_seq}, "
        f"{time_text(summary.first_t_ns)} to {time_text(summary.last_t_ns)}"
    )


def _camera(camera: CameraSummary) -> str:
    missed = ", ".join(f"{cause} {count}" for cause, count in camera.missed.items() if count)
    return (
        f"{camera.camera}: session {camera.session}, frames {camera.first_frame_seq} to "
        f"{camera.last_frame_seq}, {camera.inspected} inspected, missed: {missed or 'none'}; "
        f"booked {time_text(camera.t_ns)}; {camera.sessions} sessions"
    )


def _reader(reader: ReaderSummary) -> str:
    if reader.behind is None:
        lag = "its position is of another journal"
    elif reader.behind:
        lag = f"{reader.behind} events behind"
    else:
        lag = "up to date"
    return f"{reader.reader}: read up to {reader.seq}, {time_text(reader.t_ns)}; {lag}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
