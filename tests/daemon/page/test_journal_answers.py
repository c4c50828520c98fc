"""Strips and defects of a journal, as the page is told of them."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.daemon.inspect.grading.strips import STRIP, MadeStrip
from tests.daemon.journal.strip_journal import write_journal
from tests.daemon.page.conftest import Opened

from stripwatch.config.grading import Grading, Rule
from stripwatch.config.sections import Config
from stripwatch.journal.pictures import Picture, PictureStore
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.records import Transaction, event_record
from stripwatch.journal.store import Journal
from stripwatch.page.strip_table import StripTable
from stripwatch.wire.event import (
    Defect,
    DefectClosed,
    FrameRange,
    NumberedEvent,
    Periodic,
    Review,
    build_event,
    with_number,
)

DTYPES = {"f64": "<f8", "f32": "<f4", "u8": "u1"}
RULES = Grading(
    rule_set="test",
    grades=("best", "worse"),
    rules=(
        Rule(name="inspected", measure="not_inspected_m", limit=1.0, grade="worse"),
        Rule(name="wide", measure="width_mm_max", limit=50, grade="worse"),
    ),
)


def closed(whole_of: list[Defect], **changes: object) -> DefectClosed:
    """The last event of a defect of these pieces."""
    first = whole_of[0]
    assert first.box_mm is not None
    event = DefectClosed(
        stream="s",
        seq=1,
        camera=first.camera,
        strip=first.strip,
        side=first.side,
        t_ns=9,
        part_of=first.part_of,
        joined=tuple(one.part_of for one in whole_of[1:]),
        pieces=len(whole_of),
        frames={first.camera: FrameRange("x", 0, 1)},
        class_id=first.class_id,
        class_name=first.class_name,
        score=0.8,
        peak=0.9,
        area_px=sum(one.area_px for one in whole_of),
        area_mm2=sum(one.area_mm2 for one in whole_of),
        position=first.position,
        box_mm=first.box_mm,
        size_mm=first.size_mm,
        edge_distance_mm=first.edge_distance_mm,
        cut_by=(),
    )
    return msgspec.structs.replace(event, **changes)


def made() -> MadeStrip:
    """A whole pit at 30 m, one at 10 m without a place, two pieces at 20 m that are one, a gap."""
    strip = MadeStrip()
    strip.defect(30_000.0, is_whole=True, score=0.5, size_mm=(60.0, 12.0), area_px=720)
    strip.defect(None, is_whole=True, edges_mm=(None, None))
    pieces = [strip.defect(20_000.0, area_px=5), strip.defect(20_010.0, area_px=50)]
    strip.events.append(closed(pieces))
    strip.gap(40.0, 2.0)
    return strip


@pytest.fixture
def written(journal_config: Config) -> list[NumberedEvent]:
    """The events of that strip in the journal."""
    return write_journal(Path(journal_config.journal.folder or ""), made())


def append(config: Config, *events: NumberedEvent, t_ns: int = 1_700_000_000_000_001_000) -> None:
    with closing(Journal(Path(config.journal.folder or ""))) as journal:
        numbered = [
            with_number(event, journal.stream, seq)
            for seq, event in enumerate(events, journal.last_seq + 1)
        ]
        records = []
        for event in numbered:
            topic, payload = build_event(event)
            records.append(event_record(event, topic, payload, t_ns))
        journal.append(Transaction(records))


def table(body: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """Head and columns of the page's binary form."""
    size = int.from_bytes(body[:4], "little")
    head = json.loads(body[4 : 4 + size])
    columns = {}
    for column in head["columns"]:
        assert column["offset"] % 8 == 0
        dtype = DTYPES[column["type"]]
        columns[column["name"]] = np.frombuffer(body, dtype, head["count"], column["offset"])
    return head, columns


def seqs_of(written: list[NumberedEvent], kind: type) -> list[int]:
    return [event.seq for event in written if isinstance(event, kind)]


def review(seq: int, verdict: str = "wrong", **changes: object) -> Review:
    plain = Review(
        stream="s",
        seq=1,
        camera="top",
        strip=STRIP,
        t_ns=5,
        who="eva",
        defect_seq=seq,
        class_name="pits",
        verdict="wrong",
    )
    return msgspec.structs.replace(plain, verdict=verdict, **changes)


def test_the_defects_of_a_strip_are_columns_in_order_along_it(
    opened: Opened, written: list[NumberedEvent], journal_config: Config
) -> None:
    """Places that are not known come last; pieces of a whole defect are marked."""
    one, unplaced, first_piece, second_piece = seqs_of(written, Defect)
    (whole,) = seqs_of(written, DefectClosed)
    append(journal_config, review(one), review(one, "other", said="cracks"))
    with opened() as client:
        answer = client.get(f"/api/strips/{STRIP}/defects")
        head, columns = table(answer.content)
        assert (head["strip"], head["count"], head["superseded"]) == (STRIP, 5, [])
        assert head["last_seq"] == written[-1].seq + 2
        assert columns["seq"].tolist() == [first_piece, whole, second_piece, one, unplaced]
        np.testing.assert_allclose(columns["downweb_m"], [20, 20, 20.01, 30, np.nan])
        assert columns["flags"].tolist() == [4, 2, 4, 1, 1]
        assert columns["review"].tolist() == [0, 0, 0, 3, 0]
        assert columns["side"].tolist() == [0] * 5
        assert np.isnan(columns["edge_mm"][4])
        assert (columns["width_mm"][3], columns["length_mm"][3]) == (60, 12)
        later = client.get(f"/api/strips/{STRIP}/defects?after={second_piece}")
        head, columns = table(later.content)
        assert columns["seq"].tolist() == [whole]
        assert sorted(head["superseded"]) == [first_piece, second_piece]
        assert client.get("/api/strips/no-such/defects").status_code == 404
        assert client.get(f"/api/strips/{STRIP}/defects?after=-1").status_code == 400


def test_a_table_grows_with_the_journal_and_begins_anew_with_another_passage(
    opened: Opened, written: list[NumberedEvent], journal_config: Config
) -> None:
    """What the strip was when it ran the first time is not shown as its present."""
    with opened() as client:
        head, _ = table(client.get(f"/api/strips/{STRIP}/defects").content)
        more = MadeStrip()
        more.defect(50_000.0)
        append(journal_config, *more.events)
        head, columns = table(client.get(f"/api/strips/{STRIP}/defects").content)
        assert (head["count"], columns["downweb_m"][-2]) == (6, 50)
        append(journal_config, *MadeStrip().all_events())
        head, _ = table(client.get(f"/api/strips/{STRIP}/defects").content)
        assert head["count"] == 0
        assert head["first_seq"] > written[-1].seq


@pytest.mark.usefixtures("written")
def test_a_strip_has_coverage_gaps_verdict_and_zones(
    opened: Opened, journal_config: Config
) -> None:
    """A zone is where a limit is exceeded, with the rules that say so."""
    graded = msgspec.structs.replace(journal_config, grading=RULES)
    with opened(config=graded) as client:
        found = client.get(f"/api/strips/{STRIP}").json()
        assert found["length_m"] == 100
        assert found["has_ended"]
        assert found["counts"] == {"pits": {"top": 3}}
        (gap,) = [one for one in found["gaps"] if one["seq"]]
        assert (gap["camera"], gap["cause"], gap["from_m"], gap["to_m"]) == ("top", "lost", 40, 42)
        assert found["verdict"]["grade"] == "worse"
        zones = [(zone["from_m"], zone["to_m"], zone["rules"]) for zone in found["zones"]]
        assert zones == [(30.0, 30.012, ["wide"]), (40, 42, ["inspected"])]
        (listed,) = client.get("/api/strips").json()["strips"]
        assert (listed["strip"], listed["length_m"], listed["has_ended"]) == (STRIP, 100, True)
        assert listed["metres_missed"] == 2
        assert client.get("/api/strips?search=c-47").json()["strips"] != []
        assert client.get("/api/strips?search=%25").json()["strips"] == []
        assert client.get(f"/api/strips?before={listed['first_seq']}").json()["strips"] == []
        report = client.get(f"/api/strips/{STRIP}/report")
        assert STRIP in report.text
        assert "script-src" not in report.headers["content-security-policy"]


def test_a_roll_mark_goes_on_until_it_is_closed(opened: Opened, journal_config: Config) -> None:
    write_journal(Path(journal_config.journal.folder or ""), MadeStrip())
    mark = Periodic(
        stream="s",
        seq=1,
        camera="top",
        strip=STRIP,
        session="x",
        frame_seq=1,
        state="opened",
        mark="top-1",
        side="top",
        lane_mm=400.0,
        period_mm=1885.0,
        rolls=("work roll",),
        first_mm=1000.0,
        last_mm=10_425.0,
        teeth=6,
        missed_teeth=0,
        p_value=1e-9,
        t_ns=9,
    )
    with opened() as client:
        for state, goes_on in (("opened", True), ("updated", True), ("closed", False)):
            append(journal_config, msgspec.structs.replace(mark, state=state))
            (item,) = client.get(f"/api/strips/{STRIP}").json()["marks"]
            assert (item["mark"], item["is_open"]) == ("top-1", goes_on)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 3),
        ("unit=piece", 4),
        ("class=pits", 3),
        ("class=cracks&class=pits", 3),
        ("class=cracks", 0),
        ("side=bottom", 0),
        ("camera=top", 3),
        ("strip=C-4711&score_min=0.6", 2),
        ("strip=other", 0),
        ("width_mm_min=50", 1),
        ("length_mm_min=11", 1),
        ("area_mm2_min=150", 2),
        ("edge_mm_max=1000", 2),
        ("edge_mm_max=3", 0),
        ("review=wrong", 1),
        ("review=none", 2),
        ("from_ns=1700000000000000000", 3),
        ("from_ns=1800000000000000000", 0),
        ("to_ns=1700000000000000000", 0),
    ],
)
def test_defects_are_listed_by_filters(
    opened: Opened, written: list[NumberedEvent], journal_config: Config, query: str, count: int
) -> None:
    """The newest first; a whole defect names its largest piece, which has a picture."""
    one, _, _, largest = seqs_of(written, Defect)
    append(journal_config, review(one))
    with opened() as client:
        found = client.get(f"/api/defects?{query}").json()
        assert len(found["defects"]) == count
        seqs = [item["seq"] for item in found["defects"]]
        assert seqs == sorted(seqs, reverse=True)
        for item in found["defects"]:
            is_whole = item["type"] == "defect_closed"
            assert item["picture_seq"] == (largest if is_whole else item["seq"])
            assert (item["review"] is not None) == (item["seq"] == one)


@pytest.mark.usefixtures("written")
def test_a_list_goes_on_where_it_ended(opened: Opened) -> None:
    """Page by page the same as at once."""
    with opened() as client:
        at_once = client.get("/api/defects?unit=piece").json()["defects"]
        query, found = "", []
        while True:
            page = client.get(f"/api/defects?unit=piece&limit=1{query}").json()
            found += page["defects"]
            if page["next"] is None:
                break
            query = f"&before={page['next']}"
        assert found == at_once
        for wrong in (
            "limit=0",
            "limit=501",
            "side=left",
            "score_min=x",
            "before=-1",
            f"to_ns={10**30}",
        ):
            assert client.get(f"/api/defects?{wrong}").status_code == 400, wrong


def test_a_defect_comes_with_pieces_reviews_and_pictures(
    opened: Opened, written: list[NumberedEvent], journal_config: Config
) -> None:
    """Pictures of a whole defect are those of its largest piece."""
    *_, first, largest = seqs_of(written, Defect)
    (whole,) = seqs_of(written, DefectClosed)
    append(journal_config, review(whole), review(whole, "right"))
    folder = Path(journal_config.journal.folder or "")
    with closing(PictureStore(folder)) as store:
        store.add([Picture(written[0].stream, largest, "crop", (3, 4), b"png")])
    with opened() as client:
        found = client.get(f"/api/defects/{whole}").json()
        assert [piece["seq"] for piece in found["pieces"]] == [first, largest]
        assert found["whole_seq"] == whole
        assert [one["verdict"] for one in found["reviews"]] == ["wrong", "right"]
        assert found["item"]["review"]["verdict"] == "right"
        assert found["event"]["type"] == "defect_closed"
        (picture,) = found["pictures"]
        assert (picture["kind"], picture["x"], picture["y"]) == ("crop", 3, 4)
        answer = client.get(picture["url"])
        assert (answer.content, answer.headers["content-type"]) == (b"png", "image/png")
        piece = client.get(f"/api/defects/{first}").json()
        assert (piece["whole_seq"], len(piece["pieces"])) == (whole, 1)
        assert client.get(f"/api/defects/{first}/crop").status_code == 404
        assert client.get(f"/api/defects/{first}/other").status_code == 404
        assert client.get("/api/defects/1").status_code == 404
        assert client.get("/api/defects/10000").status_code == 404
        assert client.get(f"/api/defects/{10**30}").status_code == 404
        assert client.get(f"/api/defects/{10**30}/crop").status_code == 404


def test_a_picture_that_is_not_written_yet_is_said_to_come(
    opened: Opened, written: list[NumberedEvent], journal_config: Config
) -> None:
    """Until that of a later defect is there: pictures come in the order of the events."""
    folder = Path(journal_config.journal.folder or "")
    stream, last_seq = written[0].stream, written[-1].seq
    strip = MadeStrip()
    append(journal_config, strip.defect(1.0), strip.defect(2.0), t_ns=time.time_ns())
    with opened() as client, closing(PictureStore(folder)) as store:

        def comes(seq: int) -> bool:
            return bool(client.get(f"/api/defects/{seq}").json()["picture_comes"])

        assert not comes(seqs_of(written, Defect)[0])  # it is old
        assert comes(last_seq + 1)
        store.add([Picture(stream, last_seq + 1, "crop", (3, 4), b"png")])
        assert not comes(last_seq + 1)
        assert comes(last_seq + 2)
        store.add([Picture(stream, last_seq + 3, "crop", (3, 4), b"png")])
        assert not comes(last_seq + 2)


def test_a_journal_that_is_not_there_is_said(opened: Opened) -> None:
    """The page is up before the daemon has ever run."""
    with opened() as client:
        for path in ("/api/strips", f"/api/strips/{STRIP}", "/api/defects", "/api/defects/1"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["error"]) == (503, "journal"), path
        state = client.get("/api/state").json()
        assert (state["status"], state["stream"]) == (None, None)
        assert "does not exist" in state["journal"]["error"]


def test_retention_that_takes_the_beginning_makes_a_table_begin_anew(
    written: list[NumberedEvent], journal_config: Config
) -> None:
    folder = Path(journal_config.journal.folder or "")
    known = StripTable(STRIP, journal_config, {"pits": 0})
    with JournalReader(folder) as reader:
        known.follow(reader)
        assert known.size == 5
        with closing(Journal(folder)) as journal:
            journal.remove(seqs_of(written, Defect)[1])
        known.follow(reader)
    assert known.size == 3
