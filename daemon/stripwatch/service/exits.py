"""Exit of every command: an error becomes one sentence and a named exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable

from stripwatch.errors import (
    AddressError,
    ConfigError,
    DeviceError,
    ExitCode,
    ModelError,
    StorageError,
    StripwatchError,
)

_CODES: dict[type[StripwatchError], ExitCode] = {
    AddressError: ExitCode.ADDRESS,  # before its base class ConfigError
    ConfigError: ExitCode.CONFIG,
    ModelError: ExitCode.MODEL,
    DeviceError: ExitCode.DEVICE,
    StorageError: ExitCode.STORAGE,
}


def guarded(command: Callable[[], ExitCode]) -> ExitCode:
    """Run a command; turn its errors into a sentence on stderr and an exit code."""
    try:
        return command()
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except StripwatchError as error:
        sys.stderr.write(f"error: {error}\n")
        return next(
            (code for kind, code in _CODES.items() if isinstance(error, kind)), ExitCode.FAILURE
        )
    except BrokenPipeError:  # `stripwatch events | head`
        return ExitCode.OK
