"""Frame headers as a camera writes them."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import msgspec

from stripwatch.feed.sources.frame import SourceFrame
from stripwatch.wire.frame import FrameHeader


def new_session() -> str:
    """A random session id."""
    return uuid.uuid4().hex[:16]


class Numbering:
    """Numbers the frames of one camera: its session, frame number, and line on the strip."""

    def __init__(self, camera: str, session: str) -> None:
        self._camera = camera
        self._session = session
        self._seq = 0
        self._line = 0
        self._strip: str | None = None

    def header(self, frame: SourceFrame, strip: str | None, *, end: bool, t_ns: int) -> FrameHeader:
        """The header of the next frame; a strip with another name starts at line 0."""
        if strip != self._strip:
            self._line = 0
        header = FrameHeader(
            v=1,
            camera=self._camera,
            session=self._session,
            seq=self._seq,
            t_ns=t_ns,
            shape=frame.shape,
            dtype="u8",
            codec=frame.codec,
            strip=strip,
            line=self._line,
            end=end,
        )
        self._seq += 1
        self._line += frame.shape[0]
        self._strip = strip
        return header


class Renumbering:
    """Gives recorded frames new sessions: in a known session a daemon drops old numbers as late.

    Everything else stays as recorded, including skipped numbers; only `t_ns` becomes the time of
    sending, because the daemon measures latency from it.
    """

    def __init__(self, make_session: Callable[[], str] = new_session) -> None:
        self._make_session = make_session
        self._sessions: dict[tuple[str, str], str] = {}  # new, by camera and recorded session

    def header(self, recorded: FrameHeader, t_ns: int) -> FrameHeader:
        """The header to send in place of a recorded one."""
        key = (recorded.camera, recorded.session)
        session = self._sessions.setdefault(key, self._make_session())
        return msgspec.structs.replace(recorded, session=session, t_ns=t_ns)
