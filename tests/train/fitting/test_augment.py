"""Augmentation: the random changes of an image, and their limits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from stripwatch_train.fitting.augment import (  # noqa: E402
    DROPOUT_LINES_MAX,
    DropLines,
    geometric,
    photometric,
    randint,
    seeded,
    uniform,
)
from stripwatch_train.runs.recipe import Augmentation  # noqa: E402

STILL = Augmentation(
    flip_lines=0, flip_pixels=0, stretch=0, gain=0, contrast=0, noise=0, dropout_lines=0
)
SEEDS = st.integers(0, 2**31)


def stack_of(planes: int, lines: int = 6, pixels: int = 8, seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (planes, lines, pixels), dtype=torch.uint8, generator=generator)


def augmentation(**changes: float) -> Augmentation:
    return Augmentation(
        **{name: getattr(STILL, name) for name in STILL.__struct_fields__} | changes
    )


@pytest.mark.parametrize("planes", [1, 2, 3, 5, 9])
def test_a_flip_flips_the_image_and_all_of_its_masks(planes: int) -> None:
    """Three planes are no colour image, and five are none with something to spare."""
    stack = stack_of(planes)
    assert torch.equal(geometric(augmentation(flip_lines=1))(stack), stack.flip(1))
    assert torch.equal(geometric(augmentation(flip_pixels=1))(stack), stack.flip(2))
    both = geometric(augmentation(flip_lines=1, flip_pixels=1))(stack)
    assert torch.equal(both, stack.flip(1, 2))
    assert torch.equal(geometric(STILL)(stack), stack)


def test_nothing_rotates_unless_it_is_asked_for() -> None:
    """Columns stay columns under all random changes: a line scans one way."""
    stack = stack_of(1)
    wanted = [stack, stack.flip(1), stack.flip(2), stack.flip(1, 2)]
    change = geometric(augmentation(flip_lines=0.5, flip_pixels=0.5))
    seen = set()
    for seed in range(64):
        with seeded(seed):
            found = change(stack)
        seen |= {index for index, way in enumerate(wanted) if torch.equal(way, found)}
        assert any(torch.equal(way, found) for way in wanted), f"seed {seed}"
    assert seen == {0, 1, 2, 3}


def test_a_turn_makes_lines_of_columns_in_the_image_and_all_of_its_masks() -> None:
    """With flips, the eight symmetries of a square come up, and nothing else."""
    stack = stack_of(3, 6, 6)
    assert torch.equal(geometric(augmentation(turn=1))(stack), stack.transpose(1, 2))
    wanted = {
        turned.numpy().tobytes()
        for quarter in range(4)
        for turned in (stack.rot90(quarter, (1, 2)), stack.flip(2).rot90(quarter, (1, 2)))
    }
    change = geometric(augmentation(flip_lines=0.5, flip_pixels=0.5, turn=0.5))
    seen = set()
    for seed in range(128):
        with seeded(seed):
            seen.add(change(stack).numpy().tobytes())
    assert seen == wanted


def test_a_share_of_images_is_flipped() -> None:
    stack = stack_of(2)
    change = geometric(augmentation(flip_pixels=0.25))
    with seeded(11):
        flipped = sum(not torch.equal(change(stack), stack) for _ in range(800))
    assert 160 < flipped < 240, "seed 11"


def test_without_lighting_an_image_is_as_it_was() -> None:
    image = stack_of(1)
    assert torch.equal(photometric(STILL)(image), image)


@given(seed=SEEDS)
def test_gain_multiplies_all_pixels_alike_and_within_its_limits(seed: int) -> None:
    image = torch.full((1, 4, 4), 100, dtype=torch.uint8)
    with seeded(seed):
        found = photometric(augmentation(gain=0.2))(image)
    assert found.min() == found.max()
    assert 79 <= int(found[0, 0, 0]) <= 120


@given(seed=SEEDS)
def test_contrast_keeps_the_mean_and_moves_pixels_from_or_to_it(seed: int) -> None:
    image = torch.tensor([[[80, 120], [80, 120]]], dtype=torch.uint8)
    with seeded(seed):
        found = photometric(augmentation(contrast=0.5))(image).float()
    assert 98 <= float(found.mean()) <= 101
    assert 19 <= float(found[0, 0, 1] - found[0, 0, 0]) <= 61


def test_noise_has_the_standard_deviation_that_was_asked_for() -> None:
    image = torch.full((1, 128, 128), 128, dtype=torch.uint8)
    with seeded(5):
        found = photometric(augmentation(noise=0.05))(image)
    assert found.dtype == torch.uint8
    assert float(found.float().std() / 255) == pytest.approx(0.05, rel=0.05)
    assert float(found.float().mean()) == pytest.approx(128, abs=1)


@given(seed=SEEDS, lines=st.integers(2, 40))
def test_lines_in_a_row_are_black_or_repeat_the_one_before_but_never_the_first(
    seed: int, lines: int
) -> None:
    image = 1 + stack_of(1, lines, 8, seed) // 2  # nothing is black
    before = image.clone()
    with seeded(seed):
        found = DropLines()(image)
    assert torch.equal(image, before), "the image itself is changed"
    lost = (found != image).any(dim=2)[0].nonzero()[:, 0].tolist()
    assert lost, "nothing is lost"
    first, last = lost[0], lost[-1]
    assert first > 0
    assert last - first + 1 <= min(DROPOUT_LINES_MAX, lines - 1)
    rows = found[0, first : last + 1]
    assert not rows.any() or torch.equal(rows, image[0, first - 1].expand_as(rows))


def test_every_number_of_lost_lines_and_every_place_comes_up() -> None:
    image = torch.arange(1, 9, dtype=torch.uint8).reshape(1, 8, 1).expand(1, 8, 4)
    black: set[tuple[int, int]] = set()
    repeated: set[tuple[int, int]] = set()
    for seed in range(300):
        with seeded(seed):
            found = DropLines()(image)[0, :, 0]
        lost = (found != image[0, :, 0]).nonzero()[:, 0].tolist()
        (repeated if found.all() else black).add((lost[0], len(lost)))
    wanted = {(first, count) for count in range(1, 5) for first in range(1, 9 - count)}
    assert black == repeated == wanted


def test_a_share_of_images_loses_lines() -> None:
    image = 1 + stack_of(1, 16) // 2
    change = photometric(augmentation(dropout_lines=0.25))
    with seeded(3):
        lost = sum(not torch.equal(change(image), image) for _ in range(400))
    assert 70 < lost < 130, "seed 3"


@given(numbers=st.lists(st.integers(0, 2**63), min_size=1, max_size=4))
def test_random_numbers_depend_on_the_seeds_alone_and_leave_torchs_generator_as_it_was(
    numbers: list[int],
) -> None:
    state = torch.random.get_rng_state()
    draws = []
    for _ in range(2):
        with seeded(*numbers):
            draws.append((uniform(), randint(0, 10**6)))
        torch.rand(3)
        torch.random.set_rng_state(state)
    assert draws[0] == draws[1]
    with seeded(*numbers):
        torch.rand(5)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_torchs_generator_is_restored_after_a_failure() -> None:
    state = torch.random.get_rng_state()

    def fail() -> None:
        with seeded(1):
            torch.rand(5)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_neighbouring_seeds_give_different_random_numbers() -> None:
    seen = set()
    for seed in range(3):
        for epoch in range(10):
            for position in range(20):
                with seeded(seed, epoch, position):
                    seen.add(uniform())
    assert len(seen) == 600


def test_random_numbers_are_the_same_in_every_process_and_on_every_machine() -> None:
    with seeded(1, 2, 3):
        assert (randint(0, 999), randint(0, 999)) == (550, 760)
        assert uniform() == pytest.approx(0.3874240517616272)


def test_randint_takes_both_ends_and_nothing_beyond() -> None:
    with seeded(0):
        assert {randint(2, 4) for _ in range(100)} == {2, 3, 4}
        assert randint(7, 7) == 7
        assert all(0 <= uniform() < 1 for _ in range(100))
