"""`python -m stripwatch_train`, which is what torchrun starts."""

from __future__ import annotations

import sys

from stripwatch_train.cli.main import main

sys.exit(main())
