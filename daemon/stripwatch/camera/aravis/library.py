"""libaravis-0.8 through ctypes: the functions that are used, and errors as exceptions.

Signatures: the headers of Aravis 0.8.26. Functions marked with an error take a GError** last.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from ctypes import (
    POINTER,
    byref,
    c_char_p,
    c_double,
    c_int,
    c_int64,
    c_size_t,
    c_uint,
    c_uint32,
    c_uint64,
    c_void_p,
)
from functools import cache
from typing import Any

from stripwatch.errors import ConfigError

NAME = "libaravis-0.8.so.0"
GOBJECT = "libgobject-2.0.so.0"

# Result and arguments, without the error. Pointers to objects are void pointers.
_WITH_ERROR: dict[str, tuple[Any, list[Any]]] = {
    "arv_camera_new": (c_void_p, [c_char_p]),
    "arv_camera_get_vendor_name": (c_char_p, [c_void_p]),
    "arv_camera_get_model_name": (c_char_p, [c_void_p]),
    "arv_camera_get_device_serial_number": (c_char_p, [c_void_p]),
    "arv_camera_get_payload": (c_uint, [c_void_p]),
    "arv_camera_get_pixel_format": (c_uint32, [c_void_p]),
    "arv_camera_create_stream": (c_void_p, [c_void_p, c_void_p, c_void_p]),
    "arv_camera_start_acquisition": (None, [c_void_p]),
    "arv_camera_stop_acquisition": (None, [c_void_p]),
    "arv_camera_set_chunk_mode": (None, [c_void_p, c_int]),
    "arv_camera_set_chunk_state": (None, [c_void_p, c_char_p, c_int]),
    "arv_camera_gv_set_packet_size": (None, [c_void_p, c_int]),
    "arv_camera_gv_get_packet_size": (c_uint, [c_void_p]),
    "arv_camera_gv_auto_packet_size": (c_uint, [c_void_p]),
    "arv_camera_get_boolean": (c_int, [c_void_p, c_char_p]),
    "arv_camera_set_boolean": (None, [c_void_p, c_char_p, c_int]),
    "arv_camera_get_string": (c_char_p, [c_void_p, c_char_p]),
    "arv_camera_set_string": (None, [c_void_p, c_char_p, c_char_p]),
    "arv_camera_get_integer": (c_int64, [c_void_p, c_char_p]),
    "arv_camera_set_integer": (None, [c_void_p, c_char_p, c_int64]),
    "arv_camera_get_integer_bounds": (
        None,
        [c_void_p, c_char_p, POINTER(c_int64), POINTER(c_int64)],
    ),
    "arv_camera_get_integer_increment": (c_int64, [c_void_p, c_char_p]),
    "arv_camera_get_float": (c_double, [c_void_p, c_char_p]),
    "arv_camera_set_float": (None, [c_void_p, c_char_p, c_double]),
    "arv_camera_get_float_bounds": (
        None,
        [c_void_p, c_char_p, POINTER(c_double), POINTER(c_double)],
    ),
    "arv_camera_execute_command": (None, [c_void_p, c_char_p]),
    "arv_camera_dup_available_enumerations_as_strings": (
        c_void_p,
        [c_void_p, c_char_p, POINTER(c_uint)],
    ),
    "arv_gc_feature_node_is_available": (c_int, [c_void_p]),
    "arv_gc_feature_node_is_locked": (c_int, [c_void_p]),
    "arv_chunk_parser_get_integer_value": (c_int64, [c_void_p, c_void_p, c_char_p]),
    "arv_chunk_parser_get_float_value": (c_double, [c_void_p, c_void_p, c_char_p]),
}
_PLAIN: dict[str, tuple[Any, list[Any]]] = {
    "arv_update_device_list": (None, []),
    "arv_get_n_devices": (c_uint, []),
    "arv_get_device_id": (c_char_p, [c_uint]),
    "arv_get_device_address": (c_char_p, [c_uint]),
    "arv_get_device_vendor": (c_char_p, [c_uint]),
    "arv_get_device_model": (c_char_p, [c_uint]),
    "arv_get_device_serial_nbr": (c_char_p, [c_uint]),
    "arv_camera_is_gv_device": (c_int, [c_void_p]),
    "arv_camera_get_device": (c_void_p, [c_void_p]),
    "arv_gv_device_is_controller": (c_int, [c_void_p]),
    "arv_camera_create_chunk_parser": (c_void_p, [c_void_p]),
    "arv_camera_gv_set_packet_size_adjustment": (None, [c_void_p, c_int]),
    "arv_device_get_feature": (c_void_p, [c_void_p, c_char_p]),
    "arv_gc_category_get_features": (c_void_p, [c_void_p]),
    "arv_gc_feature_node_get_actual_access_mode": (c_int, [c_void_p]),
    "arv_gc_integer_get_unit": (c_char_p, [c_void_p]),
    "arv_gc_float_get_unit": (c_char_p, [c_void_p]),
    "arv_gc_category_get_type": (c_size_t, []),
    "arv_gc_enumeration_get_type": (c_size_t, []),
    "arv_gc_boolean_get_type": (c_size_t, []),
    "arv_gc_command_get_type": (c_size_t, []),
    "arv_gc_integer_get_type": (c_size_t, []),
    "arv_gc_float_get_type": (c_size_t, []),
    "arv_gc_string_get_type": (c_size_t, []),
    "arv_buffer_new": (c_void_p, [c_size_t, c_void_p]),
    "arv_buffer_get_status": (c_int, [c_void_p]),
    "arv_buffer_get_payload_type": (c_int, [c_void_p]),
    "arv_buffer_get_data": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "arv_buffer_has_chunks": (c_int, [c_void_p]),
    "arv_buffer_get_frame_id": (c_uint64, [c_void_p]),
    "arv_buffer_get_timestamp": (c_uint64, [c_void_p]),
    "arv_buffer_get_system_timestamp": (c_uint64, [c_void_p]),
    "arv_buffer_get_image_height": (c_int, [c_void_p]),
    "arv_stream_push_buffer": (None, [c_void_p, c_void_p]),
    "arv_stream_timeout_pop_buffer": (c_void_p, [c_void_p, c_uint64]),
}


class _GError(ctypes.Structure):
    _fields_ = (("domain", c_uint32), ("code", c_int), ("message", c_char_p))


class _ListNode(ctypes.Structure):
    _fields_ = (("data", c_char_p), ("next", c_void_p))


class AravisFault(Exception):
    """What Aravis says went wrong."""


class AravisLibrary:
    """The functions of libaravis: `lib.plain.NAME(...)`, or `lib.call("NAME", ...)` with errors."""

    def __init__(self, plain: ctypes.CDLL, gobject: ctypes.CDLL) -> None:
        self.plain = plain
        self._gobject = gobject
        error = POINTER(POINTER(_GError))
        for name, (result, arguments) in _PLAIN.items():
            function = getattr(plain, name)
            function.restype, function.argtypes = result, arguments
        for name, (result, arguments) in _WITH_ERROR.items():
            function = getattr(plain, name)
            function.restype, function.argtypes = result, [*arguments, error]
        gobject.g_object_unref.argtypes = [c_void_p]
        gobject.g_type_check_instance_is_a.argtypes = [c_void_p, c_size_t]
        gobject.g_type_check_instance_is_a.restype = c_int
        gobject.g_free.argtypes = [c_void_p]
        gobject.g_error_free.argtypes = [c_void_p]

    def call(self, name: str, *arguments: Any) -> Any:  # noqa: ANN401 - of any C function
        """Call a function that can fail.

        Raises:
            AravisFault: it did.
        """
        error = POINTER(_GError)()
        result = getattr(self.plain, name)(*arguments, byref(error))
        if error:
            message = (error.contents.message or b"").decode(errors="replace")
            self._gobject.g_error_free(error)
            raise AravisFault(message)
        return result

    def is_a(self, node: int, kind: str) -> bool:
        """Whether a GenICam node is an `integer`, a `float`, an `enumeration`, and so on."""
        wanted = getattr(self.plain, f"arv_gc_{kind}_get_type")()
        return bool(self._gobject.g_type_check_instance_is_a(node, wanted))

    def unref(self, instance: int) -> None:
        """Give an object back."""
        self._gobject.g_object_unref(instance)

    def set_number(self, instance: int, name: str, value: int) -> None:
        """Set a property of an object that is an unsigned int."""
        self._gobject.g_object_set(c_void_p(instance), name.encode(), c_uint(value), None)

    def names_of_category(self, node: int) -> Iterator[str]:
        """The names in a category of features."""
        place = self.plain.arv_gc_category_get_features(node)
        while place:
            entry = _ListNode.from_address(place)
            yield (entry.data or b"").decode(errors="replace")
            place = entry.next

    def choices(self, camera: int, name: str) -> tuple[str, ...]:
        """The values that an enumeration takes now.

        Raises:
            AravisFault: they cannot be read.
        """
        count = c_uint()
        values = self.call(
            "arv_camera_dup_available_enumerations_as_strings", camera, name.encode(), byref(count)
        )
        if not values:
            return ()
        texts = ctypes.cast(values, POINTER(c_char_p))
        found = tuple((texts[i] or b"").decode(errors="replace") for i in range(count.value))
        self._gobject.g_free(values)  # the array; the texts belong to the camera
        return found


@cache
def load_aravis() -> AravisLibrary:
    """The library, loaded once.

    Raises:
        ConfigError: it is not installed, or is too old.
    """
    try:
        return AravisLibrary(ctypes.CDLL(NAME), ctypes.CDLL(GOBJECT))
    except OSError:
        raise ConfigError(
            f'cameras of kind "aravis" need the library {NAME}, which is not installed; install '
            "it: apt install libaravis-0.8-0"
        ) from None
    except AttributeError as error:
        raise ConfigError(f"{NAME} is too old: {error}; install Aravis 0.8.26 or newer") from None
