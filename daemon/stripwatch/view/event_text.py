"""Events as aligned lines of text, with units."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text

from stripwatch.client.position import Lost, Renumbered
from stripwatch.view.overlay import class_colour
from stripwatch.wire.event import (
    DaemonEvent,
    DaemonReload,
    DaemonStart,
    DaemonStop,
    Defect,
    DefectClosed,
    Event,
    FrameResult,
    Gap,
    Light,
    Periodic,
    Review,
    State,
    Status,
    StripEnd,
    StripStart,
    Threshold,
)
from stripwatch.wire.verdict import Verdict

UNKNOWN = "-"
STATE_STYLES = {State.OK: "green", State.DEGRADED: "bold yellow", State.FAILED: "bold red"}


def event_heading() -> Text:
    """The names of the columns of `format_event`."""
    front = f"{'time':<12}  {'camera':<8}  {'coil':<14}  "
    return Text(
        f"{front}{'along strip':>12}  {'across':>11}  {'class':<12}  {'size':^22}", "dim italic"
    )


def format_event(  # noqa: PLR0911 - one for each type
    event: Event | Lost | Renumbered,
) -> Text:
    """One line for one event, or for what a subscriber says instead of events."""
    match event:
        case Defect() | DefectClosed():
            return _defect(event)
        case Gap():
            return _gap(event)
        case Light():
            return _light(event)
        case Periodic():
            return _periodic(event)
        case StripStart() | StripEnd():
            return _strip(event)
        case Review():
            return _review(event)
        case Threshold():
            return _threshold(event)
        case DaemonStart() | DaemonStop() | DaemonReload():
            return _daemon(event)
        case Status():
            return _status(event)
        case FrameResult():
            line = _front(event.t_ns, event.camera, event.strip)
            return line.append(f"frame {event.frame_seq}: {_count(event.defects, 'defect')}")
        case Lost() | Renumbered():
            return _notice(event)


def _defect(event: Defect | DefectClosed) -> Text:
    downweb_mm = event.position.downweb_mm
    downweb = UNKNOWN if downweb_mm is None else f"{downweb_mm / 1000:.3f}"
    width_mm, height_mm = event.size_mm
    red, green, blue = class_colour(event.class_id)
    line = _front(event.t_ns, event.camera, event.strip)
    line.append(f"{downweb:>10} m  {event.position.crossweb_mm:>8.1f} mm  ")
    line.append(f"{event.class_name:<12}", f"bold rgb({red},{green},{blue})")
    line.append(f"  {width_mm:>7.1f} x {height_mm:<7.1f} mm  ")
    if isinstance(event, Defect):
        return line.append(f"score {event.score:.2f}")
    line.append(f"whole, {_count(event.pieces, 'piece')}")
    return line.append(f", cut by {' and '.join(event.cut_by)}" if event.cut_by else "")


def _gap(event: Gap) -> Text:
    where = UNKNOWN
    if event.downweb_mm:
        first, end = (value / 1000 for value in event.downweb_mm)
        where = f"{first:.3f} to {end:.3f}"
    line = _front(None, event.camera, event.strip).append(f"{where:>10} m  ")
    frames = f"{event.first_frame_seq}"
    if event.count > 1:
        frames += f" to {event.last_frame_seq}"
    return line.append(
        f"NOT INSPECTED: {_count(event.count, 'frame')} ({frames}), {event.cause}", "bold red"
    )


def _light(event: Light) -> Text:
    first_mm, last_mm = event.crossweb_mm
    line = _front(event.t_ns, event.camera, event.strip)
    line.append(f"{UNKNOWN:>12}  {first_mm:>8.1f} mm  ")
    than = "brighter" if event.share > 1 else "darker"
    style = "bold red" if event.state == "opened" else "bold"
    line.append(f"LIGHT {event.state}: {event.kind} ", style)
    return line.append(
        f"to {last_mm:.1f} mm, {100 * abs(1 - event.share):.0f} % {than} than expected"
    )


def _periodic(event: Periodic) -> Text:
    line = _front(event.t_ns, event.camera, event.strip)
    line.append(f"{event.first_mm / 1000:>10.3f} m  {event.lane_mm:>8.1f} mm  ")
    state = "" if event.state == "opened" else f" {event.state}"
    line.append(f"ROLL MARK{state}: ", "bold red")
    line.append(f"every {event.period_mm:.1f} mm to {event.last_mm / 1000:.3f} m, {event.side}, ")
    line.append(f"{_count(event.teeth, 'tooth', 'teeth')}, {event.missed_teeth} missed; ")
    return line.append(", ".join(event.rolls) or "no roll of the configuration matches", "bold")


def _strip(event: StripStart | StripEnd) -> Text:
    line = _front(event.t_ns, event.camera, event.strip)
    if isinstance(event, StripStart):
        return line.append(f"strip starts at frame {event.frame_seq}", "bold")
    counts = event.whole_defects or event.defects  # old events have pieces alone
    defects = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    line.append("strip ends: ", "bold")
    line.append(
        f"{_count(event.frames_inspected, 'frame')} ({event.metres_inspected:.3f} m) inspected"
    )
    if event.metres_missed:
        causes = [f"{count} {cause}" for cause, count in event.frames_missed.items()]
        causes += [cause for cause in event.metres_missed if cause not in event.frames_missed]
        metres = sum(event.metres_missed.values())
        line.append(f", {', '.join(causes)} ({metres:.3f} m) missed", "bold red")
    line.append(f"; {defects or 'no defects'}")
    if isinstance(event.verdict, Verdict):
        so_far = "" if event.verdict.is_final else " so far"
        line.append(f"; grade{so_far}: {event.verdict.grade}", "bold")
    return line


def _daemon(event: DaemonEvent) -> Text:
    line = _front(event.t_ns, "", None)
    if isinstance(event, DaemonStart):
        return line.append(f"daemon {event.version} starts", "bold")
    if isinstance(event, DaemonReload):
        if event.result == "refused":
            return line.append(f"daemon does not reload: {event.detail}", "bold red")
        changes = ", ".join(event.changes) or "no changes"
        line.append(f"daemon reloads: {changes}", "bold")
        need_restart = ", ".join(event.need_restart)
        return line.append(f"; needs a restart: {need_restart}" if need_restart else "")
    if event.reason == "unclean":
        return line.append("the daemon before was killed, or power was lost", "bold red")
    line.append(f"daemon stops: {event.reason}", "bold")
    return line.append(f", {event.detail}" if event.detail else "")


def _review(event: Review) -> Text:
    line = _front(event.t_ns, event.camera, event.strip)
    what = f"{event.class_name} is {event.verdict}"
    if event.said:
        what = f"{event.class_name} is {event.said}"
    line.append(f"review of defect {event.defect_seq} by {event.who}: ")
    line.append(what, "bold")
    return line.append(f"; {event.note}" if event.note else "")


def _threshold(event: Threshold) -> Text:
    line = _front(event.t_ns, "", None)
    changes = [f"{one.class_name} {one.key} {one.old:g} -> {one.new:g}" for one in event.changes]
    return line.append(f"changed by {event.who}: ").append(", ".join(changes), "bold")


def _notice(event: Lost | Renumbered) -> Text:
    line = _front(None, "", None)
    if isinstance(event, Renumbered):
        words = f"the journal is another one; numbers go on after {event.after_seq}"
    else:
        count = _count(event.last_seq - event.first_seq + 1, "event")
        words = f"LOST: {count} ({event.first_seq} to {event.last_seq}), removed before read"
    return line.append(words, "bold red")


def _status(event: Status) -> Text:
    line = _front(event.t_ns, "", None)
    line.append(event.state, STATE_STYLES.get(event.state, ""))
    line.append(f", {event.frames_per_s:.1f} frames/s, {event.frames_inspected} inspected")
    drops = sum(event.drops.values())
    line.append(f", {drops} missed or rejected", "bold red" if drops else "")
    return line.append("".join(f"; {reason}" for reason in event.reasons))


def _front(t_ns: int | None, camera: str, strip: str | None) -> Text:
    """Time of day (local), camera and strip; the same width in every line."""
    time = " " * 12
    if t_ns is not None:
        moment = datetime.fromtimestamp(t_ns / 1e9).astimezone()
        time = moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
    return Text.assemble((time, "dim"), f"  {camera:<8}  {strip or UNKNOWN:<14}  ")


def _count(number: int, noun: str, nouns: str = "") -> str:
    return f"{number} {noun if number == 1 else nouns or noun + 's'}"
