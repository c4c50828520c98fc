"""`python -m stripwatch_engine` and the command `engine-build`."""

from __future__ import annotations

import sys

from stripwatch.service.start import loading


def main() -> int:
    """Load the command line, run it and return its exit code."""
    with loading():
        from stripwatch_engine.cli.main import main as run
    return run()


if __name__ == "__main__":
    sys.exit(main())
