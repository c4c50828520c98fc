"""Files of events, one JSON object a line, as `--json` and `--write-events` write them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from stripwatch.errors import ConfigError, StorageError
from stripwatch.wire.event import NumberedEvent


def load_events(path: Path) -> list[NumberedEvent]:
    """Read numbered events from a file of JSON lines; other events in it are left out.

    Raises:
        StorageError: the file cannot be read.
        ConfigError: a line is not an event of version 1.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    decoder = msgspec.json.Decoder(NumberedEvent)
    events: list[NumberedEvent] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or b'"type":"status"' in line or b'"type":"frame"' in line:
            continue
        try:
            events.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{path}, line {number} is not an event ({error}); "
                "write such a file with: stripwatch replay ... --write-events FILE"
            ) from None
    return events
