"""What the demo has received so far: a live table, and a summary."""

from __future__ import annotations

import json
from collections import Counter, deque
from pathlib import Path

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from stripwatch.client.messages import FrameImage, Item
from stripwatch.view.event_text import event_heading, format_event
from stripwatch.view.overlay_writer import OverlayWriter
from stripwatch.wire.event import Defect, Gap, Periodic, Status, StripEnd

OVERLAYS_FOLDER, SUMMARY_NAME = "overlays", "summary.json"  # in the output folder
LINES_SHOWN = 12


class DemoView:
    """Everything received so far, as a live table and as a summary."""

    def __init__(self, output: Path, frames_expected: int) -> None:
        self._output = output
        self.frames_expected = frames_expected
        self.overlays = OverlayWriter(output / OVERLAYS_FOLDER)
        self.defects: Counter[str] = Counter()
        self.gaps = 0
        self.roll_marks: set[str] = set()
        self.grade: str | None = None  # of the latest verdict
        self.status: Status | None = None
        self._lines: deque[Text] = deque(maxlen=LINES_SHOWN)
        self._latency: dict[str, float] = {}  # largest p99 of each stage, ms

    def add(self, event: Item) -> None:
        """Add one event or image."""
        match event:
            case FrameImage():
                self.overlays.add_image(event)
                return
            case Status():
                self.status = event
                for stage, row in event.latency_ms.items():
                    self._latency[stage] = max(self._latency.get(stage, 0), row["p99"])
                return
            case Defect():
                self.overlays.add_defect(event)
                self.defects[event.class_name] += 1
            case Gap():
                self.gaps += 1
            case Periodic():
                self.roll_marks.add(event.mark)
            case StripEnd() if event.verdict:
                self.grade = event.verdict.grade
        self._lines.append(format_event(event))

    def accounted(self) -> int:
        """Count of frames that were inspected, or missed for a named cause."""
        if self.status is None:
            return 0
        return sum(
            camera.inspected + sum(camera.missed.values())
            for camera in self.status.cameras.values()
        )

    def __rich__(self) -> Group:
        status = self.status
        head = Text("waiting for frames")
        if status:
            total = status.latency_ms.get("total", {})
            head = Text(
                f"{status.state}   {status.frames_per_s:.1f} frames/s   "
                f"{status.frames_inspected} of {self.frames_expected} inspected   "
                f"{sum(status.drops.values())} missed   "
                f"latency p50 {total.get('p50', 0):.0f} ms, p99 {total.get('p99', 0):.0f} ms"
            )
        counts = "   ".join(f"{name} {count}" for name, count in sorted(self.defects.items()))
        return Group(
            Panel(head, title="stripwatch", title_align="left"),
            Panel(
                Group(event_heading(), *self._lines), title=f"events   {counts}", title_align="left"
            ),
        )

    def summary(self) -> dict[str, object]:
        """The figures of the run."""
        assert self.status is not None
        return {
            "frames_sent": self.frames_expected,
            "frames_inspected": self.status.frames_inspected,
            "drops": dict(self.status.drops),
            "defects": dict(sorted(self.defects.items())),
            "gaps": self.gaps,
            "roll_marks": len(self.roll_marks),
            "grade": self.grade,
            "overlays": self.overlays.written,
            "latency_p99_ms": self._latency,
            "model": self.status.model,
        }

    def write_summary(self) -> None:
        """Write summary.json."""
        path = self._output / SUMMARY_NAME
        path.write_text(json.dumps(self.summary(), indent=2) + "\n")

    def summary_table(self) -> Table:
        """The summary as a table to print."""
        table = Table("demo", "", title_justify="left")
        for name, value in self.summary().items():
            shown = value
            if isinstance(value, dict):
                shown = ", ".join(f"{key} {number}" for key, number in value.items()) or "none"
            table.add_row(name.replace("_", " "), str(shown))
        return table
