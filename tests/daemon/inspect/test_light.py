"""Faults of the light: from the frames' headers to events that open and close."""

from __future__ import annotations

import msgspec
import numpy as np

from stripwatch.config.sections import Camera, Config, EngineSection, Geometry, Input, Publish
from stripwatch.engines.fake import FakeEngine
from stripwatch.engines.manifest import FakeBehaviour
from stripwatch.inspect.coverage import Row
from stripwatch.inspect.inspector import Inspector
from stripwatch.inspect.light import LightFollower, light_words
from stripwatch.inspect.model import Model
from stripwatch.inspect.strip.coordinates import CameraPlace
from stripwatch.testing import CLASSES
from stripwatch.wire.event import Light
from stripwatch.wire.frame import FrameHeader
from stripwatch.wire.light import LightFault, OpenLightFault

LINE = Geometry(frame_lines=64, frame_pixels=100, mm_per_line=1.0, mm_per_pixel=2.0)
CAMERAS = (
    Camera(name="top", crossweb_offset_mm=1000.0),
    Camera(name="mirror", mirrored=True, side="bottom"),
)
DIRT = LightFault("line", 10, 12, 0.7)
LAMP = LightFault("segment", 40, 60, 0.5)
HEADER = FrameHeader(
    v=1, camera="top", session="s", seq=0, t_ns=5, shape=(64, 100), dtype="u8", codec="raw"
)


def follower() -> LightFollower:
    return LightFollower([CameraPlace(camera, LINE) for camera in CAMERAS])


def tell(
    light: LightFollower, seq: int, *faults: LightFault, camera: str = "top"
) -> list[tuple[str, str, tuple[float, float]]]:
    header = msgspec.structs.replace(HEADER, camera=camera, seq=seq, light_faults=faults)
    return [
        (event.state, event.kind, event.crossweb_mm)
        for event in light.frame_events(header, "coil-1")
    ]


def test_a_fault_opens_once_and_closes_once_in_millimetres() -> None:
    """While frames repeat it, or say nothing, there is no further event."""
    light = follower()
    assert tell(light, 0) == []
    assert tell(light, 1, DIRT) == [("opened", "line", (1020.0, 1024.0))]
    assert tell(light, 2, DIRT) == []
    assert light.frame_events(msgspec.structs.replace(HEADER, seq=3), "coil-1") == []
    assert tell(light, 4, LAMP, DIRT) == [("opened", "segment", (1080.0, 1120.0))]
    assert tell(light, 5, LAMP) == [("closed", "line", (1020.0, 1024.0))]
    assert tell(light, 6) == [("closed", "segment", (1080.0, 1120.0))]


def test_the_camera_and_its_mirroring_decide_the_millimetres() -> None:
    """Columns beyond the frame end at its border."""
    light = follower()
    assert tell(light, 0, DIRT, camera="mirror") == [("opened", "line", (176.0, 180.0))]
    wide = LightFault("dim", 0, 65_536, 0.4)
    assert tell(light, 0, wide) == [("opened", "dim", (1000.0, 1200.0))]


def test_the_events_name_the_frame_and_the_strip() -> None:
    """So that the place where the fault began can be found."""
    header = msgspec.structs.replace(HEADER, seq=9, light_faults=(DIRT,))
    (event,) = follower().frame_events(header, "coil-1")
    assert (event.session, event.frame_seq, event.t_ns, event.strip) == ("s", 9, 5, "coil-1")
    assert event.share == 0.7


def test_status_and_reasons_have_what_is_open_now() -> None:
    """The share is that of the opening, though later frames tell another."""
    light = follower()
    assert light.status("top") == (None, ())
    light.frame_events(msgspec.structs.replace(HEADER, light=99.5), None)
    tell(light, 1, DIRT)
    tell(light, 2, LightFault("line", 10, 12, 0.4))
    fault = OpenLightFault(kind="line", crossweb_mm=(1020.0, 1024.0), share=0.7)
    assert light.status("top") == (99.5, (fault,))
    assert light.reasons() == (("top", light_words(fault)),)
    assert light_words(fault) == (
        "its light is 30 % darker than expected at 1020 to 1024 mm; a narrow dark line stays in "
        "place: clean the glass, the lens and the lamp"
    )
    tell(light, 3)
    assert light.status("top") == (99.5, ())
    assert light.reasons() == ()


def test_a_camera_that_was_moved_tells_its_faults_at_the_new_place() -> None:
    """After a reload; one that has gone is no reason any more."""
    light = follower()
    tell(light, 0, DIRT)
    tell(light, 0, DIRT, camera="mirror")
    light.follow([CameraPlace(Camera(name="top", crossweb_offset_mm=500.0), LINE)])
    assert light.reasons() == ()
    assert tell(light, 1, DIRT) == [("opened", "line", (520.0, 524.0))]


def test_every_kind_has_its_words() -> None:
    """An operator reads what to look at."""
    for kind, share, part in (
        ("segment", 0.5, "50 % darker than expected at 0 to 9 mm; a part of the lamp"),
        ("dim", 0.4, "60 % darker than expected at 0 to 9 mm; the whole light is weak"),
        ("bright", 1.6, "60 % brighter than expected at 0 to 9 mm; the whole light is strong"),
    ):
        fault = msgspec.convert(
            {"kind": kind, "crossweb_mm": (0, 9), "share": share}, OpenLightFault
        )
        assert part in light_words(fault)


def test_the_inspector_tells_the_light_of_an_inspected_frame() -> None:
    """Between the strip's start and the frame's defects."""
    config = Config(
        line=LINE,
        cameras=CAMERAS,
        inputs=(Input(endpoint="ipc://in"),),
        engine=EngineSection(folder=""),
        publish=Publish(endpoint="ipc://out"),
    )
    inspector = Inspector(config)
    header = msgspec.structs.replace(HEADER, strip="coil-1", light_faults=(DIRT,))
    frames = np.zeros((1, 64, 100), np.uint8)
    model = Model("f" * 64, CLASSES)
    engine = FakeEngine([frames], FakeBehaviour())
    engine.submit(0, 1, model.thresholds)
    row = Row(header, 0, 0, None)
    outputs = [
        output
        for entry in inspector.slot_outputs([row], frames, engine.wait(0), model)
        for output in entry
    ]
    assert [type(output).__name__ for output in outputs] == ["StripStart", "Light"]
    assert isinstance(outputs[1], Light)
    assert outputs[1].strip == "coil-1"
