"""The fuzzer: `python tests/fuzz/fuzz_atheris.py CORPUS [libFuzzer's options]`, or `--replay CORPUS`.

Coverage of `thrive_async` guides it. The corpus is filled with the sandbox's replies where it is empty. An input that
breaks the rule of `fuzz_target.check` is left beside the corpus as `finding-...`, one for each place that it breaks in,
and the run goes on. `--replay` runs every input of a corpus (or one file) without atheris: under `coverage run` that
says what the corpus reaches, and a finding shows its traceback.
"""

import hashlib
import sys
import traceback
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "conformance"), str(TESTS / "fuzz")]
# The checkout comes last: where the package is installed, that one is tried.
sys.path.append(str(TESTS.parent))


def replay(corpus: Path) -> None:
    """Run every input once."""
    from fuzz_inputs import check_bytes

    outcomes: dict[str, int] = {}
    files = sorted(corpus.iterdir()) if corpus.is_dir() else [corpus]
    for file in files:
        outcome = check_bytes(file.read_bytes())
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    told = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
    sys.stdout.write(f"{len(files)} inputs: {told}\n")


def fuzz(arguments: list[str]) -> None:
    """Fuzz until the time is over or something is found."""
    import atheris

    # Paths through the server are no paths through the client.
    with atheris.instrument_imports(include=["thrive_async", "email"], exclude=["thrive_async.sandbox"]):
        from fuzz_inputs import check_bytes
    from fuzz_mutator import mutated
    from fuzz_seeds import inputs

    seeds = list(inputs())
    corpus = Path(arguments[0])
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (corpus / _name(seed)).write_bytes(seed)
    found: set[tuple[str, int]] = set()

    def change(data: bytes, limit: int, seed: int) -> bytes:
        return mutated(data, limit, seed, atheris.Mutate, seeds)

    def one(data: bytes) -> None:
        try:
            check_bytes(data)
        except Exception as error:  # noqa: BLE001 - any at all is a finding
            # The same fault would end every run at once; each place counts once.
            place = traceback.extract_tb(error.__traceback__)[-1]
            if (place.filename, place.lineno or 0) not in found:
                found.add((place.filename, place.lineno or 0))
                file = corpus.parent / f"finding-{_name(data)}"
                file.write_bytes(data)
                sys.stderr.write(f"\nFINDING {file}\n")
                traceback.print_exc()

    atheris.Setup(
        [sys.argv[0], "-max_len=20000", "-timeout=20", "-rss_limit_mb=2000", *arguments], one, custom_mutator=change
    )
    atheris.Fuzz()


def _name(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--replay"]:
        replay(Path(sys.argv[2]))
    else:
        fuzz(sys.argv[1:])
