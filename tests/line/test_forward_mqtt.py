"""Events forwarded to a real broker: each at least once, whoever is killed or cut off."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from tests.line.conftest import DAEMON_SHAPE, Daemon
from tests.line.forwarding import TOPICS, WINDOW, Broker, Consumer, Line, forwarding, section, wait

from stripwatch.errors import ExitCode
from stripwatch.journal.reader import JournalReader
from stripwatch.lab.faults.proxy import Proxy
from stripwatch.outputs.forward import STORE_EVENTS
from stripwatch.testing import FakeCamera

pytestmark = pytest.mark.slow
EVENTS = 2000


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path / "broker")
    made.start()
    yield made
    if made.process and made.process.poll() is None:
        made.kill()


@pytest.fixture
def line(tmp_path: Path, broker: Broker) -> Iterator[Line]:
    made = Line(tmp_path, broker.port)
    yield made
    made.close()


@pytest.fixture
def consumer(broker: Broker) -> Iterator[Consumer]:
    made = Consumer(broker.port)
    yield made
    made.close()


def test_every_event_comes_once_in_order_under_its_topic(line: Line, consumer: Consumer) -> None:
    """As it was journalled, also what is journalled meanwhile; the position is the last."""
    line.append(300)
    line.start()
    consumer.wait_for(300)
    consumer.wait_for(line.append(5))
    assert line.stop() == ExitCode.OK
    topics = [f"plant/line1/{TOPICS[seq % len(TOPICS)].replace('.', '/')}" for seq in range(306)]
    assert consumer.events == [(topics[seq], seq) for seq in range(1, 306)]
    with JournalReader(line.folder / "journal") as reader:
        page = reader.since(0, events_max=1000, bytes_max=10**7)
    assert [consumer.payloads[event.seq] for event in page.events] == [
        event.payload for event in page.events
    ]
    assert line.position == 305
    wait(lambda: consumer.statuses[-1]["state"] == "offline")
    assert consumer.statuses[-1]["reason"] == "stopped"
    assert consumer.statuses[-1]["acknowledged_seq"] == 305


def test_a_broker_that_stops_is_waited_for(line: Line, broker: Broker, consumer: Consumer) -> None:
    """We may start before it. It repeats to its consumers what it is not sure of, as we do."""
    last = line.append(EVENTS)
    broker.stop()
    line.start()
    line.wait_for_log("refuses connections: check that the broker runs there")
    broker.start()
    for seq in (EVENTS // 3, EVENTS // 2):
        consumer.wait_for(seq)
        broker.stop()
        broker.start()
    consumer.wait_for(last)
    assert consumer.first_seen == list(range(1, last + 1))
    assert line.stop() == ExitCode.OK


def test_what_a_killed_broker_forgets_is_a_hole_that_the_journal_fills(
    line: Line, broker: Broker, consumer: Consumer
) -> None:
    """It had acknowledged the events and kept them in memory alone."""
    consumer.close()
    broker.stop()  # saves the session of the consumer, who is away
    broker.start()
    line.append(100)
    line.start()
    wait(lambda: line.position == 100, line.log.read_text)
    broker.kill()
    broker.start()
    late = Consumer(broker.port)
    last = line.append(50)
    late.wait_for(last)
    late.close()
    assert line.stop() == ExitCode.OK
    assert late.first_seen == list(range(101, last + 1)), "the broker was expected to forget"
    with JournalReader(line.folder / "journal") as reader:
        page = reader.since(0, events_max=late.first_seen[0] - 1, bytes_max=10**7)
    assert [event.seq for event in page.events] + late.first_seen == list(range(1, last + 1))


def test_a_cut_network_loses_nothing(line: Line, broker: Broker, consumer: Consumer) -> None:
    """Only what was in flight comes twice."""
    proxy = Proxy(broker.port)
    proxy.start()
    line.configure(proxy.port)
    last = line.append(EVENTS)
    line.start()
    for seq in (200, EVENTS // 3, EVENTS // 2):
        consumer.wait_for(seq)
        proxy.cut()
    consumer.wait_for(last)
    assert consumer.first_seen == list(range(1, last + 1))
    assert consumer.doubled <= 3 * WINDOW
    assert line.stop() == ExitCode.OK
    proxy.close()


def test_a_killed_forwarder_repeats_little_and_loses_nothing(
    line: Line, consumer: Consumer
) -> None:
    """What was in flight, and what was acknowledged since its position was last stored."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    last = line.append(EVENTS)
    for third in range(3):
        process = line.start()
        consumer.wait_for(third * EVENTS // 3 + chance.randrange(1, EVENTS // 3))
        process.kill()
        process.wait()
    line.start()
    consumer.wait_for(last)
    assert consumer.first_seen == list(range(1, last + 1))
    assert consumer.doubled <= 3 * (STORE_EVENTS + 2 * WINDOW)


def test_a_frozen_broker_is_left_and_found_again(
    line: Line, broker: Broker, consumer: Consumer
) -> None:
    """Its connections stay open, and nothing is answered."""
    assert broker.process
    line.append(100)
    line.start()
    consumer.wait_for(100)
    broker.process.send_signal(signal.SIGSTOP)
    last = line.append(100)
    line.wait_for_log("does not answer any more")
    broker.process.send_signal(signal.SIGCONT)
    consumer.wait_for(last)
    assert consumer.first_seen == list(range(1, last + 1))
    assert line.stop() == ExitCode.OK


def test_the_last_will_tells_of_a_killed_forwarder(line: Line, consumer: Consumer) -> None:
    """It replaces the retained status; a consumer that comes later sees it, too."""
    process = line.start()
    wait(lambda: bool(consumer.statuses))
    assert consumer.statuses[-1]["state"] == "online"
    assert consumer.statuses[-1]["daemon"] is None
    process.kill()
    process.wait()
    wait(lambda: consumer.statuses[-1]["state"] == "offline")
    assert consumer.statuses[-1]["reason"] == "the connection was lost"


def test_that_nobody_listens_is_told(line: Line, broker: Broker) -> None:
    """The broker takes the events: they are acknowledged, and the log and the status warn."""
    line.append(10)
    line.start()
    line.wait_for_log("nobody has subscribed")
    with closing(Consumer(broker.port)) as consumer:
        wait(lambda: consumer.statuses[-1:] != [] and consumer.statuses[-1]["unheard"] == 10)
        assert consumer.statuses[-1]["nobody_listens"] is True
        assert consumer.retained[0]
        consumer.wait_for(line.append(1))
        line.wait_for_log("somebody has subscribed")


def test_a_refused_event_is_not_lost(line: Line, broker: Broker, consumer: Consumer) -> None:
    """The broker acknowledges with an error: the position waits until our rights are mended."""
    rules = broker.folder / "rules"
    rules.write_text("topic read #\ntopic write plant/line1/status\n")
    broker.stop()
    broker.configure("allow_anonymous true", f"acl_file {rules}")
    broker.start()
    assert broker.process
    line.append(10)
    line.start()
    line.wait_for_log("refuses a message: Not authorized")
    assert line.position == 0
    rules.write_text("topic readwrite #\n")
    broker.process.send_signal(signal.SIGHUP)
    consumer.wait_for(10)
    wait(lambda: line.position == 10)
    assert consumer.first_seen == list(range(1, 11))


def test_two_forwarders_with_one_name_are_told_apart(line: Line, tmp_path: Path) -> None:
    """Each throws the other out; both say why."""
    (tmp_path / "second").mkdir()
    port = int(line.config.read_text().partition("localhost:")[2].partition('"')[0])
    line.start()
    line.wait_for_log("connected")
    with closing(Line(tmp_path / "second", port)) as second:
        second.start()
        line.wait_for_log("check that no other client has the client_id plant-line1")


def test_a_whole_line_from_camera_to_broker(
    daemon: Daemon, camera: FakeCamera, broker: Broker, consumer: Consumer
) -> None:
    """Defects of a running daemon arrive, and the status has the daemon's own in it."""
    with daemon.config.open("a") as config:
        config.write("\n".join(section(broker.port)))
    daemon.start()
    daemon.wait_for("READY=1")
    with forwarding(daemon.config, daemon.folder / "forward.log") as forwarder:
        pixels = np.zeros(DAEMON_SHAPE, np.uint8)
        pixels[4:8, 10:20] = 252
        camera.send("top", "s", 0, pixels)
        wait(lambda: ("plant/line1/defect/top/kind1", 2) in consumer.events)
        wait(lambda: any(entry["daemon"] for entry in consumer.statuses))
        forwarder.terminate()
        assert forwarder.wait(20) == ExitCode.OK
    assert consumer.events[0] == ("plant/line1/daemon", 1)
    status = next(entry["daemon"] for entry in consumer.statuses if entry["daemon"])
    assert isinstance(status, dict)
    assert (status["type"], status["state"]) == ("status", "OK")
    assert daemon.stop() == ExitCode.OK
