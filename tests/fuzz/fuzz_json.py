"""JSON as the standard library has it: a second decoder, and what can be said of a document at any depth."""

import ast
import json
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

MISSING: Final = object()
# What a reader may refuse though the schema allows it: an integer so large that a decoder may have lost digits of it.
LARGEST: Final = 10**15 - 1
# Levels that this decoder goes down, more than orjson does. From Python 3.14 on, only the stack limits it.
_DEEPEST: Final = 2000
# Levels that every decoder takes.
_AGREED: Final = 1000


class NoJson(Exception):  # noqa: N818 - an outcome, not an error
    """The bytes are no JSON of RFC 8259."""


class Unjudged(Exception):  # noqa: N818
    """The second opinion gave up: too deep for the standard library."""


def decode(body: bytes) -> Any:
    """Decode JSON as the RFC has it: UTF-8 without a mark, no NaN, no lone surrogate, the last of doubled keys.

    Raises:
        NoJson: It is none.
        Unjudged: It is nested too deeply for this decoder.
    """
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(usual + _DEEPEST)
    try:
        text = body.decode("utf-8")
        if text.startswith("\ufeff"):
            raise NoJson
        value = json.loads(
            text,
            parse_constant=_no_constant,
            parse_int=_integer,
            object_pairs_hook=_object if "\\u" in text else None,
        )
        _encodable(value)
        if depth(value) > _AGREED:
            raise Unjudged
    except RecursionError:
        raise Unjudged from None
    except ValueError:
        raise NoJson from None
    finally:
        sys.setrecursionlimit(usual)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Also of a key given twice, whose first value is dropped.
    for name, value in pairs:
        name.encode("utf-8")
        _encodable(value)
    return dict(pairs)


def _encodable(value: Any) -> None:
    for leaf in leaves(value):
        if type(leaf) is str:
            leaf.encode("utf-8")


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _integer(text: str) -> int | float:
    return int(text) if len(text) < 4000 else float("inf")


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same, types and the sign of zero included; not by recursion, so at any depth.

    Only an integer of more than 64 bits may have become the nearest float.
    """
    pairs = [(one, other)]
    while pairs:
        left, right = pairs.pop()
        if type(left) is float and type(right) is int and not -(2**63) <= right < 2**64:
            right = float(right)
        if type(left) is not type(right):
            return False
        if type(left) is dict:
            if left.keys() != right.keys():
                return False
            pairs.extend((left[key], right[key]) for key in left)
        elif type(left) is list:
            if len(left) != len(right):
                return False
            pairs.extend(zip(left, right, strict=True))
        elif left != right or (type(left) is float and str(left) != str(right)):
            return False
    return True


def any_number_beyond(value: Any) -> bool:
    """Whether a document holds a number whose digits a decoder may have lost."""
    return any(type(leaf) in (int, float) and abs(leaf) > LARGEST for leaf in leaves(value))


def beyond_any_float(body: bytes) -> bool:
    """Whether a document holds a number that no float does, also as the dropped first value of a doubled key."""
    beyond = False

    def note(text: str) -> int:
        nonlocal beyond
        beyond = beyond or abs(float(text)) > sys.float_info.max
        return 0

    with suppress(RecursionError, ValueError):  # no JSON
        json.loads(body, parse_int=note, parse_float=note)
    return beyond


def leaves(value: Any) -> Iterator[Any]:
    """Yield every value that holds no other."""
    open_ = [value]
    while open_:
        node = open_.pop()
        if type(node) is dict:
            open_.extend(node.values())
        elif type(node) is list:
            open_.extend(node)
        else:
            yield node


def depth(value: Any) -> int:
    """Count the levels of a document; a number has one."""
    deepest, open_ = 0, [(value, 1)]
    while open_:
        node, level = open_.pop()
        deepest = max(deepest, level)
        if type(node) is dict:
            open_.extend((item, level + 1) for item in node.values())
        elif type(node) is list:
            open_.extend((item, level + 1) for item in node)
    return deepest


_STEP: Final = re.compile(r"""\.([^\W\d]\w*)|\[([0-9]+)\]|\[('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\]""")


def leads_somewhere(path: str, document: Any) -> bool:
    """Whether a JSON path names a place in a document, or one that is missing from an object of it."""
    if not path.startswith("$"):
        return False
    at, node = 1, document
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None or node is MISSING:
            return False
        at = step.end()
        if step[2] is not None:
            if type(node) is not list or int(step[2]) >= len(node):
                return False
            node = node[int(step[2])]
        else:
            if type(node) is not dict:
                return False
            node = node.get(step[1] if step[1] is not None else ast.literal_eval(step[3]), MISSING)
    return True
