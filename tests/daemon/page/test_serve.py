"""Why the page does not start, in one sentence each."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import msgspec
import pytest

from stripwatch.config.page import Page
from stripwatch.config.sections import Config
from stripwatch.errors import AddressError, ConfigError
from stripwatch.page.serve import serve
from stripwatch.service.sdnotify import Notifier


def start(config: Config, page: Page) -> None:
    serve(msgspec.structs.replace(config, page=page), threading.Event(), Notifier(None))


def test_an_address_that_is_taken(journal_config: Config) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(AddressError, match="cannot be bound"):
            start(journal_config, Page(endpoint=f"127.0.0.1:{port}"))
    with pytest.raises(AddressError, match="cannot be bound"):
        start(journal_config, Page(endpoint="192.0.2.1:8350", users_file=None))


def test_certificates_that_are_none(journal_config: Config, tmp_path: Path) -> None:
    """A file that is missing, and one that holds something else."""
    cert = tmp_path / "page.pem"
    page = Page(endpoint="127.0.0.1:8350", cert_file=str(cert))
    with pytest.raises(ConfigError, match=r"page\.cert_file .*No such file"):
        start(journal_config, page)
    cert.write_text("no certificate")
    with pytest.raises(ConfigError, match="expected a certificate and its key"):
        start(journal_config, page)


def test_users_that_are_missing(journal_config: Config, tmp_path: Path) -> None:
    page = Page(users_file=str(tmp_path / "users.json"))
    with pytest.raises(ConfigError, match="stripwatch page user add"):
        start(journal_config, page)
