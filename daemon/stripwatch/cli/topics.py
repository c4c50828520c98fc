"""Topics of events, as a command line gives them."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence

from stripwatch.errors import ConfigError

# The beginnings of all topics; docs/wire-formats.md.
TOPICS = (
    *("defect", "gap", "light", "periodic", "strip", "review", "threshold"),
    *("daemon", "status", "frame", "image"),
)


def topic_prefix(text: str) -> str:
    """A prefix of a topic that exists, from the command line.

    Raises:
        argparse.ArgumentTypeError: it is not one.
    """
    begin, dot, _ = text.partition(".")
    exists = begin in TOPICS if dot else any(topic.startswith(begin) for topic in TOPICS)
    if not exists:
        close = difflib.get_close_matches(begin, TOPICS, 1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise argparse.ArgumentTypeError(
            f"no topic begins with {text!r}{hint}; topics: {', '.join(TOPICS)}, followed by "
            ".CAMERA, for example defect.top"
        )
    return text


def check_cameras(topics: Sequence[str], cameras: Sequence[str]) -> None:
    """Refuse topics of cameras that the configuration does not have.

    Raises:
        ConfigError: a topic names another camera.
    """
    for topic in topics:
        kind, dot, rest = topic.partition(".")
        if kind == "periodic":  # of a side
            continue
        name, whole, _ = rest.partition(".")
        known = name in cameras if whole else any(camera.startswith(name) for camera in cameras)
        if dot and not known:
            raise ConfigError(
                f"--topic {topic}: the configuration has no camera {name}; it has: "
                f"{', '.join(cameras)}"
            )
