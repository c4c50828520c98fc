"""A follower under random losses, retention and new journals: every number once, in order."""

from __future__ import annotations

import random
from collections import deque

import pytest

from stripwatch.client.position import Follower, Lost, Renumbered
from stripwatch.wire.requests import Error, Events, Place, Range


class World:
    """A journal, and a publisher that drops."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.stream = "stream-0"
        self.first, self.last = 1, 0
        self.drops = 0.0
        self.queue: deque[tuple[str, str, int]] = deque()

    def publish(self) -> None:
        self.last += 1
        self.send("event")

    def send(self, kind: str) -> None:
        if self.chance.random() >= self.drops:
            self.queue.append((kind, self.stream, self.last))

    def remove_old(self) -> None:
        self.first = max(self.first, self.chance.randint(0, max(0, self.last - 1)))

    def make_anew(self) -> None:
        self.stream = f"stream-{int(self.stream[7:]) + 1}"
        self.first, self.last = 1, 0

    def since(self, place: Place, events_max: int) -> Events | Error:
        if place.stream != self.stream or place.seq > self.last:
            error = "ahead" if place.stream == self.stream else "other_stream"
            return Error(
                id="1",
                error=error,  # type: ignore[arg-type]
                message="",
                stream=self.stream,
                last_seq=self.last,
            )
        begin = max(place.seq, self.first - 1)
        through_seq = min(begin + events_max, self.last)
        lost = Range(place.seq + 1, begin) if begin > place.seq else None
        return Events(
            id="1",
            stream=self.stream,
            count=through_seq - begin,
            through_seq=through_seq,
            last_seq=self.last,
            lost=lost,
        )


def step(
    world: World, follower: Follower, events_max: int
) -> list[tuple[str, int] | Lost | Renumbered]:
    """What a subscriber hands on in one turn."""
    if follower.is_behind:
        assert follower.place
        answer = world.since(follower.place, events_max)
        if isinstance(answer, Error):
            renumbered = follower.renumber(answer)
            assert renumbered
            return [renumbered]
        lost = follower.turn(answer)
        events = range(answer.through_seq - answer.count + 1, answer.through_seq + 1)
        return [*([lost] if lost else []), *((answer.stream, seq) for seq in events)]
    if world.queue:
        kind, stream, seq = world.queue.popleft()
        if kind == "status":
            follower.hear(stream, seq)
        elif follower.take(stream, seq):
            return [(stream, seq)]
    return []


def check(items: list[tuple[str, int] | Lost | Renumbered], place: Place) -> Place:
    """Walk through what was handed on: each item must follow the one before."""
    for item in items:
        match item:
            case Lost():
                assert (item.stream, item.first_seq) == (place.stream, place.seq + 1)
                place = Place(item.stream, item.last_seq)
            case Renumbered():
                assert (item.old_stream, item.old_seq) == (place.stream, place.seq)
                place = Place(item.stream, item.after_seq)
            case stream, seq:
                assert (stream, seq) == (place.stream, place.seq + 1)
                place = Place(stream, seq)
    return place


@pytest.mark.parametrize("seed", range(200))
def test_every_number_comes_once_or_is_named_as_lost(seed: int) -> None:
    """Whatever was dropped, removed or made anew, and however short the pages."""
    chance = random.Random(seed)
    world = World(chance)
    start = Place(world.stream, 0)
    follower = Follower(start)
    handed = []
    for _ in range(chance.randint(50, 500)):
        world.drops = chance.choice([0, 0, 0.1, 0.9])
        action = chance.random()
        if action < 0.5:
            for _ in range(chance.randint(1, 10)):
                world.publish()
        elif action < 0.6:
            world.send("status")
        elif action < 0.63:
            world.remove_old()
        elif action < 0.64:
            world.make_anew()
        for _ in range(chance.choice([0, 1, 20])):
            handed += step(world, follower, chance.randint(1, 5))
    world.drops = 0
    world.send("status")
    while world.queue or follower.is_behind:
        handed += step(world, follower, 5)
    assert check(handed, start) == Place(world.stream, world.last), f"seed {seed}"
    is_made_anew = any(isinstance(item, Renumbered) for item in handed)
    assert is_made_anew == (world.stream != start.stream), f"seed {seed}"


def test_without_losses_nothing_is_asked_for() -> None:
    """Live events are handed on as they come."""
    follower = Follower(Place("s", 7))
    follower.is_behind = False
    assert [follower.take("s", seq) for seq in (7, 8, 9, 8)] == [False, True, True, False]
    follower.hear("s", 9)
    assert not follower.is_behind
    assert follower.place == Place("s", 9)


def test_an_older_copy_of_the_journal_is_noticed_by_its_status() -> None:
    """Its numbers are below the subscriber's; they go on from where the copy ends."""
    world = World(random.Random(0))
    world.last = 80
    follower = Follower(Place(world.stream, 100))
    follower.is_behind = False
    world.send("status")
    assert step(world, follower, 5) == []
    (renumbered,) = step(world, follower, 5)
    assert renumbered == Renumbered(
        stream=world.stream, after_seq=80, old_stream=world.stream, old_seq=100
    )
    world.publish()
    assert step(world, follower, 5) == [(world.stream, 81)]


def test_before_the_start_is_known_nothing_is_taken() -> None:
    follower = Follower()
    assert not follower.take("s", 1)
    assert follower.is_behind
