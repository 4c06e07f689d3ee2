"""Reads nested lists of whole numbers from JSON, and small ones only as JSON's own parser does.

In Python a list of lists takes up to thirty times the bytes of its text, and the parser lets nothing else run
meanwhile. A large body's brackets are therefore compared with those of a whole number of images, and its
numbers are read a piece at a time.
"""

import json
import re
from collections.abc import Callable
from itertools import chain
from math import prod
from typing import Any

import numpy as np

from runback.errors import DataError

SMALL = 256 * 2**10
"""Bytes of a body that is parsed as any JSON, so that what is wrong with it is told exactly."""

DEEPEST = 8
"""Lists in each other that a message can tell the lengths of."""

PIECE = 64 * 2**10
"""Characters of numbers that are read at a time."""

KEYS = ("inputs", "instances")
"""Keys under which MLflow's clients send the images."""

EXPECTED = 'expected {"inputs": IMAGES} or {"instances": IMAGES}'

SHOWN = 80
"""Characters of a client's own words that a message repeats."""

_ENVELOPE = re.compile(rb'\s*+\{\s*+"(?:inputs|instances)"\s*+:\s*+([\[\]0-9,\s]*+)\}\s*+')
"""Possessive, so that it never tries again what it has passed."""

_SPACES = b" \t\r\n"

_LEADING_ZERO = re.compile(rb"[^0-9]0[0-9]")

Lists = tuple[tuple[int, ...], Callable[[], np.ndarray]]
"""The lengths of the lists of each level, and a function that reads the numbers in them, uint8, in a row."""


def small_lists(body: bytes | bytearray) -> Lists:
    """Return the lists in a small body. Raises DataError."""
    try:
        content = json.loads(body.decode(), object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, a number of too many digits, too deep
        raise DataError(f"the body is no JSON: {shortened(error)}") from error
    if not isinstance(content, dict) or len(content) != 1 or not content.keys() <= set(KEYS):
        got = list(content)[:3] if isinstance(content, dict) else type(content).__name__
        raise DataError(f"{EXPECTED}; got {shortened(got)}")
    shape, leaves = _flattened(next(iter(content.values())))
    return shape, lambda: _pixels(leaves)


def large_lists(body: bytes | bytearray, sides: tuple[int, int, int]) -> Lists:
    """Return the lists in a large body of images (n, *sides). Raises DataError where it is anything else."""
    envelope = _ENVELOPE.fullmatch(body)
    if envelope is None:
        raise DataError(f"{EXPECTED}, IMAGES being lists of whole numbers; got something else")
    text = bytes(envelope[1])
    n, rest = divmod(text.count(b",") + 1, prod(sides))
    if rest or text.translate(None, b"0123456789" + _SPACES) != _brackets((n, *sides)):
        raise DataError("expected lists of lists of one length each, for whole images of the network's shape")
    if _LEADING_ZERO.search(text):
        raise DataError("the body is no JSON: a number begins with 0")
    return (n, *sides), lambda: _read(text.translate(None, b"[]"), n * prod(sides))


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key occurs twice")
    return content


def _flattened(content: object) -> tuple[tuple[int, ...], list[Any]]:
    """Return how long the lists of each level are, and what is in the innermost ones."""
    shape: list[int] = []
    level: list[Any] = [content]
    while level and all(isinstance(one, list) for one in level):
        lengths = {len(one) for one in level}
        if len(lengths) > 1 or len(shape) == DEEPEST:
            raise DataError("expected lists of lists of one length each")
        shape.append(lengths.pop())
        level = list(chain.from_iterable(level))
    return tuple(shape), level


def _brackets(shape: tuple[int, ...]) -> bytes:
    """Return nested lists of a shape, without what is in them: `[[,],[,]]` for (2, 2)."""
    inner = b""
    for side in reversed(shape):
        inner = b"[" + b",".join([inner] * side) + b"]"
    return inner


def _read(numbers: bytes, count: int) -> np.ndarray:
    """Return numbers that are separated by commas. Raises DataError unless one stands between any two."""
    read, begin, found = np.empty(count, np.uint8), 0, 0
    while begin <= len(numbers):
        end = numbers.find(b",", begin + PIECE)
        end = len(numbers) if end < 0 else end
        piece = _whole_numbers(numbers[begin:end])
        read[found : found + len(piece)] = piece
        begin, found = end + 1, found + len(piece)
    return read


def _whole_numbers(text: bytes) -> np.ndarray:
    try:
        numbers = np.fromiter(map(int, text.split(b",")), np.int64)
    except (ValueError, OverflowError) as error:  # none between two commas, two without one, too many digits
        raise DataError("the body is no JSON: expected a small whole number between commas") from error
    _check_range(int(numbers.max()))
    return numbers


def _pixels(numbers: list[Any]) -> np.ndarray:
    """Return whole numbers as pixels. Raises DataError for any other number."""
    if not all(type(number) is int for number in numbers):  # by isinstance, True is one
        raise DataError("expected raw pixels, whole numbers from 0 to 255; got other values")
    _check_range(min(numbers))
    _check_range(max(numbers))
    return np.array(numbers, np.uint8)


def _check_range(number: int) -> None:
    if not 0 <= number <= 255:
        raise DataError(f"expected raw pixels, from 0 to 255; got {shortened(number)}")


def shortened(said: object) -> str:
    """Return what a client said, or the beginning of it, on one line."""
    text = " ".join((said if isinstance(said, str) else str(said)).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
