"""`[page]` of config.toml: the operator's page; the daemon itself does not read it."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.config.credentials import FilePath, with_absolute_files
from stripwatch.config.errors import ADDRESS_PATTERN, HEADER_PATTERN

Role = Literal["look", "review", "change"]  # each may do what those before it may
ROLES: tuple[Role, ...] = ("look", "review", "change")

HeaderName = Annotated[str, Meta(pattern=HEADER_PATTERN)]
Text = Annotated[str, Meta(min_length=1, max_length=200)]

_FILES = ("users_file", "cert_file", "key_file")


class Page(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the page is served, and who may do what on it."""

    endpoint: Annotated[str, Meta(pattern=ADDRESS_PATTERN)] = "127.0.0.1:8350"
    local_role: Role = "look"  # of everybody on this computer, where there are no users
    users_file: FilePath | None = None  # of `stripwatch page user`
    cert_file: FilePath | None = None  # of the certificate, for https
    key_file: FilePath | None = None  # None: it stands in cert_file
    hosts: tuple[Text, ...] = ()  # names by which browsers call it; (): those of loopback, or any
    proxy_addresses: tuple[Text, ...] = ()  # of the reverse proxy, whose headers are believed
    proxy_user_header: HeaderName = "X-Forwarded-User"
    proxy_role_header: HeaderName | None = None  # None: the role is proxy_role
    proxy_role: Role = "look"

    @property
    def address(self) -> tuple[str, int]:
        """Host, without the brackets of an IPv6 address, and port."""
        host, _, port = self.endpoint.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def is_local(self) -> bool:
        """Whether only this computer reaches it."""
        return is_loopback(self.address[0])

    @property
    def url(self) -> str:
        """What a browser on this computer opens."""
        host, port = self.address
        local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - to compare
        shown = f"[{local}]" if ":" in local else local
        return f"{'https' if self.cert_file else 'http'}://{shown}:{port}/"


def is_loopback(host: str) -> bool:
    """Whether a host is this computer alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def page_mistakes(page: Page) -> list[str]:
    """Keys that do not fit together."""
    mistakes = []
    if not page.is_local and not page.users_file and not page.proxy_addresses:
        mistakes.append(
            f"page.endpoint = {page.endpoint!r} can be reached from other computers: name users "
            "(page.users_file, written by stripwatch page user add) or a reverse proxy "
            "(page.proxy_addresses), or serve on 127.0.0.1"
        )
    if page.key_file and not page.cert_file:
        mistakes.append("page.key_file: needs page.cert_file beside it")
    for address in page.proxy_addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            mistakes.append(
                f"page.proxy_addresses = {address!r}: expected an IP address such as 127.0.0.1"
            )
    return mistakes


def with_absolute_page_files(page: Page, folder: Path) -> Page:
    """The same with files that start at `folder`, or at systemd's credentials."""
    return with_absolute_files(page, _FILES, folder)
