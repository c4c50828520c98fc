"""`python -m stripwatch`: the same as the `stripwatch` command."""

import sys

from stripwatch.cli.main import main

sys.exit(main())
