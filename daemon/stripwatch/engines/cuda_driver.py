"""The CUDA driver: pycuda, and through ctypes what it lacks. Every error becomes one of ours.

pycuda cannot be imported without a driver, so it is imported when a device is opened.
"""

from __future__ import annotations

import ctypes
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stripwatch.errors import BrokenDeviceError, DeviceError, ModelError

# Errors of which cuda.h says that they leave the process in an inconsistent state, or that the
# context and its memory are lost: every later call fails, and the process must end.
BROKEN = frozenset((700, 702, 710, 714, 715, 716, 717, 718, 719, 721, 810))
OUT_OF_MEMORY = 2


class OutOfDeviceMemory(DeviceError):
    """The GPU has less free memory than requested."""


class Driver:
    """The driver's library, as pycuda and ctypes call it."""

    def __init__(self) -> None:
        """Load and initialize the driver.

        Raises:
            ModelError: pycuda is not installed.
            DeviceError: there is no driver, or no GPU.
        """
        self.cuda = _import_pycuda()
        self._library = ctypes.CDLL("libcuda.so.1")  # that pycuda has loaded
        # pycuda's errors carry no number, only the driver's sentence.
        self._broken_texts = [text for code in BROKEN if (text := self._text(code))]
        with self.checked():
            self.cuda.init()

    def find(self, ordinal: int) -> Any:  # noqa: ANN401 - pycuda carries no types
        """The GPU of this number.

        Raises:
            DeviceError: there is no such GPU.
        """
        with self.checked():
            count = self.cuda.Device.count()
            if ordinal >= count:
                raise DeviceError(
                    f"engine.device is {ordinal}, but this machine has {count} CUDA devices, "
                    "numbered from 0"
                )
            return self.cuda.Device(ordinal)

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Turn the errors that pycuda raises into our own.

        Raises:
            OutOfDeviceMemory: there is not enough memory.
            BrokenDeviceError: only a new process can use the device again.
            DeviceError: another call failed.
        """
        try:
            yield
        except self.cuda.MemoryError as error:
            raise OutOfDeviceMemory(f"CUDA: {error}") from error
        except self.cuda.Error as error:
            is_broken = any(text in str(error) for text in self._broken_texts)
            kind = BrokenDeviceError if is_broken else DeviceError
            raise kind(f"CUDA: {error}") from error

    def try_call(self, function: str, *arguments: object) -> int:
        """Call a function that pycuda does not offer, or not safely; returns its error, 0 = none.

        Other Python threads run meanwhile.
        """
        return int(getattr(self._library, function)(*arguments))

    def call(self, function: str, *arguments: object) -> None:
        """The same, with an error of ours if the call fails.

        Raises:
            OutOfDeviceMemory: there is not enough memory.
            BrokenDeviceError: only a new process can use the device again.
            DeviceError: the call failed.
        """
        self.check(self.try_call(function, *arguments), function)

    def check(self, code: int, function: str) -> None:
        """Raise our error for the driver's error `code` of a function; 0 = none."""
        if not code:
            return
        kind: type[DeviceError] = BrokenDeviceError if code in BROKEN else DeviceError
        if code == OUT_OF_MEMORY:
            kind = OutOfDeviceMemory
        raise kind(f"CUDA: {function} failed: {self._text(code) or f'error {code}'}")

    def _text(self, code: int) -> str:
        """The driver's sentence for an error; "" if this driver does not know it."""
        text = ctypes.c_char_p()
        unknown = self.try_call("cuGetErrorString", code, ctypes.byref(text))
        return "" if unknown or text.value is None else text.value.decode()


def clear_traceback_locals(error: BaseException | None) -> None:
    """Clear the local variables that an error's tracebacks keep alive."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _import_pycuda() -> Any:  # noqa: ANN401 - pycuda carries no types
    try:
        import pycuda.driver as cuda
    except ModuleNotFoundError as error:
        raise ModelError(
            f"this engine runs on a GPU and needs {error.name}, which is not installed here; "
            "install it in the folder of stripwatch with: pip install '.[cuda]'"
        ) from None
    except ImportError as error:  # the driver's library is missing
        raise DeviceError(f"no CUDA device can be used here: {error}") from error
    return cuda
