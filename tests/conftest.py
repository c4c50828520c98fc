"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("stripwatch", deadline=None, print_blob=True)
settings.load_profile("stripwatch")


@pytest.fixture
def shared_data() -> Path:
    """The folder of real frames beside the project, where there is one."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real frames here")
    return folder
