"""The kind of source that a SOURCE on the command line names."""

from __future__ import annotations

from pathlib import Path

from stripwatch.errors import ConfigError
from stripwatch.feed.sources.frame import Source
from stripwatch.feed.sources.images import images_source
from stripwatch.feed.sources.recording import recording_source
from stripwatch.feed.sources.synthetic import synthetic_source
from stripwatch.feed.sources.video import video_source

SYNTHETIC = "synthetic"
SYNTHETIC_FRAMES = 100  # default length of one pass


def open_source(
    text: str,
    *,
    frame_shape: tuple[int, int] | None = None,
    cameras: tuple[str, ...] = (),
    seed: int = 0,
    frame_count: int | None = SYNTHETIC_FRAMES,
) -> Source:
    """Open a folder of images, a video file, a recording (.mcap) or `synthetic`.

    Args:
        text: a path, or "synthetic".
        frame_shape: lines, pixels of the frames, if known.
        cameras: of a recording, only these; none = all.
        seed: of the synthetic strip.
        frame_count: length of the synthetic strip; None = it never ends.

    Raises:
        ConfigError: there is no such source, or its frames are of another size.
        StorageError: it cannot be read.
    """
    path = Path(text)
    if text == SYNTHETIC and not path.exists():
        return synthetic_source(seed, frame_shape, frame_count)
    if path.is_dir():
        return images_source(path, frame_shape)
    if path.suffix == ".mcap" and path.is_file():
        return recording_source(path, cameras)
    if path.is_file():
        return video_source(path, frame_shape)
    raise ConfigError(
        f"{text} does not exist; give a folder of images, a video, a recording (.mcap) "
        f"or the word {SYNTHETIC}"
    )
