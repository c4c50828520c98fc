"""Flat field: the coefficients, what refuses a reference, and the file that keeps it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from stripwatch.camera.light.calibration import (
    check_bright,
    check_dark,
    measure,
    target_grey,
)
from stripwatch.camera.light.flat_field import (
    Correction,
    FlatField,
    Raw,
    load_flat_field,
    save_flat_field,
    to_8_bits,
)
from stripwatch.errors import ConfigError

SEED = 8
LINES, PIXELS = 64, 400
FIELD = FlatField(
    camera="top",
    made="2026-03-01T06:00:00+00:00",
    bits=8,
    target=100.0,
    dark=(2.0, 4.0, 0.0, 10.0),
    bright=(102.0, 54.0, 200.0, 210.0),
    temperature_c=41.5,
    conditions={"ExposureTime": 12.0},
)

Profile = NDArray[np.float64]


def lamp() -> Profile:
    """A lamp that falls off to both sides, in shares of the range."""
    return 0.45 * (1 - 0.5 * np.linspace(-1, 1, PIXELS) ** 2)


def frames(
    profile: Profile, bits: int = 8, count: int = 16, noise: float = 0.01, seed: int = SEED
) -> list[Raw]:
    """Frames of a scene that stands still, with a camera's noise."""
    generator = np.random.default_rng(seed)
    top = 2**bits - 1
    kind = np.uint8 if bits == 8 else np.uint16
    return [
        np.clip(
            np.rint((profile + generator.normal(0, noise, (LINES, PIXELS))) * top), 0, top
        ).astype(kind)
        for _ in range(count)
    ]


def refusal(bright: list[Raw], bits: int = 8) -> str:
    dark = measure(frames(np.full(PIXELS, 0.02), bits, noise=0.004), bits)
    check_dark(dark, bits)
    with pytest.raises(ConfigError) as refused:
        check_bright(measure(bright, bits), dark, bits)
    return str(refused.value)


def test_both_coefficients_are_applied_and_both_ends_saturate() -> None:
    """(raw - dark) * target / (bright - dark), by column; a shorter frame has the same columns."""
    correction = Correction(FIELD, 3)
    raw = np.array([[102, 54, 200, 210], [2, 29, 255, 5], [52, 255, 0, 255]], np.uint8)
    out = np.empty((3, 4), np.uint8)
    correction.apply(raw, out)
    assert out.tolist() == [[100, 100, 100, 100], [0, 50, 128, 0], [50, 255, 0, 122]]
    short = np.empty((1, 4), np.uint8)
    correction.apply(raw[1:2], short)
    assert short.tolist() == out[1:2].tolist()


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_a_calibrated_camera_sees_its_reference_flat(bits: int) -> None:
    """To the rounding of 8 bits, whatever the camera's range; the brightness stays."""
    print(f"seed {SEED}")
    dark = measure(frames(np.full(PIXELS, 0.02), bits, noise=0.004), bits)
    bright_frames = frames(lamp(), bits)
    bright = measure(bright_frames, bits)
    check_dark(dark, bits)
    check_bright(bright, dark, bits)
    target = target_grey(bright, dark, bits)
    assert target == pytest.approx(255 * (lamp().mean() - 0.02), abs=1)
    field = FlatField(
        camera="top",
        made="",
        bits=bits,
        target=target,
        dark=tuple(dark.columns),
        bright=tuple(bright.columns),
    )
    out = np.empty((LINES, PIXELS), np.uint8)
    corrected = []
    correction = Correction(field, LINES)
    for frame in bright_frames:
        correction.apply(frame, out)
        corrected.append(out.mean(axis=0))
    assert np.mean(corrected, axis=0) == pytest.approx(target, abs=1.5)


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_without_a_flat_field_the_upper_bits_stay(bits: int) -> None:
    """The table is the same for every frame."""
    top = 2**bits - 1
    greys = [[0, top // 2, top]]
    raw: Raw = np.array(greys, np.uint8) if bits == 8 else np.array(greys, np.uint16)
    out = np.empty((1, 3), np.uint8)
    to_8_bits(raw, bits, out)
    assert out.tolist() == [[0, 127, 255]]


@pytest.mark.parametrize("bits", [8, 12])
def test_a_good_reference_is_taken(bits: int) -> None:
    """With noise, and pixels that differ by some percent, which is what is corrected."""
    print(f"seed {SEED}")
    pixels = 1 + np.random.default_rng(SEED).normal(0, 0.012, PIXELS)
    dark = measure(frames(np.full(PIXELS, 0.02), bits, noise=0.004), bits)
    check_bright(measure(frames(lamp() * pixels, bits, noise=0.02), bits), dark, bits)


def test_a_dark_reference_with_light_is_refused() -> None:
    """It says how to make it dark."""
    with pytest.raises(ConfigError, match=r"is not dark: mean 38, 15 %.*cap on the lens"):
        check_dark(measure(frames(np.full(PIXELS, 0.15)), 8), 8)


@pytest.mark.parametrize("bits", [8, 12])
def test_a_clipped_reference_is_refused(bits: int) -> None:
    """Where a pixel is at the top of its range nothing is known of it."""
    assert "is clipped" in refusal(frames(2 * lamp() + 0.12, bits), bits)


def test_a_reference_that_is_too_dark_is_refused() -> None:
    """Noise and rounding would become stripes."""
    assert "is too dark: 11 %" in refusal(frames(0.3 * lamp() + 0.02))


def test_an_uneven_reference_is_refused() -> None:
    """It names the darkest place."""
    profile = lamp()
    profile[300:360] *= 0.2
    words = refusal(frames(profile))
    assert "is uneven" in words
    assert "near pixel 3" in words


def test_a_flickering_reference_is_refused() -> None:
    """A lamp at mains frequency."""
    wave = 1 + 0.06 * np.sin(np.arange(16))
    flickering = [
        np.rint(frame * share).astype(np.uint8)
        for frame, share in zip(frames(lamp()), wave, strict=True)
    ]
    assert "flickers: the whole line changes by 1" in refusal(flickering)


def test_a_moving_reference_is_refused() -> None:
    """Strip that runs below the camera, in place of the plate."""
    generator = np.random.default_rng(SEED)
    print(f"seed {SEED}")
    coarse = generator.normal(0, 0.08, (16, LINES // 8, PIXELS // 20))
    textured = [
        np.clip(frame * (1 + np.kron(cloud, np.ones((8, 20)))), 0, 254).astype(np.uint8)
        for frame, cloud in zip(frames(lamp()), coarse, strict=True)
    ]
    assert "is moving" in refusal(textured)


@pytest.mark.parametrize(("share", "than"), [(0.8, "darker"), (1.3, "brighter")])
def test_a_reference_with_streaks_is_refused(share: float, than: str) -> None:
    """Dust on the glass would become a bright line over every coil."""
    profile = lamp()
    profile[123] *= share
    words = refusal(frames(profile))
    assert "has streaks: pixel 123 is" in words
    assert than in words


def test_too_few_frames_are_refused() -> None:
    """The mean of a few would be noise."""
    with pytest.raises(ConfigError, match="3 frames came, a reference needs 8"):
        measure(frames(lamp(), count=3), 8)


def test_a_flat_field_is_kept_with_its_hash(tmp_path: Path) -> None:
    """It comes back as it was, and names when, how warm and under which settings it was made."""
    path = tmp_path / "light" / "top-flat-field.json"
    saved = save_flat_field(path, FIELD)
    assert load_flat_field(path, "top", 4, 8) == saved
    assert len(saved.sha256) == 64
    assert msgspec.structs.replace(saved, sha256="") == FIELD


@pytest.mark.parametrize(
    ("camera", "pixels", "bits"), [("bottom", 4, 8), ("top", 5, 8), ("top", 4, 12)]
)
def test_a_flat_field_of_another_camera_is_refused(
    tmp_path: Path, camera: str, pixels: int, bits: int
) -> None:
    """It says how to make the right one."""
    path = tmp_path / "top.json"
    save_flat_field(path, FIELD)
    with pytest.raises(ConfigError, match=f"stripwatch camera calibrate {camera}"):
        load_flat_field(path, camera, pixels, bits)


def test_a_flat_field_that_was_changed_is_refused(tmp_path: Path) -> None:
    """A number that somebody edited is not a measurement."""
    path = tmp_path / "top.json"
    save_flat_field(path, FIELD)
    path.write_bytes(path.read_bytes().replace(b"102.0", b"112.0"))
    with pytest.raises(ConfigError, match="was changed after the calibration"):
        load_flat_field(path, "top", 4, 8)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[" * 10_000, b'{"v": 2}'])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    """No traceback."""
    path = tmp_path / "top.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is no flat field"):
        load_flat_field(path, "top", 4, 8)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    """It names the file."""
    with pytest.raises(ConfigError, match=r"top\.json: cannot be read: No such file"):
        load_flat_field(tmp_path / "top.json", "top", 4, 8)
