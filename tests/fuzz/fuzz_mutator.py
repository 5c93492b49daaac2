"""Changes to an input that keep its shape: the JSON of a body is changed as a tree, and written again as JSON."""

import json
import random
from collections.abc import Callable
from typing import Any, Final

HEAD: Final = 3
# Numbers, words and trees that decoders and readers trip over, written as JSON.
INTERESTING: Final = [
    *("null", "true", "false", "0", "-0", "-0.0", "1", "-1", "3.0", "1.5", "1e5", "1E400", "-1e-400"),
    *("NaN", "Infinity", "-1.5e300", "1e22", "999999999999999", "1000000000000000"),
    *("9007199254740993", "9223372036854775808", "18446744073709551615", "18446744073709551616", "1" * 400),
    *('""', '" "', '"0"', '"null"', '"active"', '"true"', '"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\u2028"'),
    *('"2026-01-02T03:04:05.678Z"', '"2026-01-02"', '"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:59.999999999Z"'),
    *('"2026-W01-1"', '"20260102T030405"', '"2026-01-02T24:00:00Z"', '"2016-12-31T23:59:60Z"', '"2026-02-30"'),
    *("[]", "{}", "[null]", "[[]]", "[{}]", '{"id":"a"}', '["a","a"]', '{"":""}', '{"id":null}'),
    *('"ada@example.com"', '"E00001"', '"\u0130"', '"' + "a" * 300 + '"', '"' + "9" * 30 + '"', "[" * 300 + "]" * 300),
    *("[" * 1000 + "]" * 1000, '{"message":' * 900 + "0" + "}" * 900, "[" * 1100),
]
KEYS: Final = [
    *("id", "results", "pagination", "totalPages", "totalResults", "perPage", "page", "message", "error", "errors"),
    *("success", "failure", "entities", "count", "reference", "reason", "memberOperations", "status", "detail"),
    *("access_token", "expires_in", "error_description", "", "a.b", "it's", 'say "x"', "\n", "0", "\u0130", "*"),
]


class Raw(str):
    """JSON that is written as it is."""

    __slots__ = ()


def mutated(data: bytes, limit: int, seed: int, by_bytes: Callable[[bytes, int], bytes], others: list[bytes]) -> bytes:
    """Change an input.

    Args:
        data: The input.
        limit: Its longest length after that.
        seed: Of chance.
        by_bytes: The fuzzer's own mutation, that knows nothing of JSON.
        others: Inputs to take parts from.
    """
    chance = random.Random(seed)
    kind = chance.randrange(10)
    if len(data) <= HEAD or kind == 0:
        return by_bytes(data, limit)
    if kind == 1:
        head = bytearray(data[:HEAD])
        head[chance.randrange(HEAD)] = chance.randrange(256)
        return bytes(head) + data[HEAD:]
    try:
        tree = json.loads(data[HEAD:].decode("utf-8"))
    except (ValueError, RecursionError):
        # No tree, or a damaged one: half of the time a sound one is taken in its place.
        if others and chance.random() < 0.5:
            return data[:HEAD] + chance.choice(others)[HEAD:]
        return data[:HEAD] + by_bytes(data[HEAD:], max(1, limit - HEAD))
    try:
        for _ in range(chance.randint(1, 4)):
            tree = _changed(tree, chance, others)
        body = _written(tree, chance).encode("utf-8", "surrogatepass")
    except RecursionError:
        return by_bytes(data, limit)
    if len(body) + HEAD > limit:
        return by_bytes(data, limit)
    if chance.random() < 0.03:
        body = chance.choice([b"\xef\xbb\xbf" + body, body.decode("utf-8", "replace").encode("utf-16"), body[:-1]])
    return (data[:HEAD] + body)[:limit]


def _changed(tree: Any, chance: random.Random, others: list[bytes]) -> Any:
    """Change one place of a tree; every place of it is as likely as its depth allows."""
    if isinstance(tree, dict) and tree and chance.random() < 0.85:
        key = chance.choice(list(tree))
        match chance.randrange(12):
            case 0:
                return {name: value for name, value in tree.items() if name != key}
            case 1:
                return {(chance.choice(KEYS) if name == key else name): value for name, value in tree.items()}
            case 2:
                return {**tree, chance.choice(KEYS): _any(chance)}
            case 3:
                other = chance.choice(list(tree))
                return {**tree, key: tree[other], other: tree[key]}
            case _:
                return {**tree, key: _changed(tree[key], chance, others)}
    if isinstance(tree, list) and tree and chance.random() < 0.8:
        at = chance.randrange(len(tree))
        match chance.randrange(8):
            case 0:
                return tree[:at] + tree[at + 1 :]
            case 1:
                return tree[: at + 1] + tree[at:]
            case _:
                return [*tree[:at], _changed(tree[at], chance, others), *tree[at + 1 :]]
    match chance.randrange(8):
        case 0:
            return [tree]
        case 1:
            return {chance.choice(KEYS): tree}
        case 2 if others:
            return _part_of(chance.choice(others), chance)
        case 3 if isinstance(tree, str) and tree:
            at = chance.randrange(len(tree))
            return tree[:at] + chance.choice("\0\x1f\x7f\x85\u2028\ufeff\ud800@ ,'\"\\TZ+-:.09aİß") + tree[at + 1 :]
        case _:
            return _any(chance)


def _any(chance: random.Random) -> Raw:
    return Raw(chance.choice(INTERESTING))


def _part_of(other: bytes, chance: random.Random) -> Any:
    try:
        tree = json.loads(other[HEAD:].decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    for _ in range(chance.randrange(5)):
        if isinstance(tree, dict) and tree:
            tree = chance.choice(list(tree.values()))
        elif isinstance(tree, list) and tree:
            tree = chance.choice(tree)
    return tree


def _written(tree: Any, chance: random.Random) -> str:
    """Write JSON; now and then a key twice, the last one counting."""
    if isinstance(tree, Raw):
        return str(tree)
    if isinstance(tree, dict):
        pairs = [f"{json.dumps(key)}:{_written(value, chance)}" for key, value in tree.items()]
        if pairs and chance.random() < 0.02:
            pairs.append(f"{json.dumps(chance.choice(list(tree)))}:{_any(chance)}")
        return "{" + ",".join(pairs) + "}"
    if isinstance(tree, list):
        return "[" + ",".join(_written(item, chance) for item in tree) + "]"
    return json.dumps(tree, ensure_ascii=chance.random() < 0.5)
