"""One small call, again and again."""

from typing import Any

from benchmarks import contenders as c
from benchmarks.measure import Bench, Row, Times, interleaved, rows

RAW = c.Hand.name
_CALLS = {c.Hand.name: 1000, c.HandOurModels.name: 1000, "thrive-async": 1000}


def small_call(bench: Bench) -> list[Row]:
    """CPU of one small call (an audience), with 1, 10 and 100 in flight."""
    bench.server.configure()
    url = bench.server.url
    client = c.thrive(url, concurrency=100)
    makers = [c.Hand, *c.others(bench)]
    opened: list[Any] = [bench.run(c.opened(make, url)) for make in makers]
    made: list[Row] = []
    for in_flight in (1, 10, 100):
        times = _measured(bench, client, opened, in_flight)
        work = f"one small call, {in_flight} in flight"
        made += rows(work, times, "cpu", reach={RAW: 1.25}, unit=(1e6, "us"))
    for contender in opened:
        bench.run(contender.close())
    bench.run(client.aclose())
    return made


def _measured(bench: Bench, client: Any, opened: list[Any], in_flight: int) -> dict[str, Times]:
    def calls_of(name: str) -> int:
        return bench.size(_CALLS.get(name, 200), in_flight)

    works = {"thrive-async": lambda: client.audiences.get(c.REFERENCE)}
    # A blocking call has nothing else in flight.
    works |= {each.name: each.small for each in opened if each.name != "requests" or in_flight == 1}
    ways = {
        name: lambda name=name, work=work: bench.run(c.crew(work, calls_of(name), in_flight))
        for name, work in works.items()
    }
    times = interleaved(ways, bench.size(11, 1))
    for name, measured in times.items():
        measured.cpu = [seconds / calls_of(name) for seconds in measured.cpu]
        measured.wall = [seconds / calls_of(name) for seconds in measured.wall]
    return times
