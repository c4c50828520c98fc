"""Operators' decisions in the real daemon: journalled, in force at once, kept over a restart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
import zmq
from numpy.typing import NDArray

from stripwatch import Defect, Review, Subscriber, Threshold
from stripwatch.engines.fake import PAINT
from stripwatch.service.kept_thresholds import FILE
from stripwatch.testing import WAIT_S, FakeCamera, fake_line
from stripwatch.wire.operator import ClassSetting
from stripwatch.wire.requests import (
    Answer,
    AskReview,
    AskThresholds,
    Classes,
    Error,
    Request,
    Written,
    parse_answer,
)

if TYPE_CHECKING:
    from tests.line.conftest import Daemon

EASY = ClassSetting(name="kind1", min_area_px=41)


def ask(endpoint: str, request: Request) -> Answer:
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.connect(endpoint)
        socket.send(msgspec.json.encode(request))
        assert socket.poll(int(WAIT_S * 1e3))
        return parse_answer(socket.recv_multipart()[0])


def painted(class_id: int, shape: tuple[int, int] = (32, 64)) -> NDArray[np.uint8]:
    """A frame with a defect of 40 pixels."""
    pixels = np.zeros(shape, np.uint8)
    pixels[2:6, 20:30] = PAINT + class_id
    return pixels


def test_a_judgement_is_a_numbered_event() -> None:
    """It follows the others in the stream, and tells camera and class of its defect."""
    with fake_line() as line:
        topics = ("defect.", "review")
        with Subscriber(
            line.events_endpoint, topics, requests=line.requests_endpoint, start="beginning"
        ) as events:
            line.camera.send("top", "s", 0, painted(2, (8, 32)))
            defect = events.receive(WAIT_S)
            assert isinstance(defect, Defect)
            request = AskReview(
                id="1", stream=defect.stream, seq=defect.seq, who="eva", verdict="wrong"
            )
            answer = ask(line.requests_endpoint, request)
            review = events.receive(WAIT_S)
        assert isinstance(review, Review)
        assert answer == Written(id="1", stream=defect.stream, seq=review.seq)
        assert review.seq > defect.seq
        assert (review.defect_seq, review.class_name) == (defect.seq, "kind2")


def test_while_the_journal_cannot_be_written_decisions_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing changes then: neither thresholds nor their file."""
    with fake_line() as line:
        monkeypatch.setattr(line.pipeline.outbox, "fault", "the disk is full")
        answer = ask(line.requests_endpoint, AskThresholds(id="1", who="eva", classes=(EASY,)))
        monkeypatch.undo()
        assert isinstance(answer, Error)
        assert (answer.error, answer.message) == ("storage", "the disk is full")
        assert line.pipeline.desk.classes()[0].min_area_px == 0
        kept = json.loads((line.pipeline._journal.path.parent / FILE).read_text())
        assert kept["settings"] == []


def test_during_a_reload_no_threshold_changes() -> None:
    """The reload would undo it."""
    with fake_line() as line:
        line.pipeline.desk.begin_reload()
        answer = ask(line.requests_endpoint, AskThresholds(id="1", who="eva", classes=(EASY,)))
        assert isinstance(answer, Error)
        assert answer.error == "busy"
        line.pipeline.desk.end_reload(None)
        answer = ask(line.requests_endpoint, AskThresholds(id="2", who="eva", classes=(EASY,)))
        assert isinstance(answer, Classes)
        assert answer.seq is not None


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (ClassSetting(name="rust", threshold=0.5), "no class 'rust'"),
        (ClassSetting(name="kind1", threshold=1.0), "threshold of kind1"),
    ],
)
def test_a_change_that_cannot_be_is_refused(setting: ClassSetting, words: str) -> None:
    with fake_line() as line:
        answer = ask(line.requests_endpoint, AskThresholds(id="1", who="eva", classes=(setting,)))
        assert isinstance(answer, Error)
        assert answer.error == "bad_request"
        assert words in answer.message


def test_a_change_holds_from_the_next_batch_on_and_over_a_restart(
    daemon: Daemon, camera: FakeCamera
) -> None:
    """It is journalled once; asking for the same again changes nothing."""
    requests = f"ipc://{daemon.folder}/requests"
    daemon.start()
    daemon.wait_for("READY=1")
    with Subscriber(
        f"ipc://{daemon.folder}/out",
        ("defect.", "threshold"),
        requests=requests,
        start="beginning",
    ) as events:
        camera.send("top", "s", 0, painted(1))
        assert isinstance(events.receive(WAIT_S), Defect)
        change = AskThresholds(id="1", who="eva", classes=(EASY,), note="too many")
        answer = ask(requests, change)
        assert isinstance(answer, Classes)
        assert [entry.min_area_px for entry in answer.classes] == [41, 0, 0, 0]
        assert answer.classes[0].configured_min_area_px == 0
        told = events.receive(WAIT_S)
        assert isinstance(told, Threshold)
        (one,) = told.changes
        assert (told.seq, told.who, told.note) == (answer.seq, "eva", "too many")
        assert (one.class_name, one.key, one.old, one.new) == ("kind1", "min_area_px", 0, 41)
        again = ask(requests, change)
        assert isinstance(again, Classes)
        assert again.seq is None
        camera.send("top", "s", 1, painted(1))  # 40 pixels are too few now
        camera.send("top", "s", 2, painted(2))
        defect = events.receive(WAIT_S)
        assert isinstance(defect, Defect)
        assert (defect.frame_seq, defect.class_id) == (2, 2)
        assert daemon.stop() == 0
        daemon.messages.clear()
        daemon.start()
        daemon.wait_for("READY=1")
        assert '"event": "set by an operator"' in daemon.log.read_text()
        camera.send("top", "s", 3, painted(1))
        camera.send("top", "s", 4, painted(2))
        defect = events.receive(WAIT_S)
        assert isinstance(defect, Defect)
        assert (defect.frame_seq, defect.class_id) == (4, 2)
    assert daemon.stop() == 0


def test_a_later_change_of_the_configuration_wins(daemon: Daemon) -> None:
    """At a reload as at a start; the log says so."""
    requests = f"ipc://{daemon.folder}/requests"
    daemon.start()
    daemon.wait_for("READY=1")
    asked = ask(requests, AskThresholds(id="1", who="eva", classes=(EASY,)))
    assert isinstance(asked, Classes)
    text = daemon.config.read_text()
    daemon.config.write_text(text + '[[inspect.classes]]\nname = "kind1"\nmin_area_px = 7\n')
    assert daemon.stop() == 0
    daemon.messages.clear()
    daemon.start()
    daemon.wait_for("READY=1")
    assert "what an operator set holds no more" in daemon.log.read_text()
    holds = ask(requests, AskThresholds(id="2", who="eva", classes=()))
    assert isinstance(holds, Classes)
    assert [entry.min_area_px for entry in holds.classes] == [7, 0, 0, 0]
    assert daemon.stop() == 0
