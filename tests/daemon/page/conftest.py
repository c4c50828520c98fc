"""The page's application without a network, on a journal that a test has written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient
from tests.daemon.inspect.grading.strips import CONFIG

from stripwatch.config.page import Page
from stripwatch.config.sections import Config, JournalSection
from stripwatch.page.application import make_application

OPEN = Page(local_role="change")

Opened = Callable[..., AbstractContextManager[TestClient]]


@contextmanager
def opened_page(
    config: Config, folder: Path, page: Page = OPEN, address: str = "127.0.0.1"
) -> Iterator[TestClient]:
    """A client of the page of a configuration, with two files in place of those that ship."""
    static = folder / "static"
    static.mkdir(exist_ok=True)
    (static / "index.html").write_text("the page")
    (static / "login.html").write_text("log in")
    application = make_application(msgspec.structs.replace(config, page=page), static)
    with TestClient(
        application.serve, base_url="http://127.0.0.1:8350", client=(address, 50_000)
    ) as client:
        yield client


@pytest.fixture
def journal_config(tmp_path: Path) -> Config:
    """The configuration of made strips, with a journal that a test may write."""
    section = JournalSection(folder=str(tmp_path / "journal"))
    return msgspec.structs.replace(CONFIG, journal=section)


@pytest.fixture
def opened(tmp_path: Path, journal_config: Config) -> Opened:
    """Opens the page of that journal."""

    def open_it(
        page: Page = OPEN, config: Config = journal_config, **changes: Any
    ) -> AbstractContextManager[TestClient]:
        return opened_page(config, tmp_path, page, **changes)

    return open_it
