"""Where frames to send come from: images, a video, the synthetic strip, a recording."""

from stripwatch.sources.choose import open_source
from stripwatch.sources.frame import Source, SourceFrame

__all__ = ["Source", "SourceFrame", "open_source"]
