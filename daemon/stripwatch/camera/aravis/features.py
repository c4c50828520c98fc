"""The features of a camera behind Aravis: read, written and listed by their GenICam names."""

from __future__ import annotations

from collections.abc import Iterator
from ctypes import byref, c_double, c_int64

from stripwatch.camera.aravis.library import AravisFault, AravisLibrary
from stripwatch.camera.base import Feature
from stripwatch.config.cameras import FeatureValue
from stripwatch.errors import CameraError, ConfigError

KINDS = ("enumeration", "boolean", "command", "integer", "float", "string")  # the first that fits
WRITABLE = (1, 2)  # ARV_GC_ACCESS_MODE_WO, _RW
READABLE = (0, 2)  # ARV_GC_ACCESS_MODE_RO, _RW
DEPTH_MAX = 8  # of categories in categories


class AravisFeatures:
    """Access to the features of one open camera."""

    def __init__(self, library: AravisLibrary, camera: int) -> None:
        self._lib = library
        self._camera = camera
        self._device = library.plain.arv_camera_get_device(camera)

    def feature(self, name: str, group: str = "") -> Feature | None:
        """A feature with its value and range; None: there is no such feature now."""
        node = self._node(name)
        kind = self._kind(node)
        if node is None or kind is None:
            return None
        access = self._lib.plain.arv_gc_feature_node_get_actual_access_mode(node)
        try:
            if not self._lib.call("arv_gc_feature_node_is_available", node):
                return None
            is_locked = self._lib.call("arv_gc_feature_node_is_locked", node)
            allowed, choices = self._allowed(name, kind)
        except AravisFault:
            is_locked, allowed, choices = True, "", ()
        value: FeatureValue | None = None
        if access in READABLE and kind != "command":
            try:
                value = self._get(name, kind)
            except AravisFault:
                value = None
        return Feature(
            name=name,
            value=value,
            allowed=allowed,
            choices=choices,
            writable=access in WRITABLE and not is_locked,
            unit=self._unit(node, kind),
            group=group,
        )

    def features(self) -> list[Feature]:
        """Every feature that the camera lists under its root."""
        found = {}
        for group, name in self._names("Root", "", 0):
            feature = self.feature(name, group)
            if feature is not None:
                found[name] = feature
        return list(found.values())

    def read(self, name: str) -> FeatureValue:
        """The value of a feature now.

        Raises:
            CameraError: it cannot be read.
        """
        kind = self._kind(self._node(name))
        if kind is None:
            raise CameraError(f"the camera has no feature {name}")
        try:
            return self._get(name, kind)
        except AravisFault as fault:
            raise CameraError(f"{name} cannot be read from the camera: {fault}") from None

    def write(self, name: str, value: FeatureValue) -> None:
        """Set a feature, or run a command (value true).

        Raises:
            ConfigError: there is no such feature, or it refuses the value; says what is allowed.
        """
        feature = self.feature(name)
        kind = self._kind(self._node(name))
        if feature is None or kind is None:
            raise ConfigError(
                f"the camera has no feature {name}, or not in its present state; "
                "stripwatch camera show lists what it has"
            )
        if not _fits(kind, value, feature):
            raise _refused(feature, value, "it is not among what is allowed")
        try:
            self._set(name, kind, value)
        except AravisFault as fault:
            raise _refused(feature, value, str(fault)) from None

    def _names(self, category: str, group: str, depth: int) -> Iterator[tuple[str, str]]:
        node = self._node(category)
        if node is None or depth > DEPTH_MAX:
            return
        for name in self._lib.names_of_category(node):
            child = self._node(name)
            if child is not None and self._lib.is_a(child, "category"):
                yield from self._names(name, name, depth + 1)
            else:
                yield group, name

    def _node(self, name: str) -> int | None:
        node: int | None = self._lib.plain.arv_device_get_feature(self._device, name.encode())
        return node

    def _kind(self, node: int | None) -> str | None:
        if node is None:
            return None
        return next((kind for kind in KINDS if self._lib.is_a(node, kind)), None)

    def _unit(self, node: int, kind: str) -> str:
        if kind not in ("integer", "float"):
            return ""
        unit = getattr(self._lib.plain, f"arv_gc_{kind}_get_unit")(node)
        return (unit or b"").decode(errors="replace")

    def _allowed(self, name: str, kind: str) -> tuple[str, tuple[str, ...]]:
        if kind == "enumeration":
            choices = self._lib.choices(self._camera, name)
            return ", ".join(choices), choices
        if kind == "boolean":
            return "true, false", ()
        if kind == "command":
            return "true, to run it", ()
        if kind == "integer":
            low, high = c_int64(), c_int64()
            bounds = ("arv_camera_get_integer_bounds", self._camera, name.encode())
            self._lib.call(*bounds, byref(low), byref(high))
            step = self._lib.call("arv_camera_get_integer_increment", self._camera, name.encode())
            steps = f" in steps of {step}" if step > 1 else ""
            return f"{low.value} to {high.value}{steps}", ()
        if kind == "float":
            least, most = c_double(), c_double()
            self._lib.call(
                "arv_camera_get_float_bounds",
                self._camera,
                name.encode(),
                byref(least),
                byref(most),
            )
            return f"{least.value:g} to {most.value:g}", ()
        return "", ()

    def _get(self, name: str, kind: str) -> FeatureValue:
        getter = "string" if kind in ("enumeration", "string") else kind
        value = self._lib.call(f"arv_camera_get_{getter}", self._camera, name.encode())
        if kind == "boolean":
            return bool(value)
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        return "" if value is None else value

    def _set(self, name: str, kind: str, value: FeatureValue) -> None:
        place = (self._camera, name.encode())
        if kind == "command":
            self._lib.call("arv_camera_execute_command", *place)
        elif kind == "boolean":
            self._lib.call("arv_camera_set_boolean", *place, int(bool(value)))
        elif kind == "integer":
            self._lib.call("arv_camera_set_integer", *place, int(value))
        elif kind == "float":
            self._lib.call("arv_camera_set_float", *place, float(value))
        else:
            self._lib.call("arv_camera_set_string", *place, str(value).encode())


def _refused(feature: Feature, value: FeatureValue, fault: str) -> ConfigError:
    allowed = f"; allowed: {feature.allowed} {feature.unit}".rstrip() if feature.allowed else ""
    return ConfigError(f"the camera refuses {feature.name} = {value!r}: {fault}{allowed}")


def _fits(kind: str, value: FeatureValue, feature: Feature) -> bool:
    """Whether a value is of a feature's kind and, as far as that can be seen, in its range."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "enumeration":
        return value in feature.choices
    if kind in ("boolean", "command"):
        return isinstance(value, bool) and (value or kind == "boolean")
    if kind == "string":
        return isinstance(value, str)
    if not is_number or (kind == "integer" and float(value) != int(float(value))):
        return False
    words = feature.allowed.split()
    return len(words) < 3 or float(words[0]) <= float(value) <= float(words[2]) * (1 + 1e-5)
