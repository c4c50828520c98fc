"""Where frames to send come from: images, a video, the synthetic strip, a recording."""

from stripwatch.feed.sources.choose import open_source
from stripwatch.feed.sources.frame import Source, SourceFrame

__all__ = ["Source", "SourceFrame", "open_source"]
