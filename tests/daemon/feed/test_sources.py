"""Where frames come from: images, videos, the synthetic strip."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import zmq

from stripwatch.errors import ConfigError, ExitCode, StorageError
from stripwatch.feed.sources import Source, open_source
from stripwatch.synthetic import SyntheticStrip

SHAPE = (16, 32)


def pixels_of(source: Source) -> list[np.ndarray]:
    return [
        np.frombuffer(frame.payload, np.uint8).reshape(frame.shape) for frame in source.frames()
    ]


def grey(seed: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_a_folder_of_images_is_sent_by_name(tmp_path: Path) -> None:
    """Grey or RGB that is grey; other files are left alone."""
    cv2.imwrite(str(tmp_path / "b.png"), grey(1))
    cv2.imwrite(str(tmp_path / "a.png"), cv2.cvtColor(grey(0), cv2.COLOR_GRAY2BGR))
    cv2.imwrite(str(tmp_path / "c.png"), grey(2, (5, 32)))  # the end of a strip
    (tmp_path / "notes.txt").write_text("not an image")
    source = open_source(str(tmp_path), frame_shape=SHAPE)
    assert source.count == 3
    for found, expected in zip(pixels_of(source), (0, 1, 2), strict=True):
        assert np.array_equal(found, grey(expected)[: len(found)]) or len(found) == 5
    assert [frame.shape for frame in source.frames()] == [SHAPE, SHAPE, (5, 32)]


@pytest.mark.parametrize("inner", ["train_images", "images"])
def test_severstals_layout_is_known(tmp_path: Path, inner: str) -> None:
    (tmp_path / inner).mkdir()
    (tmp_path / "train.csv").write_text("ImageId,ClassId,EncodedPixels\n")
    cv2.imwrite(str(tmp_path / inner / "a.png"), grey(0))
    assert np.array_equal(pixels_of(open_source(str(tmp_path)))[0], grey(0))
    assert open_source(str(tmp_path / inner)).name == tmp_path.name  # not "images"


def test_the_real_frames_open(shared_data: Path) -> None:
    source = open_source(str(shared_data / "severstal"), frame_shape=(256, 1600))
    assert source.count == len(pixels_of(source)) == 12


def test_a_wrong_size_names_the_file(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), grey(0))
    cv2.imwrite(str(tmp_path / "b.png"), grey(0, (16, 31)))
    source = open_source(str(tmp_path), frame_shape=SHAPE)
    with pytest.raises(ConfigError, match=r"b\.png is 16 x 31"):
        pixels_of(source)


def test_a_wrong_size_names_the_options_that_send_it(tmp_path: Path) -> None:
    """Padding where it is enough, tiles in any case."""
    for shape, ways in (((20, 40), "with --fit tile"), ((16, 31), "with --fit pad or --fit tile")):
        cv2.imwrite(str(tmp_path / "a.png"), grey(0, shape))
        with pytest.raises(ConfigError, match=ways):
            open_source(str(tmp_path), frame_shape=SHAPE)


def test_smaller_images_are_padded_at_their_right(tmp_path: Path) -> None:
    """Their place is kept, fewer lines stay fewer; a larger image is refused."""
    cv2.imwrite(str(tmp_path / "a.png"), grey(0, (12, 20)))
    cv2.imwrite(str(tmp_path / "b.png"), grey(1))
    source = open_source(str(tmp_path), frame_shape=SHAPE, fit="pad")
    small, whole = pixels_of(source)
    assert small.shape == (12, 32)
    assert np.array_equal(small[:, :20], grey(0, (12, 20)))
    assert not small[:, 20:].any()
    assert np.array_equal(whole, grey(1))
    cv2.imwrite(str(tmp_path / "c.png"), grey(2, (17, 20)))
    with pytest.raises(ConfigError, match=r"c\.png is 17 x 20 .* with --fit tile$"):
        pixels_of(open_source(str(tmp_path), frame_shape=SHAPE, fit="pad"))


def test_larger_images_are_cut_into_tiles_that_make_them_whole_again(tmp_path: Path) -> None:
    """In the order in which one reads."""
    seed = 20261128
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    for _ in range(20):
        shape = (int(rng.integers(1, 60)), int(rng.integers(1, 100)))
        image = rng.integers(0, 256, shape, np.uint8)
        cv2.imwrite(str(tmp_path / "a.png"), image)
        source = open_source(str(tmp_path), frame_shape=SHAPE, fit="tile")
        frames = pixels_of(source)
        assert source.count == len(frames), shape
        across = -(-shape[1] // SHAPE[1])
        rows = [np.hstack(frames[at : at + across]) for at in range(0, len(frames), across)]
        whole = np.vstack(rows)
        assert np.array_equal(whole[:, : shape[1]], image), shape
        assert not whole[:, shape[1] :].any(), shape


def test_only_images_can_be_fitted() -> None:
    with pytest.raises(ConfigError, match="--fit pad is for images, and synthetic is none"):
        open_source("synthetic", frame_shape=SHAPE, fit="pad")


def test_a_damaged_image_names_the_file(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), grey(0))
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StorageError, match=r"b\.png cannot be read"):
        pixels_of(open_source(str(tmp_path)))
    (tmp_path / "a.png").write_bytes(b"text")
    with pytest.raises(StorageError, match=r"a\.png is not a PNG, JPEG, BMP or TIFF"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_no_source_says_what_may_be_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"give a folder|holds no images"):
        open_source(str(tmp_path / name))


def test_a_video_becomes_frames_of_the_lines_height(tmp_path: Path) -> None:
    """Pictures follow each other along the strip; one that is too tall is cut."""
    path = tmp_path / "strip.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for level in (40, 120, 200):
        video.write(np.full((48, 64, 3), level, np.uint8))
    video.release()
    source = open_source(str(path), frame_shape=(16, 64))
    frames = pixels_of(source)
    assert len(frames) == source.count == 9
    assert [round(float(frame.mean()) / 40) for frame in frames] == [1] * 3 + [3] * 3 + [5] * 3
    times = [frame.t_ns for frame in source.frames() if frame.t_ns is not None]
    assert len(times) == 9
    assert times == sorted(set(times))
    with pytest.raises(ConfigError, match="64 pixels wide"):
        open_source(str(path), frame_shape=(16, 65))


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    """A decoder that is asked to guess would read text as pictures."""
    for content in (b"no video", b"line of text\n" * 200, b"", bytes(4000)):
        for name in ("strip.mp4", "strip.txt", "strip"):
            path = tmp_path / name
            path.write_bytes(content)
            with pytest.raises(StorageError, match="is not a video"):
                open_source(str(path))


def test_numbered_images_are_sent_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (1, 2, 9, 10, 11, 100):
        cv2.imwrite(str(tmp_path / f"line-{number}.png"), np.full(SHAPE, number, np.uint8))
    frames = pixels_of(open_source(str(tmp_path)))
    assert [int(frame[0, 0]) for frame in frames] == [1, 2, 9, 10, 11, 100]


def test_images_of_kinds_that_are_not_read_are_named(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.BMP"), grey(0))
    (tmp_path / "b.webp").write_bytes(b"RIFF")
    (tmp_path / "._a.png").write_bytes(b"written by macOS")
    source = open_source(str(tmp_path))
    assert np.array_equal(pixels_of(source)[0], grey(0))
    assert source.count == 1
    assert source.remark() == "left out 1 file of kind .webp; convert them to PNG to send them"
    (tmp_path / "a.BMP").unlink()
    with pytest.raises(ConfigError, match=r"no images that can be read, but 1 file of kind \.webp"):
        open_source(str(tmp_path))


def test_one_image_is_one_frame_whatever_its_name(tmp_path: Path) -> None:
    """A video decoder would take img-1.png as the first of a sequence."""
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f"img-{number}.png"), grey(number))
    source = open_source(str(tmp_path / "img-1.png"))
    assert [np.array_equal(frame, grey(1)) for frame in pixels_of(source)] == [True]
    (tmp_path / "img-1.png").rename(tmp_path / "other")
    assert np.array_equal(pixels_of(open_source(str(tmp_path / "other")))[0], grey(1))


def video(path: Path, pictures: int) -> bytes:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for number in range(pictures):
        writer.write(np.full((48, 64, 3), number * 5, np.uint8))
    writer.release()
    return path.read_bytes()


@pytest.mark.parametrize("suffix", ["avi", "mkv"])
def test_a_video_that_ends_early_is_an_error_at_its_end(tmp_path: Path, suffix: str) -> None:
    """Otherwise the strip would seem to end there."""
    path = tmp_path / f"strip.{suffix}"
    whole = video(path, 40)
    assert len(pixels_of(open_source(str(path)))) == 40
    path.write_bytes(whole[: len(whole) // 2])
    source = open_source(str(path))
    with pytest.raises(StorageError, match=r"of the 40 pictures .* could be read"):
        pixels_of(source)
    path.write_bytes(whole)
    assert len(pixels_of(source)) == 40


def test_the_decoder_of_videos_prints_nothing(tmp_path: Path) -> None:
    """Of a damaged video it would print thousands of lines, and bury our one."""
    path = tmp_path / "strip.avi"
    whole = bytearray(video(path, 40))
    whole[len(whole) // 2 : len(whole) * 3 // 4] = bytes(len(whole) * 3 // 4 - len(whole) // 2)
    path.write_bytes(whole)
    command = [sys.executable, "-m", "stripwatch", "replay", str(path), "--attach", "bind"]
    command += ["--endpoint", f"ipc://{tmp_path}/f", "--pattern", "push"]
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.connect(f"ipc://{tmp_path}/f")
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == ExitCode.STORAGE
    assert re.fullmatch(r"error: .* is cut or damaged: .*\n", done.stderr)


def test_the_synthetic_strip_is_endless_on_request() -> None:
    source = open_source("synthetic", frame_shape=(64, 160), seed=3, frame_count=None)
    assert source.count is None
    strip = SyntheticStrip(3, (64, 160))
    for index, frame in enumerate(itertools.islice(source.frames(), 5)):
        expected = strip.frame(index).pixels
        assert np.array_equal(np.frombuffer(frame.payload, np.uint8).reshape(64, 160), expected)
