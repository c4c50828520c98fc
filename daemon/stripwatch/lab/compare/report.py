"""The differences of two runs, printed."""

from __future__ import annotations

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stripwatch.lab.compare.event_diff import Comparison, format_difference, summary_rows

COLOURS = {"missing": "red", "new": "yellow", "changed": "cyan"}


def comparison_json(comparison: Comparison) -> bytes:
    """The differences and the table of counts as one JSON object."""
    before, after = comparison.models
    columns = ("event", "expected", "found", "missing", "new", "changed")
    content = {
        "differences": [
            {
                "kind": entry.kind,
                "event": entry.event,
                "changes": {
                    field: {"expected": old, "found": new} for field, old, new in entry.changes
                },
            }
            for entry in comparison.differences
        ],
        "counts": [dict(zip(columns, row, strict=True)) for row in summary_rows(comparison)],
        "models": {"expected": before, "found": after},
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2)


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print the differences, one a line, and a table of counts."""
    for difference in comparison.differences:
        line = Text(format_difference(difference), style=COLOURS[difference.kind])
        console.print(line, soft_wrap=True)
    before, after = comparison.models
    if before and after and before != after:
        console.print(f"model {', '.join(before)} -> {', '.join(after)}", soft_wrap=True)
    table = Table("event")
    for heading in ("expected", "found", "missing", "new", "changed"):
        table.add_column(heading, justify="right")
    for name, *numbers in summary_rows(comparison):
        table.add_row(name, *map(str, numbers))
    console.print(table)
    count = len(comparison.differences)
    console.print(f"{count} difference{'s' * (count > 1)}" if count else "no differences")
