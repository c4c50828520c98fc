"""The shipped configuration with other values in it."""

from __future__ import annotations

import tomllib

from stripwatch.config.template import filled
from stripwatch.resources import resource_path

SHIPPED = resource_path("config.toml").read_text()


def comments_of(text: str) -> list[str]:
    return [line.partition("#")[2] for line in text.splitlines() if "#" in line]


def test_without_other_values_it_is_the_shipped_one() -> None:
    assert filled(SHIPPED, {}, ()) == SHIPPED


def test_values_are_replaced_and_comments_stay_where_they_were() -> None:
    values: dict[str, dict[str, object]] = {
        "line": {"frame_lines": 8, "mm_per_line": 0.25},
        "engine": {"folder": 'a "b"\\c'},
    }
    text = filled(SHIPPED, values, ())
    table, shipped = tomllib.loads(text), tomllib.loads(SHIPPED)
    assert table["line"] == shipped["line"] | values["line"]
    assert table["engine"] == shipped["engine"] | values["engine"]
    assert comments_of(text) == comments_of(SHIPPED)
    row = next(line for line in text.splitlines() if line.startswith("frame_lines"))
    shipped_row = next(line for line in SHIPPED.splitlines() if line.startswith("frame_lines"))
    assert row.index("#") == shipped_row.index("#")


def test_each_camera_has_a_section_with_every_key_and_what_follows_stays() -> None:
    cameras = [{"name": name, "side": "bottom"} for name in ("a", "b", "c")]
    text = filled(SHIPPED, {}, cameras)
    table, shipped = tomllib.loads(text), tomllib.loads(SHIPPED)
    assert table.pop("cameras") == [shipped["cameras"][0] | camera for camera in cameras]
    del shipped["cameras"]
    assert table == shipped
    assert text.count("# One section per camera.") == 1
    assert set(comments_of(text)) == set(comments_of(SHIPPED))
