"""The differences of two runs, printed."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stripwatch.lab.compare.event_diff import Comparison, format_difference, summary_rows

COLOURS = {"missing": "red", "new": "yellow", "changed": "cyan"}


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
