"""Sources of frames to send: images, a video, a recording, the synthetic strip."""

from stripwatch.feed.sources.choose import open_source
from stripwatch.feed.sources.frame import Source, SourceFrame

__all__ = ["Source", "SourceFrame", "open_source"]
