"""`python -m stripwatch_engine` is `engine-build`."""

import sys

from stripwatch_engine.cli.main import main

sys.exit(main())
