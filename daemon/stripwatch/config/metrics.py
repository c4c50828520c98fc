"""The section [metrics] of config.toml."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Metrics and health over HTTP, on the loopback address alone: there is no password."""

    port: Annotated[int, Meta(ge=1, le=65535)]
