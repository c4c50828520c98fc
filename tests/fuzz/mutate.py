"""Damage to valid input: bits, bytes, blocks, numbers at limits, words of a format.

Bytes that are random from the start never pass the first check of a parser; what was valid a few
changes ago gets deep into it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

LENGTH_MAX = 128 * 1024
CHANGES_MAX = 6
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
_TEXTS = re.compile(rb'"[^"\n]*"')
_NUMBERS = (
    *(b"0", b"-1", b"1", b"2", b"255", b"256", b"65535", b"65536", b"65537", b"1e999", b"-1e999"),
    *(str(2**power + change).encode() for power in (31, 32, 53, 63, 64) for change in (-1, 0, 1)),
    *(b"0.5", b"64.0", b"1e-400", b"-0.0", b"9" * 30, b"9" * 5000, b"nan", b"inf", b"0x10", b"1_0"),
)
_WORDS = (
    *(b"null", b"true", b"false", b"NaN", b"Infinity", b"[]", b"{}", b'""', b"[" * 2000),
    *(b'{"a":' * 1000, b'"\\ud800"', b'"\\u0000"', b"\xff", b"\xed\xa0\x80", b"\x00", b"\r\n"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\x00\x00\xfe\xff", b"\xc2\x85", b"1979-05-27", b"07:32:00"),
    *(b'"a" = 1\n', b"[a]\n", b"[[a]]\n", b"'''", b'"""', b"a.b.c = 1\n", b",", b":", b"\n"),
)
_WIDTHS = (1, 2, 4, 8)

Change = Callable[[random.Random, bytes, bytes], bytes]


def mutated(chance: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """The data after one to `CHANGES_MAX` changes; `others` are data to take pieces from."""
    for _again in range(chance.randint(1, CHANGES_MAX)):
        change = chance.choice(_CHANGES)
        data = change(chance, data, chance.choice(others))[:LENGTH_MAX]
        if chance.random() < 0.6:
            break
    return data


def _flip_bits(chance: random.Random, data: bytes, _: bytes) -> bytes:
    changed = bytearray(data)
    for _again in range(chance.randint(1, 4) if data else 0):
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _set_byte(chance: random.Random, data: bytes, _: bytes) -> bytes:
    changed = bytearray(data)
    if data:
        changed[chance.randrange(len(data))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, 0x20, 0x30))
    return bytes(changed)


def _set_integer(chance: random.Random, data: bytes, _: bytes) -> bytes:
    """A binary number at a limit, in either byte order."""
    width = chance.choice(_WIDTHS)
    top = 1 << 8 * width
    number = chance.choice((0, 1, top - 1, top // 2, top // 2 - 1, len(data), len(data) + 1))
    at = chance.randint(0, max(0, len(data) - width))
    number_bytes = (number % top).to_bytes(width, "little")
    if chance.random() < 0.5:
        number_bytes = number_bytes[::-1]
    return data[:at] + number_bytes + data[at + width :]


def _set_number(chance: random.Random, data: bytes, _: bytes) -> bytes:
    """A number in text at a limit."""
    return _replace_one(chance, data, _NUMBER, chance.choice(_NUMBERS))


def _set_text(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """A quoted text by a word, or by a quoted text of other data."""
    texts = _TEXTS.findall(other)
    new = chance.choice(texts) if texts and chance.random() < 0.5 else chance.choice(_WORDS)
    return _replace_one(chance, data, _TEXTS, new)


def _replace_one(
    chance: random.Random, data: bytes, pattern: re.Pattern[bytes], new: bytes
) -> bytes:
    found = list(pattern.finditer(data, 0, 8192))
    if not found:
        return data + new
    place = chance.choice(found)
    return data[: place.start()] + new + data[place.end() :]


def _insert_word(chance: random.Random, data: bytes, _: bytes) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + chance.choice(_WORDS) + data[at:]


def _insert_noise(chance: random.Random, data: bytes, _: bytes) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + chance.randbytes(chance.choice((1, 2, 8, 100))) + data[at:]


def _remove(chance: random.Random, data: bytes, _: bytes) -> bytes:
    start, end = _range(chance, data)
    return data[:start] + data[end:]


def _repeat(chance: random.Random, data: bytes, _: bytes) -> bytes:
    start, end = _range(chance, data)
    return data[:end] + data[start:end] * chance.choice((1, 2, 50)) + data[end:]


def _overwrite(chance: random.Random, data: bytes, _: bytes) -> bytes:
    start, end = _range(chance, data)
    return data[:start] + chance.choice((b"\0", b"\xff", b" ")) * (end - start) + data[end:]


def _move(chance: random.Random, data: bytes, _: bytes) -> bytes:
    start, end = _range(chance, data)
    rest = data[:start] + data[end:]
    at = chance.randint(0, len(rest))
    return rest[:at] + data[start:end] + rest[at:]


def _cut_off(chance: random.Random, data: bytes, _: bytes) -> bytes:
    return data[: chance.randint(0, len(data))]


def _splice(chance: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: chance.randint(0, len(data))] + other[chance.randint(0, len(other)) :]


def _graft(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """A piece of other data in place of one of this."""
    start, end = _range(chance, data)
    first, last = _range(chance, other)
    return data[:start] + other[first:last] + data[end:]


def _range(chance: random.Random, data: bytes) -> tuple[int, int]:
    """A range of the data, short ones more often."""
    start = chance.randint(0, len(data))
    return start, min(len(data), start + chance.choice((1, 2, 4, 8, 16, 64, 1024)))


_CHANGES: tuple[Change, ...] = (
    *(_flip_bits, _set_byte, _set_integer, _set_number, _set_number, _set_text, _set_text),
    *(_insert_word, _insert_noise, _remove, _repeat, _overwrite, _move, _cut_off, _splice, _graft),
)
