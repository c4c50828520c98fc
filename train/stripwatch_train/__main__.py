"""`python -m stripwatch_train` and the command `stripwatch-train`; torchrun starts the first."""

from __future__ import annotations

import sys

from stripwatch.service.start import loading


def main() -> int:
    """Load the command line, run it and return its exit code."""
    with loading():
        from stripwatch_train.cli.main import main as run
    return run()


if __name__ == "__main__":
    sys.exit(main())
