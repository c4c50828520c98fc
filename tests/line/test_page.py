"""The page on the real pipeline in this process: what operators see and decide."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.testclient import TestClient
from tests.daemon.page.conftest import opened_page

from stripwatch.config.sections import Config, RequestsSection
from stripwatch.engines.fake import PAINT
from stripwatch.recording.writer import RecordingWriter
from stripwatch.testing import WAIT_S, FakeLine, fake_line
from stripwatch.wire.event import Defect, Review
from stripwatch.wire.frame import FrameHeader
from stripwatch_train.data.collect import collect
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.masks import load_mask

SHAPE = (8, 32)


@pytest.fixture
def line() -> Iterator[FakeLine]:
    with fake_line() as made:
        yield made


@pytest.fixture
def page(line: FakeLine, tmp_path: Path) -> Iterator[TestClient]:
    """Its page; the classes are known."""
    with opened_page(line.config, tmp_path) as client:
        until(lambda: state(client)["status"] and state(client)["config"]["classes"])
        yield client


def until(condition: Callable[[], Any]) -> None:
    until_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.05)


def state(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/state").json()
    return found


def painted(*class_ids: int) -> NDArray[np.uint8]:
    """A frame with a defect of 20 pixels of each of up to three classes, side by side."""
    pixels = np.zeros(SHAPE, np.uint8)
    for place, class_id in enumerate(class_ids):
        pixels[2:6, 10 * place + 1 : 10 * place + 6] = PAINT + class_id
    return pixels


def send(line: FakeLine, seq: int, *class_ids: int) -> list[Defect]:
    """Send a frame; its defects, in the order of their classes."""
    line.camera.send("top", "s", seq, painted(*class_ids), strip="C/1")
    line.wait_for_frame("top", "s", seq)
    line.wait(
        lambda: (
            sum(isinstance(one, Defect) and one.frame_seq == seq for one in line.events)
            == len(class_ids)
        )
    )
    return [one for one in line.events if isinstance(one, Defect) and one.frame_seq == seq]


def judge(client: TestClient, seq: int, verdict: str, **keys: object) -> int:
    answer = client.post("/api/reviews", json={"seq": seq, "verdict": verdict, **keys})
    assert answer.status_code == 200, answer.text
    number: int = answer.json()["seq"]
    return number


def test_the_state_is_that_of_the_daemon(line: FakeLine, page: TestClient) -> None:
    """Status, classes, and the strip under each camera."""
    send(line, 0, 1)
    until(lambda: state(page)["strips"][0]["strip"] == "C/1")
    found = state(page)
    assert found["status"]["state"] == "OK"
    assert found["stream"] == line.pipeline.outbox.stream
    assert [entry["name"] for entry in found["config"]["classes"]] == [
        f"kind{number}" for number in (1, 2, 3, 4)
    ]
    until(lambda: page.get("/api/charts?span=minute").json()["t_s"])


def test_what_is_judged_on_the_page_trains_the_next_model(
    line: FakeLine, page: TestClient, tmp_path: Path
) -> None:
    """Right stays, wrong becomes clean steel, another class and a smaller box are taken over."""
    writer = RecordingWriter(tmp_path / "strip.mcap")
    plan = {0: (1,), 1: (2,), 2: (1, 3), 3: (), 4: (4,)}
    found = {}
    for seq, class_ids in plan.items():
        header = FrameHeader(
            v=1, camera="top", session="s", seq=seq, t_ns=seq, shape=SHAPE, dtype="u8", codec="raw"
        )
        writer.add(msgspec.structs.replace(header, strip="C/1"), painted(*class_ids).tobytes())
        found[seq] = send(line, seq, *class_ids)
    writer.close()
    judge(page, found[0][0].seq, "wrong")
    judge(page, found[0][0].seq, "right")  # the last word holds
    wrong = judge(page, found[1][0].seq, "wrong", note="a drop of oil")
    judge(page, found[2][0].seq, "right", box_px=[2, 3, 2, 2])
    judge(page, found[2][1].seq, "other", class_name="kind2")
    line.wait(lambda: any(isinstance(one, Review) and one.seq == wrong for one in line.events))
    journal = Path(line.config.journal.folder or "")
    done = collect(
        tmp_path / "strip.mcap",
        None,
        tmp_path / "out",
        journal=journal,
        only_judged=True,
        classes=("kind1", "kind2", "kind3", "kind4"),
        clean_every=100,
    )
    assert (done.judged, done.cleared, done.defective, done.labels) == (4, 1, 2, 3)
    assert done.not_judged == 1  # frame 4, whose defect nobody looked at
    masks = {
        int(sample.name.split("-")[2].split(".")[0]): load_mask(sample, SHAPE)
        for sample in open_data_set(tmp_path / "out").samples
    }
    assert sorted(masks) == [0, 1, 2, 3]
    assert not masks[1].any()  # it must unlearn the drop of oil
    np.testing.assert_array_equal(masks[0], (painted(1) > 0) * 1)
    wanted = np.zeros(SHAPE, np.uint8)
    wanted[3:5, 2:4] = 1
    wanted[2:6, 11:16] = 2
    np.testing.assert_array_equal(masks[2], wanted)


def test_a_judgement_of_nothing_is_refused(line: FakeLine, page: TestClient) -> None:
    (defect,) = send(line, 0, 1)
    for body, status in (
        ({"seq": 10_000, "verdict": "right"}, 409),
        ({"seq": 1, "verdict": "right"}, 404),
        ({"seq": defect.seq, "verdict": "perhaps"}, 400),
        ({"seq": defect.seq, "verdict": "other", "class_name": "rust"}, 409),
        ({"seq": defect.seq, "verdict": "right", "note": "x" * 501}, 400),
        ({"seq": defect.seq, "verdict": "right", "more": 1}, 400),
    ):
        answer = page.post("/api/reviews", json=body)
        assert answer.status_code == status, body
        assert len(answer.json()["message"]) > 10
    assert page.get(f"/api/defects/{defect.seq}").json()["reviews"] == []


def test_a_threshold_is_tried_and_then_applied(line: FakeLine, page: TestClient) -> None:
    """What-if tells what would go; the next frame shows that it does."""
    send(line, 0, 1, 2)
    setting = [{"name": "kind1", "min_area_px": 21}]
    tried = page.post("/api/what-if", json={"classes": setting, "strip": "C/1"}).json()
    assert tried["last"]["by_class"]["kind1"] == {"total": 1, "remain": 0}
    assert tried["strip"]["by_class"]["kind2"] == {"total": 1, "remain": 1}
    assert tried["exactness"] == {"kind1": "exact"}
    applied = page.post("/api/thresholds", json={"classes": setting, "note": "order 7"})
    assert applied.json()["classes"][0]["min_area_px"] == 21
    assert applied.json()["seq"] is not None
    assert state(page)["config"]["classes"][0]["min_area_px"] == 21
    line.camera.send("top", "s", 1, painted(1), strip="C/1")
    line.wait_for_frame("top", "s", 1)
    (left,) = send(line, 2, 2)
    assert left.class_id == 2
    assert not any(isinstance(one, Defect) and one.frame_seq == 1 for one in line.events)
    again = page.post("/api/thresholds", json={"classes": setting})
    assert again.json()["seq"] is None
    refused = page.post("/api/thresholds", json={"classes": [{"name": "rust"}]})
    assert (refused.status_code, refused.json()["error"]) == (400, "bad_request")


def test_pictures_are_made_only_while_somebody_looks(
    line: FakeLine, page: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The subscription to them comes with the first look and goes after the last."""
    monkeypatch.setattr("stripwatch.page.live.IDLE_S", 1.5)
    monkeypatch.setattr("stripwatch.page.live_answers.LIVE_S_MAX", 1.0)
    before = line.pipeline.publisher.subscriptions
    seqs = iter(range(1000))
    answer = page.get("/api/live/top")
    until_s = time.monotonic() + WAIT_S
    while answer.status_code == 204:
        assert time.monotonic() < until_s
        send(line, next(seqs), 1)
        answer = page.get("/api/live/top")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-strip"] == "C/1"
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (*SHAPE, 3)
    blue, _, red = picture[4, 3]
    assert red > blue  # orange, the first class
    number = int(answer.headers["x-picture"])
    assert page.get(f"/api/live/top?after={number}").status_code == 204
    assert line.pipeline.publisher.subscriptions > before
    until(lambda: line.pipeline.publisher.subscriptions == before)
    assert page.get("/api/live/left").status_code == 404


def test_a_daemon_that_does_not_answer_is_said(
    line: FakeLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing hangs; and where it takes no requests that is said, too."""
    monkeypatch.setattr("stripwatch.page.daemon_link.ANSWER_S_MAX", 0.3)
    nobody = RequestsSection(endpoint=f"ipc://{tmp_path}/nobody")
    (defect,) = send(line, 0, 1)
    body = {"seq": defect.seq, "verdict": "right"}
    for requests, status, code in ((nobody, 504, "daemon"), (None, 409, "refused")):
        config: Config = msgspec.structs.replace(line.config, requests=requests)
        with opened_page(config, tmp_path) as client:
            answer = client.post("/api/reviews", json=body)
            assert (answer.status_code, answer.json()["error"]) == (status, code)
