"""The three families of errors, and the exit codes that tell them apart.

`WireError` (wire/causes.py): a peer broke the protocol; count it, drop the message, continue.
`ConfigError`, `ModelError`: the user or the build is wrong; stop with a sentence that says how to
fix it.
`DeviceError`, `StorageError`, `SinkError`: the world failed; retry with a limit, and report it.
"""

from __future__ import annotations

from enum import IntEnum


class StripwatchError(Exception):
    """Base of every error that stripwatch raises on purpose."""


class ConfigError(StripwatchError):
    """The configuration or the command line cannot be used as it is."""


class AddressError(ConfigError):
    """An endpoint cannot be bound or connected; the same settings may work a minute later."""


class ModelError(StripwatchError):
    """A model, an engine or its manifest cannot be used as it is."""


class DeviceError(StripwatchError):
    """The device that runs the engine failed."""


class CameraError(DeviceError):
    """A camera stopped, or does not answer; a new process connects it again."""


class BrokenDeviceError(DeviceError):
    """The device failed so that, by its maker's word, only a new process can use it again."""


class StorageError(StripwatchError):
    """A file or a disk could not be read or written."""


class SinkError(StripwatchError):
    """A receiver of forwarded events cannot be reached, or refuses them; it is tried again."""


class ExitCode(IntEnum):
    """Exit codes of the process, for its supervisor."""

    OK = 0
    FAILURE = 1  # a bug of ours: an exception that no rule covers
    USAGE = 2  # the command line is wrong (argparse's own code)
    CONFIG = 3  # the configuration is wrong; starting again will not help
    MODEL = 4  # the model or engine is missing, damaged or not for this machine
    DEVICE = 5  # the device failed too often, or so that only a new process can use it
    STORAGE = 6  # a file could not be read or written
    ADDRESS = 7  # an endpoint could not be bound or connected
    DIFFERENT = 8  # `replay --expect` found differences
    DRAIN_TIMEOUT = 9  # stopping took longer than `drain_timeout_s`
    CAMERA = 10  # a camera stopped, or does not answer; a new process connects it again
    INTERRUPTED = 130  # Ctrl-C, as shells report it
