"""Changes of a configuration, key by key."""

from __future__ import annotations

import msgspec

from stripwatch.config.cameras import CameraSource
from stripwatch.config.forward import Forward, MqttSection
from stripwatch.config.sections import (
    Camera,
    ClassOverride,
    Config,
    EngineSection,
    Geometry,
    Input,
    Inspect,
    Publish,
)
from stripwatch.engines.manifest import DefectClass, Gate
from stripwatch.inspect.model import Model
from stripwatch.service.changes import changes_now, changes_with_restart

CONFIG = Config(
    line=Geometry(frame_lines=32, frame_pixels=64, mm_per_line=1, mm_per_pixel=1),
    cameras=(Camera(name="top"), Camera(name="bottom")),
    inputs=(Input(endpoint="ipc://in"),),
    engine=EngineSection(folder="/a"),
    publish=Publish(endpoint="ipc://out"),
)
MODEL = Model("a" * 64, (DefectClass(1, "pits"), DefectClass(2, "scale", 0.4, 100)))
replaced = msgspec.structs.replace


def test_equal_configurations_have_no_changes() -> None:
    assert changes_now((CONFIG, MODEL), (CONFIG, MODEL)) == ()
    assert changes_with_restart(CONFIG, CONFIG) == ()


def test_what_the_daemon_does_not_read_is_no_change() -> None:
    forward = Forward(mqtt=MqttSection(endpoint="mqtt://broker:1883"))
    assert changes_with_restart(CONFIG, replaced(CONFIG, forward=forward)) == ()


def test_changes_of_classes_are_those_in_force() -> None:
    """An override that says what the manifest says anyway is no change."""
    config = replaced(CONFIG, inspect=Inspect(classes=(ClassOverride("pits", threshold=0.95),)))
    classes = (replaced(MODEL.classes[0], threshold=0.95), MODEL.classes[1])
    changes = changes_now((CONFIG, MODEL), (config, Model(MODEL.engine_hash, classes)))
    assert [*map(str, changes)] == ["pits.threshold 0.5 -> 0.95"]
    assert changes_now((CONFIG, MODEL), (config, MODEL)) == ()


def test_an_engine_is_named_with_its_folder_and_gate() -> None:
    config = replaced(CONFIG, engine=EngineSection(folder="/b"))
    model = Model("b" * 64, MODEL.classes, Gate(mode="skip", gate_threshold=0.3))
    gate = '{"mode":"skip","gate_threshold":0.3,"class_thresholds":[],"min_area_factor":5.0}'
    assert [*map(str, changes_now((CONFIG, MODEL), (config, model)))] == [
        "engine.folder /a -> /b",
        f"engine {'a' * 16} -> {'b' * 16}",
        f"gate none -> {gate}",
    ]


def test_the_source_of_a_camera_is_read_by_its_process_alone() -> None:
    source = CameraSource(kind="aravis", id="A")
    cameras = tuple(replaced(camera, source=source) for camera in CONFIG.cameras)
    assert changes_with_restart(CONFIG, replaced(CONFIG, cameras=cameras)) == ()


def test_cameras_are_compared_by_name_and_inputs_by_place() -> None:
    """Neither another order nor an equal value is a change."""
    config = replaced(
        CONFIG,
        cameras=(Camera(name="bottom", mirrored=True), Camera(name="top"), Camera(name="edge")),
        inputs=(Input(endpoint="ipc://in", queue_frames=7),),
    )
    assert [*map(str, changes_with_restart(CONFIG, config))] == [
        "cameras.bottom.mirrored false -> true",
        (
            "cameras.edge none -> "
            '{"name":"edge","crossweb_offset_mm":0.0,"mirrored":false,"side":"top"}'
        ),
        "inputs.0.queue_frames 32 -> 7",
    ]
