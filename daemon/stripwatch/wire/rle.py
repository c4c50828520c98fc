"""Run-length encodings of masks: Severstal's EncodedPixels and COCO's compressed counts.

Severstal: `"start length start length ..."`, pixels numbered from 1 down the columns, an empty
string for an empty mask. COCO: lengths of alternating runs of 0 and 1, also down the columns,
packed into characters by pycocotools.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from stripwatch.wire.causes import Cause, WireError

Ints = NDArray[np.int64]

_NOT_A_NUMBER = re.compile(r"[^0-9 ]")
_DIGITS_MAX = 12  # no mask has a pixel number this long; keeps int() and int64 cheap and safe


class Runs(msgspec.Struct, frozen=True):
    """The runs of a mask [lines, pixels], numbered down the columns from 0, in order.

    `starts` and `lengths` are int64 [runs]; runs never touch.
    """

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    shape: tuple[int, int]


def runs_of_mask(
    mask: NDArray[np.uint8], origin: tuple[int, int] = (0, 0), shape: tuple[int, int] | None = None
) -> Runs:
    """The runs of a mask, uint8 or bool [h, w], that lies at `origin` (x, y) in a frame of `shape`.

    Cost grows with the mask given, not with the frame.
    """
    height, width = mask.shape
    lines, pixels = shape or mask.shape
    # One zero after each column keeps runs inside their column, one zero in front starts the first.
    padded = np.zeros(width * (height + 1) + 1, np.uint8)
    np.not_equal(mask.T, 0, out=padded[1:].reshape(width, height + 1)[:, :height], casting="unsafe")
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    column, row = np.divmod(edges[0::2], height + 1)
    starts = (origin[0] + column) * lines + origin[1] + row
    lengths = edges[1::2] - edges[0::2]
    if height == lines and len(starts) > 1:  # only then can a run continue in the next column
        first = np.flatnonzero(np.r_[True, starts[1:] != starts[:-1] + lengths[:-1]])
        starts, lengths = starts[first], np.add.reduceat(lengths, first)
    return Runs(starts, lengths, (lines, pixels))


class Encoded(NamedTuple):
    """A mask in both encodings."""

    severstal: str
    coco: str


def encode_masks(masks: Sequence[Runs]) -> list[Encoded]:
    """Several masks in both encodings, which costs little more than one."""
    if not masks:
        return []
    sizes = np.array([len(runs.starts) for runs in masks])
    starts = np.concatenate([runs.starts for runs in masks])
    lengths = np.concatenate([runs.lengths for runs in masks])
    pixels = np.array([runs.shape[0] * runs.shape[1] for runs in masks])
    severstal = _severstal_texts(starts, lengths, sizes)
    coco_texts = _coco_texts(*_coco_counts(starts, starts + lengths, sizes, pixels))
    return list(map(Encoded, severstal, coco_texts))


def encode_severstal(runs: Runs) -> str:
    """Severstal's EncodedPixels of a mask's runs; an empty mask is an empty string."""
    return encode_masks([runs])[0].severstal


def decode_severstal(text: str, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The mask, uint8 0 or 1 [lines, pixels], of Severstal's EncodedPixels.

    Raises:
        WireError: `bad_rle`, naming the position in the string.
    """
    bad = _NOT_A_NUMBER.search(text)
    if bad:
        what = "a negative number" if bad.group() == "-" else repr(bad.group())
        raise _bad(f"{what} at character {bad.start()}; only digits and spaces are allowed")
    words = text.split()
    if len(words) % 2:
        raise _bad(f"number {len(words)} is a start without a length (odd count of numbers)")
    flat = np.zeros(shape[0] * shape[1], np.uint8)
    end = 0
    for index in range(0, len(words), 2):
        start, length = (_number(words, index + offset) for offset in (0, 1))
        if start < 1 or length < 1:
            raise _bad(f"number {index + 1 + (start >= 1)} is 0; starts and lengths count from 1")
        if start - 1 < end:
            raise _bad(f"number {index + 1}: start {start} overlaps the run that ends at {end}")
        end = start - 1 + length
        if end > flat.size:
            raise _bad(f"number {index + 2}: run ends at {end}, past the last pixel {flat.size}")
        flat[start - 1 : end] = 1
    return np.ascontiguousarray(flat.reshape(shape[1], shape[0]).T)


def encode_coco(runs: Runs) -> str:
    """COCO's compressed counts of a mask's runs."""
    return encode_masks([runs])[0].coco


def _severstal_texts(starts: Ints, lengths: Ints, sizes: Ints) -> Iterator[str]:
    """The text of each mask, of which `sizes` has the number of runs."""
    numbers = np.empty(2 * len(starts), np.int64)
    numbers[0::2], numbers[1::2] = starts + 1, lengths
    listed = numbers.tolist()
    for first, end in pairwise([0, *np.cumsum(2 * sizes).tolist()]):
        # A list in JSON is the same numbers between commas, and written in a tenth of the time.
        text = msgspec.json.encode(listed[first:end])[1:-1]
        yield str(text.replace(b",", b" "), "ascii")


def _coco_counts(starts: Ints, ends: Ints, sizes: Ints, pixels: Ints) -> tuple[Ints, Ints]:
    """Lengths of the runs of 0 and 1 of all masks, and where those of each begin, and the end."""
    firsts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(2 * sizes + 1, out=firsts[1:])
    lasts = firsts[1:] - 1
    # Both edges of every run, and the mask's end; counts are the distances between them.
    places = np.arange(0, 2 * len(starts), 2) + np.arange(len(sizes)).repeat(sizes)
    edges = np.empty(firsts[-1], np.int64)
    edges[places], edges[places + 1], edges[lasts] = starts, ends, pixels
    counts = edges.copy()
    counts[1:] -= edges[:-1]
    counts[firsts[:-1]] = edges[firsts[:-1]]
    if counts[lasts].all():
        return counts, firsts
    kept = np.ones(len(counts), np.bool_)
    kept[lasts] = counts[lasts] > 0  # as pycocotools: no empty run at the end
    firsts[1:] = np.cumsum(kept)[lasts]
    return counts[kept], firsts


def _coco_texts(counts: Ints, firsts: Ints) -> list[str]:
    """The text of each mask's counts, as maskApi.c's rleToString makes it.

    From the fourth count on, the difference to the count two before; 5 bits a character, low bits
    first, bit 5 set where more follow.
    """
    values = counts.copy()
    values[2:] -= counts[:-2]
    for offset in range(3):
        own = firsts[:-1] + offset
        own = own[own < firsts[1:]]
        values[own] = counts[own]
    sizes = values ^ (values >> 63)  # a negative value is as long as its complement
    widths = np.ones(len(values), np.int64)
    limit, largest = 16, int(sizes.max())
    while largest >= limit:
        widths += sizes >= limit
        limit <<= 5
    ends = np.zeros(len(values) + 1, np.int64)
    np.cumsum(widths, out=ends[1:])
    characters = np.empty(ends[-1], np.uint8)
    places = ends[:-1]
    while len(places):  # the first characters of all, then the second of those that have one ...
        more = widths > 1
        characters[places] = (values & 31) + 48 + 32 * more
        left = more.nonzero()[0]
        values, widths, places = values[left] >> 5, widths[left] - 1, places[left] + 1
    text = str(characters.tobytes(), "ascii")
    return [text[first:end] for first, end in pairwise(ends[firsts].tolist())]


def decode_coco(text: str, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The mask, uint8 0 or 1 [lines, pixels], of COCO's compressed counts.

    pycocotools trusts its input, so the counts are checked first.

    Raises:
        WireError: `bad_rle`, naming the position in the string.
    """
    _check_coco(text, shape[0] * shape[1])
    packed = {"counts": text.encode("ascii"), "size": [shape[0], shape[1]]}
    return np.ascontiguousarray(coco.decode(packed))


def _check_coco(text: str, pixels: int) -> None:
    """Unpack counts as maskApi.c's rleFrString does: 5 bits a character, low bits first."""
    counts: list[int] = []
    value = shift = total = 0
    for position, character in enumerate(text):
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise _bad(f"{character!r} at character {position} is not COCO's alphabet")
        value |= (code & 31) << shift
        shift += 5
        if shift > 40:
            raise _bad(f"the count that ends after character {position} is too long")
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        # From the fourth count on, the string holds the difference to the count two before.
        count = value + (counts[-2] if len(counts) > 2 else 0)
        total += count
        if count < 0 or total > pixels:
            raise _bad(f"count {len(counts) + 1}, ending at character {position}, is {count}")
        counts.append(count)
        value = shift = 0
    if shift or total != pixels:
        raise _bad(f"ends at character {len(text)} after {total} of {pixels} pixels")


def _number(words: list[str], index: int) -> int:
    word = words[index]
    if len(word) > _DIGITS_MAX:
        raise _bad(f"number {index + 1} has {len(word)} digits, at most {_DIGITS_MAX}")
    return int(word)


def _bad(detail: str) -> WireError:
    return WireError(Cause.BAD_RLE, detail)
