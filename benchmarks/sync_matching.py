"""Compare matching 100,000 desired names with a hand-written pass over two dictionaries.

python benchmarks/sync_matching.py [people]
"""

import gc
import random
import re
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial

from thrive_async.models import AudienceMember
from thrive_async.sync._doubts import removals
from thrive_async.sync._match.matching import Match, Matcher

SHAPES = ("emails", "emails in another case", "refs", "ids", "mixed", "no one known")


def people(count: int) -> list[AudienceMember]:
    chance = random.Random(1)
    return [
        AudienceMember(
            user_id=f"{chance.getrandbits(96):024x}", reference=f"E-{at:06}", email=f"Person.{at}@example.com"
        )
        for at in range(count)
    ]


def desired(shape: str, members: list[AudienceMember]) -> list[str]:
    chance = random.Random(2)
    names = [
        {
            "emails": member.email or "",
            "emails in another case": (member.email or "").upper(),
            "refs": member.reference or "",
            "ids": member.user_id,
            "mixed": chance.choice((member.email or "", member.reference or "", member.user_id)),
            "no one known": f"stranger{at}@example.com",
        }[shape]
        for at, member in enumerate(members)
    ]
    chance.shuffle(names)
    return names


def by_hand(members: list[AudienceMember], names: list[str]) -> tuple[list[str], list[AudienceMember]]:
    """Match the way you would if nothing could go wrong: no ambiguous names, blanks or white space."""
    exact: dict[str, AudienceMember] = {}
    emails: dict[str, AudienceMember] = {}
    for member in members:
        exact[member.user_id] = member
        if member.reference:
            exact[member.reference] = member
        if member.email:
            emails[member.email.lower()] = member
    seen: set[str] = set()
    newcomers: dict[str, None] = {}
    for name in names:
        found = exact.get(name) or emails.get(name.lower())
        if found is None:
            newcomers[name] = None
        else:
            seen.add(found.user_id)
    return list(newcomers), [member for member in members if member.user_id not in seen]


def by_hand_asking(
    members: list[AudienceMember], names: list[str]
) -> tuple[list[str], list[AudienceMember], dict[str, list[str]]]:
    """Match as `by_hand`, and find who of those who would leave an unknown name may mean, in the simplest way."""
    newcomers, leavers = by_hand(members, names)
    index: dict[str, list[str]] = {}
    for name in newcomers:
        for mark in marks(name):
            index.setdefault(mark, []).append(name)
    meant: dict[str, list[str]] = {}
    for member in leavers:
        for own in (member.reference, member.email):
            for mark in marks(own) if own else ():
                if mark in index:
                    meant.setdefault(member.user_id, []).extend(index[mark])
    return newcomers, leavers, meant


def marks(name: str) -> Iterator[str]:
    """Yield the letters of a name and of its mailbox, and its words, long ones also without each of their letters."""
    lower = name.lower()
    mailbox = lower.rpartition("@")[0]
    for part in {lower, mailbox or lower}:
        yield re.sub(r"[\W_]", "", part)
    for word in re.findall(r"[^\W_]{3,}", mailbox or lower):
        if not word.isdecimal():
            yield word
        if word.isalpha() and len(word) >= 5:
            yield from (word[:gap] + word[gap + 1 :] for gap in range(len(word)))


def matched(members: list[AudienceMember], names: list[str]) -> Match:
    matcher = Matcher(members)
    matcher.feed(names)
    return matcher.result()


def ours(members: list[AudienceMember], names: list[str]) -> object:
    return removals(matched(members, names))


def seconds(work: Callable[[], object]) -> float:
    runs: list[float] = []
    for _ in range(7):
        gc.collect()
        gc.disable()
        start = time.perf_counter()
        work()
        runs.append(time.perf_counter() - start)
        gc.enable()
    return statistics.median(runs)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    members = people(count)
    print(f"{count:,} desired against {count:,} members, median of 7 runs\n")
    print(f"{'desired':24} {'by hand':>10} {'Matcher':>10} {'ratio':>6} {'memory':>9}")
    for shape in SHAPES:
        names = desired(shape, members)
        hand, mine = seconds(partial(by_hand, members, names)), seconds(partial(ours, members, names))
        tracemalloc.start()
        ours(members, names)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(f"{shape:24} {hand * 1000:7.0f} ms {mine * 1000:7.0f} ms {mine / hand:6.2f} {peak / 1e6:6.0f} MB")


if __name__ == "__main__":
    main()
