"""Faults of the cameras' light: from what frames say of them to events that open and close.

Whoever sends the frames watches the light, since only that side knows what the light was when it
was right (ADR 33).
"""

from __future__ import annotations

from collections.abc import Iterable

from stripwatch.inspect.strip.coordinates import DIGITS, CameraPlace
from stripwatch.wire.event import NO_SEQ, NO_STREAM, Light
from stripwatch.wire.frame import FrameHeader
from stripwatch.wire.light import LightFault, LightFaults, OpenLightFault

_Key = tuple[str, int, int]


class LightFollower:
    """The open faults of every camera. One thread writes; others may read `status`."""

    def __init__(self, places: Iterable[CameraPlace]) -> None:
        self._places = {place.camera.name: place for place in places}
        self._told: dict[str, LightFaults] = {}  # by camera, as its latest frame has them
        self._grey: dict[str, float] = {}
        self._open: dict[str, tuple[OpenLightFault, ...]] = {}

    def follow(self, places: Iterable[CameraPlace]) -> None:
        """Take other cameras; a fault of one that was moved opens again where it is now."""
        before, self._places = self._places, {place.camera.name: place for place in places}
        for camera, place in before.items():
            if self._places.get(camera) != place:
                for known in (self._told, self._grey, self._open):
                    known.pop(camera, None)

    def frame_events(self, header: FrameHeader, strip: str | None) -> list[Light]:
        """The events of a frame's header; a frame that says nothing changes nothing."""
        camera = header.camera
        if header.light is not None:
            self._grey[camera] = header.light
        told = header.light_faults
        before = self._told.get(camera, ())
        if told is None or told == before:
            return []
        old, new = _by_place(before), _by_place(told)
        # What stays keeps the figure with which it was opened.
        faults = {key: old.get(key, fault) for key, fault in new.items()}
        self._told[camera] = told
        self._open[camera] = tuple(self._state(camera, fault) for fault in faults.values())
        closed = [self._event(header, strip, old[key], is_open=False) for key in old.keys() - new]
        opened = [self._event(header, strip, new[key], is_open=True) for key in new.keys() - old]
        return sorted(closed, key=_order) + sorted(opened, key=_order)

    def status(self, camera: str) -> tuple[float | None, tuple[OpenLightFault, ...]]:
        """Mean grey of a camera's latest frame that tells it, and its open faults."""
        return self._grey.get(camera), self._open.get(camera, ())

    def reasons(self) -> tuple[tuple[str, str], ...]:
        """Camera and sentence of each open fault."""
        # The deliver thread adds cameras meanwhile: sorting takes them in one step.
        return tuple(
            (camera, light_words(fault))
            for camera, faults in sorted(self._open.items())
            for fault in faults
        )

    def _state(self, camera: str, fault: LightFault) -> OpenLightFault:
        return OpenLightFault(
            kind=fault.kind, crossweb_mm=self._across(camera, fault), share=fault.share
        )

    def _across(self, camera: str, fault: LightFault) -> tuple[float, float]:
        place = self._places[camera]
        pixels = place.geometry.frame_pixels
        ends = [
            round(place.crossweb_mm(min(px, pixels)), DIGITS) for px in (fault.from_px, fault.to_px)
        ]
        return min(ends), max(ends)

    def _event(
        self, header: FrameHeader, strip: str | None, fault: LightFault, *, is_open: bool
    ) -> Light:
        return Light(
            stream=NO_STREAM,
            seq=NO_SEQ,
            camera=header.camera,
            strip=strip,
            session=header.session,
            frame_seq=header.seq,
            t_ns=header.t_ns,
            state="opened" if is_open else "closed",
            kind=fault.kind,
            crossweb_mm=self._across(header.camera, fault),
            share=fault.share,
        )


def light_words(fault: OpenLightFault) -> str:
    """A fault of the light as a sentence."""
    first_mm, last_mm = fault.crossweb_mm
    percent = round(abs(1 - fault.share) * 100)
    what = {
        "line": "a narrow dark line stays in place: clean the glass, the lens and the lamp",
        "segment": "a part of the lamp is dark",
        "dim": "the whole light is weak: lamp, glass, exposure",
        "bright": "the whole light is strong: exposure, lamp, stray light",
    }[fault.kind]
    than = "brighter" if fault.share > 1 else "darker"
    return (
        f"its light is {percent} % {than} than expected at {first_mm:.0f} to {last_mm:.0f} mm; "
        f"{what}"
    )


def _by_place(faults: LightFaults) -> dict[_Key, LightFault]:
    """A fault is the same as long as its kind and its columns are."""
    return {(fault.kind, fault.from_px, fault.to_px): fault for fault in faults}


def _order(event: Light) -> tuple[float, str]:
    return event.crossweb_mm[0], event.kind
