"""`python -m stripwatch` and the command `stripwatch`."""

from __future__ import annotations

import sys

from stripwatch.service.start import loading


def main() -> int:
    """Load the command line, run it and return its exit code."""
    with loading():
        from stripwatch.cli.main import main as run
        from stripwatch.service.exits import leave
    return leave(run())


if __name__ == "__main__":
    sys.exit(main())
