"""Making many objects at once without the garbage collector looking at them again and again.

Python's collector runs after every 700 new objects, and a decoded page of 1,000 users is 9,000 of them, none of which
is garbage. Worse, so many runs soon make it look through everything that the program holds, for up to 50 ms each time.
With this it looks once at the end: to list 100,000 users costs a tenth less.
"""

import gc
from collections.abc import Callable
from typing import TypeVar

A = TypeVar("A")
R = TypeVar("R")


def uncollected(work: Callable[[A], R], argument: A) -> R:
    """Call a function that makes many objects and waits for nothing, with the garbage collector paused.

    A collector that the program has switched off stays off. Other threads are without it for the same few
    milliseconds, which does no harm: what they drop meanwhile is collected a little later.

    Args:
        work: The function.
        argument: Its argument.
    """
    if not gc.isenabled():
        return work(argument)
    gc.disable()
    try:
        return work(argument)
    finally:
        gc.enable()
