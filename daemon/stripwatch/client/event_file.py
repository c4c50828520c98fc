"""Files of events, one JSON object a line, as `--json` and `--write-events` write them."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import msgspec

from stripwatch.errors import ConfigError, StorageError
from stripwatch.files import read_utf8
from stripwatch.wire.event import Event, StripEvent

# Of the daemon or of an operator, not of a strip as it passed.
# Of other things than a strip.
_LEFT_OUT = frozenset(
    kind.__struct_config__.tag for kind in get_args(Event) if kind not in get_args(StripEvent)
)


class _TypeTag(msgspec.Struct, frozen=True):
    type: str


def load_events(path: Path) -> list[StripEvent]:
    """Read the events of strips from a file of JSON lines; other events in it are left out.

    Raises:
        StorageError: the file cannot be read.
        ConfigError: a line is not an event of version 1.
    """
    try:
        lines = read_utf8(path).splitlines()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not a file of events: {error}") from None
    tag_decoder = msgspec.json.Decoder(_TypeTag)
    decoder = msgspec.json.Decoder(StripEvent)
    events: list[StripEvent] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            if tag_decoder.decode(line).type not in _LEFT_OUT:
                events.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigError(
                f"{path}, line {number} is not an event ({error}); "
                "write such a file with: stripwatch replay ... --write-events FILE"
            ) from None
    return events
