"""The kind of source that a SOURCE on the command line names."""

from __future__ import annotations

from pathlib import Path

from stripwatch.errors import ConfigError, StorageError
from stripwatch.feed.sources.fit import Fit
from stripwatch.feed.sources.frame import Source
from stripwatch.feed.sources.image_file import KINDS, is_image
from stripwatch.feed.sources.images import images_source
from stripwatch.feed.sources.recording import recording_source
from stripwatch.feed.sources.synthetic import Flaws, synthetic_source
from stripwatch.feed.sources.video import is_video, video_source

SYNTHETIC = "synthetic"
NO_FLAWS = Flaws()
SYNTHETIC_FRAMES = 100  # default length of one pass
RECORDING_MAGIC = b"\x89MCAP"
MAGIC_BYTES = 1024  # of a file, by which its kind is known


def open_source(
    text: str,
    *,
    frame_shape: tuple[int, int] | None = None,
    cameras: tuple[str, ...] = (),
    seed: int = 0,
    frame_count: int | None = SYNTHETIC_FRAMES,
    fit: Fit = "exact",
    flaws: Flaws = NO_FLAWS,
) -> Source:
    """Open a folder of images, an image, a video, a recording or `synthetic`.

    The kind of a file is known by its first bytes, whatever its name is.

    Args:
        text: a path, or "synthetic".
        frame_shape: lines, pixels of the frames, if known.
        cameras: of a recording, only these; none = all.
        seed: of the synthetic strip.
        frame_count: length of the synthetic strip; None = it never ends.
        fit: how images of other sizes become frames; of other sources only `exact`.
        flaws: of the synthetic strip.

    Raises:
        ConfigError: there is no such source, or its frames are of another size.
        StorageError: it cannot be read.
    """
    path = Path(text)
    if text == SYNTHETIC and not path.exists():
        _check_exact(text, fit)
        return synthetic_source(seed, frame_shape, frame_count, flaws)
    if path.is_dir():
        return images_source(path, frame_shape, fit)
    if not path.exists():
        raise ConfigError(
            f"{text} does not exist; give a folder of images, a video, a recording (.mcap) "
            f"or the word {SYNTHETIC}"
        )
    magic = _first_bytes(path)
    # The name counts, too: a recording whose first bytes are damaged is called one.
    if magic.startswith(RECORDING_MAGIC) or path.suffix.lower() == ".mcap":
        _check_exact(text, fit)
        return recording_source(path, cameras)
    if is_image(magic):
        return images_source(path, frame_shape, fit)
    if is_video(magic):
        _check_exact(text, fit)
        return video_source(path, frame_shape)
    raise StorageError(
        f"{text} is not a video or recording that can be read, nor an image; give a folder of "
        f"images ({KINDS}), an MP4, AVI or MKV file, or a recording (.mcap)"
    )


def _check_exact(text: str, fit: Fit) -> None:
    if fit != "exact":
        raise ConfigError(f"--fit {fit} is for images, and {text} is none; leave the option out")


def _first_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise ConfigError(f"{path} is neither a file nor a folder; give one of them")
    try:
        with path.open("rb") as file:
            return file.read(MAGIC_BYTES)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
