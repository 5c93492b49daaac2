"""The garbage collector is paused while a page is made into objects, and is afterwards as it was before."""

import gc
from collections.abc import Iterator

import pytest

from thrive_async._wire.gc_pause import uncollected


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = gc.isenabled()
    yield
    (gc.enable if before else gc.disable)()


def test_the_collector_is_paused_only_while_the_work_is_done() -> None:
    gc.enable()
    assert uncollected(lambda _: gc.isenabled(), None) is False
    assert gc.isenabled()


def test_an_error_of_the_work_does_not_leave_the_collector_off() -> None:
    gc.enable()
    with pytest.raises(ValueError, match="invalid literal"):
        uncollected(int, "x")
    assert gc.isenabled()


def test_a_collector_that_the_program_switched_off_stays_off() -> None:
    gc.disable()
    assert uncollected(int, "7") == 7
    assert not gc.isenabled()
