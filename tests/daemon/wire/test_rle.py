"""Run-length encodings, against a slow and obvious reference and against real masks."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pycocotools import mask as coco

from stripwatch.wire.causes import WireError
from stripwatch.wire.names import SIDE_MAX
from stripwatch.wire.rle import (
    Runs,
    decode_coco,
    decode_severstal,
    encode_coco,
    encode_masks,
    encode_severstal,
    runs_of_mask,
)

SHAPE = (256, 1600)
masks = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    elements=st.sampled_from([0, 0, 1]),
)


def reference(mask: NDArray[np.uint8]) -> str:
    """Pixel by pixel, down the columns, numbered from 1."""
    numbers: list[int] = []
    number = 0
    before = False
    for x in range(mask.shape[1]):
        for y in range(mask.shape[0]):
            number += 1
            here = bool(mask[y, x])
            if here and not before:
                numbers += [number, 0]
            if here:
                numbers[-1] += 1
            before = here
    return " ".join(map(str, numbers))


@given(masks)
def test_severstal_equals_the_reference_and_comes_back(mask: NDArray[np.uint8]) -> None:
    text = encode_severstal(runs_of_mask(mask))
    assert text == reference(mask)
    assert np.array_equal(decode_severstal(text, mask.shape), mask)


@given(masks)
def test_coco_equals_pycocotools_and_comes_back(mask: NDArray[np.uint8]) -> None:
    text = encode_coco(runs_of_mask(mask))
    assert text == coco.encode(np.asfortranarray(mask))["counts"].decode()
    assert np.array_equal(decode_coco(text, mask.shape), mask)


@pytest.mark.parametrize("seed", range(20))
def test_several_masks_are_encoded_as_each_alone(seed: int) -> None:
    """Of any shapes, empty and full ones among them, with counts of up to seven characters."""
    random = np.random.default_rng(seed)
    parts = []
    for _ in range(int(random.integers(0, 6))):
        shape = tuple(random.integers(1, (40, 300)))
        parts.append((random.random(shape) < random.choice([0, 0.01, 0.5, 0.9, 1])).view(np.uint8))
    encoded = encode_masks(list(map(runs_of_mask, parts)))
    assert [one.severstal for one in encoded] == list(map(reference, parts))
    expected = [coco.encode(np.asfortranarray(part))["counts"].decode() for part in parts]
    assert [one.coco for one in encoded] == expected


def test_the_longest_counts_are_those_of_pycocotools() -> None:
    """Seven characters, and differences below zero."""
    shape = (SIDE_MAX - 1, SIDE_MAX - 1)
    counts = [5, 3, 2**31, 40_000, 7, 2**30, 0]
    counts[-1] = shape[0] * shape[1] - sum(counts)
    edges = np.cumsum(counts)
    runs = Runs(edges[0::2][:3], np.array(counts[1::2]), shape)
    packed = coco.frPyObjects({"counts": counts, "size": list(shape)}, *shape)
    assert encode_coco(runs) == packed["counts"].decode()


@given(masks, st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_a_part_is_encoded_as_the_whole_frame_would_be(
    mask: NDArray[np.uint8], left: int, right: int, top: int, bottom: int
) -> None:
    whole = np.pad(mask, ((top, bottom), (left, right)))
    runs = runs_of_mask(mask, (left, top), whole.shape)
    assert encode_severstal(runs) == reference(whole)


def test_an_empty_mask_is_an_empty_string() -> None:
    empty = np.zeros((4, 5), np.uint8)
    assert encode_severstal(runs_of_mask(empty)) == ""
    assert not decode_severstal("", (4, 5)).any()
    assert np.array_equal(decode_coco(encode_coco(runs_of_mask(empty)), (4, 5)), empty)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("5", "number 1"),
        ("1 2 7", "number 3"),
        ("1 3 3 1", "number 3"),
        ("1 3 2 1", "number 3"),
        ("5 1 1 1", "number 3"),
        ("20 2", "number 2"),
        ("21 1", "number 2"),
        ("1 x", "character 2"),
        ("1 2.5", "character 3"),
        ("-3 2", "character 0"),
        ("3 -2", "character 2"),
        ("1\t2", "character 1"),
        ("\uff10 1", "character 0"),  # a digit, but not an ASCII one
        ("0 1", "number 1"),
        ("1 0", "number 2"),
        ("1 " + "9" * 30, "number 2"),
    ],
)
def test_a_malformed_string_is_an_error_that_names_the_position(text: str, position: str) -> None:
    with pytest.raises(WireError, match="bad_rle") as caught:
        decode_severstal(text, (4, 5))
    assert position in str(caught.value)


@given(st.text(alphabet=[chr(code) for code in range(40, 120)], max_size=12))
def test_any_coco_string_is_a_mask_or_an_error(text: str) -> None:
    """pycocotools itself would read and write beyond its memory."""
    try:
        mask = decode_coco(text, (5, 7))
    except WireError as error:
        assert "character" in str(error)
    else:
        assert mask.shape == (5, 7)
        assert np.array_equal(decode_coco(encode_coco(runs_of_mask(mask)), (5, 7)), mask)


@pytest.mark.parametrize("table", ["train.csv", "masks_only.csv"])
def test_every_real_mask_comes_back_to_the_same_string(shared_data: Path, table: str) -> None:
    with (shared_data / "severstal" / table).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        mask = decode_severstal(row["EncodedPixels"], SHAPE)
        runs = runs_of_mask(mask)
        assert encode_severstal(runs) == row["EncodedPixels"]
        assert np.array_equal(decode_coco(encode_coco(runs), SHAPE), mask)
