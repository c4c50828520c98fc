"""Frame numbers of one camera as its messages arrive: lost, late and stray frames, and sessions.

No single message can silence a camera (ADR 17):

- A session ends only by sending nothing more. One that continues after another has begun is
  inspected as before, so a stray message from elsewhere takes nothing away.
- A number far above the last one counts when a second frame of its session confirms it.
- A session that counts from the beginning again is followed under a name of its own.
- Where two sessions continue side by side, two senders use one camera name. The frames of the one
  that has sent less are missed with the cause `second_sender` until the other has ended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from msgspec.structs import replace as with_values

from stripwatch.inspect.coverage import Miss
from stripwatch.wire.causes import Cause
from stripwatch.wire.frame import FrameHeader, FrameId, lines_between

SESSIONS_MAX = 16  # that are remembered; an older one that sends again counts as new
JUMP_MAX = 1_000_000  # frames that are lost at once without doubt; 1,000 s at 1,000 frames/s
AGAIN_FRAMES = 8  # late frames in order, after which a session counts from the beginning
UNDER_WAY_NS_MAX = 60_000_000_000  # frames of a connection that was cut may come so much later
STEADY_FRAMES = 64  # in a row from one session: it has no rival any more
RETURNS_MAX = 8  # of an older session, with frames captured after the newer one began
CHANGES_MAX = 80  # between sessions; frames that still queue when a camera restarts make fewer
_STEM_CHARACTERS = 56  # of a session's name, so that a number fits behind it


@dataclass(frozen=True, slots=True)
class Arrival:
    """What becomes of a frame that has arrived."""

    frame: FrameHeader | FrameId  # its session renamed where that counts from the beginning again
    cause: Cause | None = None  # LATE, STRAY: not counted; SECOND_SENDER: missed; None: inspect it
    lost: Miss | None = None  # the frames lost before it


@dataclass(slots=True)
class _Session:
    name: str
    last_seq: int
    begun_ns: int = 0  # time of capture of its first frame; 0 if unknown
    latest_ns: int = 0  # time of capture of its last frame that was not late; 0 if unknown
    frames: int = 0
    again: int = 0  # how often it has counted from the beginning again
    strip: str | None = None
    next_line: int | None = None
    line_reversed: bool | None = None  # None: unknown, as after a start of the daemon
    suspect_seq: int = -1  # a number far above the last, not confirmed
    late_seq: int = -1  # of the latest late frame
    late_frames: int = 0  # in a row and in order


class SequenceTracker:
    """Follows the sessions and frame numbers of one camera."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}  # by the name that is sent; the oldest first
        self._current: _Session | None = None  # the one that is inspected
        self._latest: _Session | None = None  # the one that sent the latest frame
        self._row = 0  # frames in a row of the latest
        self._away = 0  # frames of others since the current one sent
        self._returns = self._changes = 0
        # Why frames came that are not known, where none has come since; None: nothing is known.
        self._unseen: Cause | None = None
        self.rivals: tuple[str, str] | None = None  # inspected and second sender, while there are

    def resume(self, name: str, last_seq: int, strip: str | None, next_line: int | None) -> None:
        """Continue a session that the daemon before this one has followed; the oldest first.

        What the first frame after the start shows to be missing came while no daemon ran.
        """
        session = _Session(name, last_seq, strip=strip, next_line=next_line)
        self._sessions[name] = session
        self._unseen = Cause.DAEMON_DOWN
        stem, _, again = name.rpartition("-")
        if not again.isdecimal() or int(again) < 2:
            return
        # It may be one that counts again, and be sent under the name without the number.
        session.again = int(again) - 1
        sent_names = (key for key in self._sessions if key[:_STEM_CHARACTERS] == stem)
        self._sessions[next(sent_names, stem)] = session

    def leave(self) -> None:
        """The camera is not in the configuration any more; what it sends is not looked at."""
        self._unseen = Cause.UNKNOWN_CAMERA
        self.rivals = None

    def arrive(self, frame: FrameHeader | FrameId) -> Arrival:
        """Follow one frame.

        A camera's first session counts from the first frame seen, since the daemon may have
        started later; every later session counts from 0.
        """
        session = self._sessions.get(frame.session) or self._begin(frame)
        if frame.seq <= session.last_seq:
            if not _begins_again(session, frame):
                return Arrival(frame, Cause.LATE)
            session = self._begin(frame, after=session)
        elif frame.seq - session.last_seq > JUMP_MAX:
            confirmed = 0 <= session.suspect_seq < frame.seq <= session.suspect_seq + JUMP_MAX
            session.suspect_seq = frame.seq
            if not confirmed:
                return Arrival(frame, Cause.STRAY)
        session.suspect_seq, session.late_frames = -1, 0
        if frame.session != session.name:
            frame = with_values(frame, session=session.name)
        cause = self._follow(session, frame)
        lost = _lost_before(session, frame) if frame.seq > session.last_seq + 1 else None
        if lost is not None and self._unseen:
            lost = replace(lost, cause=self._unseen)
        self._unseen = None
        session.frames += 1
        session.last_seq = frame.seq
        session.latest_ns = _captured_ns(frame)
        session.next_line = None
        if isinstance(frame, FrameHeader):
            session.strip = frame.strip
            session.next_line, session.line_reversed = frame.next_line, frame.line_reversed
        return Arrival(frame, cause, lost)

    def _begin(self, frame: FrameId, after: _Session | None = None) -> _Session:
        """A new session; `after` is the one of the same name, where it counts again."""
        again, name = 0, frame.session
        if after or any(entry.name == name for entry in self._sessions.values()):
            again, name = self._name_again(after.again if after else 0, frame.session)
        last_seq = -1 if self._sessions else frame.seq - 1
        if after:  # the frames that were late until now are lost in it
            last_seq = frame.seq - AGAIN_FRAMES
        session = _Session(name, last_seq, _captured_ns(frame), again=again)
        if after is None and len(self._sessions) >= SESSIONS_MAX:
            oldest = (key for key, entry in self._sessions.items() if entry is not self._current)
            del self._sessions[next(oldest)]
        self._sessions[frame.session] = session
        return session

    def _name_again(self, again: int, sent_name: str) -> tuple[int, str]:
        """How often a session has counted again, now once more, and a name that no session has."""
        taken = {entry.name for entry in self._sessions.values()}
        again += 1
        while (name := f"{sent_name[:_STEM_CHARACTERS]}-{again + 1}") in taken:
            again += 1
        return again, name

    def _follow(self, session: _Session, frame: FrameHeader | FrameId) -> Cause | None:
        """Choose the session to inspect; the cause of a frame of another one."""
        latest, self._latest = self._latest, session
        self._row = self._row + 1 if session is latest else 1
        self._away = 0 if session is self._current else self._away + 1
        if latest is not None and session is not latest and session.frames:
            self._changes += 1
            self._returns += session.begun_ns < latest.begun_ns <= _captured_ns(frame)
        if self._row >= STEADY_FRAMES:
            self._changes = self._returns = 0
        if self._returns < RETURNS_MAX and self._changes < CHANGES_MAX:
            self.rivals = None
            self._current = session
        elif self.rivals is None and latest is not None:
            self._current = latest if latest.frames > session.frames else session
        elif self._away >= STEADY_FRAMES:
            self._current = session
        if self._current is None or session is self._current:
            return None
        self.rivals = (self._current.name, session.name)
        return Cause.SECOND_SENDER


def _begins_again(session: _Session, frame: FrameHeader | FrameId) -> bool:
    """Whether late frames come in order: the session counts from the beginning.

    Frames that a connection held back come in order, too, but were captured before the last one.
    """
    captured_ns = _captured_ns(frame)
    if captured_ns and captured_ns <= session.latest_ns <= captured_ns + UNDER_WAY_NS_MAX:
        session.late_frames = 0
        return False
    session.late_frames = session.late_frames + 1 if frame.seq == session.late_seq + 1 else 1
    session.late_seq = frame.seq
    return session.late_frames >= AGAIN_FRAMES


def _captured_ns(frame: FrameHeader | FrameId) -> int:
    return frame.t_ns if isinstance(frame, FrameHeader) else 0


def _lost_before(session: _Session, frame: FrameHeader | FrameId) -> Miss:
    miss = Miss(frame.camera, frame.session, session.last_seq + 1, frame.seq - 1, Cause.LOST)
    if not isinstance(frame, FrameHeader) or frame.strip != session.strip:
        return miss  # lost between two strips: they may belong to either
    lines = _lines_lost(session, frame)
    return replace(
        miss,
        strip=frame.strip,
        lines=lines,
        t_ns=frame.t_ns,
        line_reversed=frame.line_reversed,
    )


def _lines_lost(session: _Session, frame: FrameHeader) -> tuple[int, int] | None:
    """The lines of the strip between a session's last frame and the next; None if unknown."""
    first, line = session.next_line, frame.line
    has_turned = session.line_reversed not in (None, frame.line_reversed)
    if first is None or line is None or has_turned:
        return None
    count = first - line if frame.line_reversed else line - first
    return lines_between(first, frame.line_reversed, count) if count >= 0 else None
