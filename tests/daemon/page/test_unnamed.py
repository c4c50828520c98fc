"""Strip without a coil id: where the page places its defects and gaps, and how it is listed."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.daemon.inspect.grading.strips import MadeStrip
from tests.daemon.journal.strip_journal import write_journal
from tests.daemon.page.conftest import Opened
from tests.daemon.page.test_journal_answers import append, closed, table

from stripwatch.config.sections import Config
from stripwatch.inspect.coverage import Account
from stripwatch.journal.records import CoverageRecord, Transaction
from stripwatch.journal.store import Journal
from stripwatch.page.unnamed import Booked, Unnamed
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import DefectClosed, FrameRange, Gap, NumberedEvent

FRAMES = 10_000  # of a metre, of one length
NAMELESS: dict[str, Any] = {"strip": None, "session": "u"}


def book(config: Config, last_seqs: dict[str, int], session: str = "u", first_seq: int = 0) -> None:
    """Book frames of a session, as the daemon does with their events."""
    with closing(Journal(Path(config.journal.folder or ""))) as journal:
        records = {
            (camera, session): CoverageRecord(
                camera, Account(session, first_seq, last_seq, last_seq - first_seq + 1)
            )
            for camera, last_seq in last_seqs.items()
        }
        journal.append(Transaction(coverage=records))


def gap(first: int, last: int, session: str = "u", cause: Cause = Cause.OVERLOAD) -> Gap:
    """A gap of the top camera."""
    return Gap(
        stream="s",
        seq=1,
        camera="top",
        strip=None,
        session=session,
        first_frame_seq=first,
        last_frame_seq=last,
        count=last - first + 1,
        cause=cause,
        downweb_mm=None,
    )


def made() -> list[NumberedEvent]:
    """A pit in frame 7, one over the seam after frame 20, one of another session, gaps."""
    strip = MadeStrip()
    pit = strip.defect(
        None, frame_seq=7, bbox_px=(0, 250, 1, 10), size_mm=(1.0, 10.0), is_whole=True, **NAMELESS
    )
    pieces = [
        strip.defect(None, frame_seq=seq, bbox_px=(0, y, 1, 20), size_mm=(1.0, 20.0), **NAMELESS)
        for seq, y in ((20, 980), (21, 0))
    ]
    whole: DefectClosed = closed(
        pieces, frames={"top": FrameRange("u", 20, 21)}, size_mm=(1.0, 40.0)
    )
    old = strip.defect(None, frame_seq=3, is_whole=True, strip=None, session="before")
    other = gap(1, 2, cause=Cause.SECOND_SENDER)
    return [pit, *pieces, whole, old, gap(30, 33), other]


def listed(client: TestClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/strips").json()["strips"]
    return found


def test_what_runs_without_a_coil_id_is_a_strip_whose_places_count_its_frames(
    journal_config: Config, opened: Opened
) -> None:
    """Listed, under each camera, with its defects and gaps; another session's are not in it."""
    write_journal(Path(journal_config.journal.folder or ""))
    append(journal_config, *made())
    book(journal_config, {"top": 49, "bottom": 39})
    with opened() as client:
        (strip,) = listed(client)
        name = strip["strip"]
        assert name.startswith("no coil id · 0 km · ")
        assert not strip["has_ended"]
        places = client.get("/api/state").json()["strips"]
        assert [(one["camera"], one["strip"], one["length_m"]) for one in places] == [
            ("top", name, 50.0),
            ("bottom", name, 40.0),
        ]
        head, columns = table(client.get(f"/api/strips/{name}/defects").content)
        assert head["strip"] == name
        shown = columns["flags"] < 4
        assert columns["downweb_m"][shown].tolist() == pytest.approx([7.25, 20.98])
        detail = client.get(f"/api/strips/{name}").json()
        assert [(one["from_m"], one["to_m"]) for one in detail["gaps"]] == [(30.0, 34.0)]
        assert detail["length_m"] == 50.0
        assert detail["start_ns"] is None
        items = client.get("/api/defects", params={"strip": name}).json()["defects"]
        assert [one["downweb_m"] for one in items] == [20.98, 7.25]
        item = client.get(f"/api/defects/{items[1]['seq']}").json()["item"]
        assert (item["strip"], item["downweb_m"]) == (name, 7.25)
        everything = client.get("/api/defects").json()["defects"]
        assert [one["strip"] for one in everything] == [None, name, name]
        assert client.get("/api/strips?search=coil-7").json()["strips"] == []


def test_a_long_run_is_cut_into_lengths_and_one_that_is_over_has_its_coverage(
    journal_config: Config, opened: Opened
) -> None:
    """A gap over the border counts on both sides of it."""
    write_journal(Path(journal_config.journal.folder or ""))
    append(journal_config, *made()[:-2], gap(FRAMES - 2, FRAMES + 5))
    book(journal_config, {"top": FRAMES + 20, "bottom": FRAMES + 20})
    with opened() as client:
        new, old = listed(client)
        assert (new["has_ended"], old["has_ended"], old["length_m"]) == (False, True, 10_000.0)
        detail = client.get(f"/api/strips/{new['strip']}").json()
        assert [(one["from_m"], one["to_m"]) for one in detail["gaps"]] == [(0.0, 6.0)]
        assert detail["length_m"] == 21.0
        detail = client.get(f"/api/strips/{old['strip']}").json()
        top, bottom = detail["coverage"]
        assert (top["frames_inspected"], top["frames_missed"]) == (FRAMES - 2, {"overload": 2})
        assert (bottom["frames_inspected"], bottom["frames_missed"]) == (FRAMES, {})
        assert detail["has_ended"]


def test_a_session_that_has_begun_a_strip_is_none_without_a_coil_id(
    journal_config: Config, opened: Opened
) -> None:
    """What such a line sends between two coils is no strip of its own."""
    write_journal(Path(journal_config.journal.folder or ""), MadeStrip())
    book(journal_config, {"top": 200, "bottom": 200}, session="x")
    with opened() as client:
        assert [one["strip"] for one in listed(client)] == ["C-4711"]
    book(journal_config, {"top": 9, "bottom": 9})
    with opened() as client:
        assert [one["strip"][:10] for one in listed(client)] == ["no coil id", "C-4711"]


def follow(*steps: dict[str, tuple[str, int, int, int]]) -> Unnamed:
    """What the page knows after it has looked so many times."""
    unnamed = Unnamed(frame_mm=1000.0, line_mm=1.0, sessions={})
    for step in steps:
        found = {
            camera: Booked(session, first, last, 10**9 * t_s)
            for camera, (session, first, last, t_s) in step.items()
        }
        unnamed = unnamed.followed(found)
    return unnamed


def test_a_camera_that_begins_anew_begins_a_strip_for_all_cameras() -> None:
    """All look at the same strip now, whatever their sessions have counted before."""
    before = follow({"top": ("a", 0, 900, 100), "bottom": ("b", 0, 905, 100)})
    assert [one.base for one in before.sessions.values()] == [0, 0]
    after = before.followed(
        {"top": Booked("c", 0, 2, 10**11), "bottom": Booked("b", 0, 910, 10**11)}
    )
    assert after.key != before.key
    assert after.length_mm("top", 0) == after.length_mm("bottom", 0) == 3000.0
    later = after.followed(
        {"top": Booked("c", 0, 12, 10**11), "bottom": Booked("b", 0, 919, 10**11)}
    )
    assert later.sessions["bottom"].base == after.sessions["bottom"].base
    assert later.length_mm("bottom", 0) == 12_000.0


def test_a_camera_that_was_silent_for_long_is_not_under_the_strip() -> None:
    """Nor does one leave it that stands still with the line."""
    only_top = follow({"top": ("a", 0, 50, 1000), "bottom": ("b", 0, 3000, 900)})
    assert list(only_top.sessions) == ["top"]
    both = {"top": ("a", 0, 50, 1000), "bottom": ("b", 0, 50, 1000)}
    resumed = follow(both, {"top": ("a", 0, 51, 2000), "bottom": ("b", 0, 50, 1000)})
    assert list(resumed.sessions) == ["top", "bottom"]
    assert follow(both, {}).sessions == {}
