"""The pages of documentation, with their fenced blocks, shell commands and anchors."""

import doctest
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "benchmarks" / "README.md"]
EVERYTHING = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: The page it is on.
        line: The number of its first line, starting at 1.
        language: The word after the fence.
        source: Its text.
        printed: Its output, if the page shows it.
    """

    page: Path
    line: int
    language: str
    source: str
    printed: str | None = None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def kind(self) -> str:
        """How the block is checked: its language, or the way its Python runs."""
        if self.language != "python":
            return self.language
        if "asyncio.run(" in self.source or "import requests" in self.source:
            return "program"
        if re.search(r"^(async )?def test_", self.source, re.MULTILINE):
            return "tests"
        return "backend" if re.search(r"^app = ", self.source, re.MULTILINE) else "snippet"

    def check(self, printed: str) -> None:
        """Compare the output with what the page shows."""
        if self.printed is not None:
            checker = doctest.OutputChecker()
            assert checker.check_output(self.printed, printed, doctest.ELLIPSIS), f"{self} prints:\n{printed}"


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = list(_FENCE.finditer(text))
    blocks: list[Block] = []
    for match, after in zip(found, [*found[1:], None], strict=False):
        at_once = after is not None and after[1] == "text" and not text[match.end() : after.start()].strip()
        printed = after[2] if after is not None and at_once else None
        blocks.append(Block(page, text.count("\n", 0, match.start(2)) + 1, match[1], match[2], printed))
    return blocks


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def of_kind(kind: str) -> list[Block]:
    """Return the blocks of one kind on all pages."""
    return [block for block in BLOCKS if block.kind == kind]


def prose_of(page: Path) -> str:
    """Return a page without its blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def commands_of(block: Block) -> Iterator[list[str]]:
    """Yield the simple commands of a shell block as words, without assignments, redirections and operators."""
    for written in block.source.replace("\\\n", " ").splitlines():
        line = " ".join(written.split()[5:]) if block.language == "cron" else written
        lexer = shlex.shlex(line, punctuation_chars="|&;<>()")  # not posix: a quoted ";" joins nothing
        lexer.whitespace_split = True
        words: list[str] = []
        redirected = False
        for word in (*lexer, ";"):
            if redirected:
                redirected = False
            elif "<" in word or ">" in word:
                redirected = set(word) <= set("<>&")
                if words and words[-1] == "2":
                    del words[-1]
            elif not set(word) <= set("|&;()"):
                words.append(word.strip("\"'"))
            else:
                while words and re.fullmatch(r"[A-Za-z_]\w*=.*", words[0]):
                    del words[0]
                if words:
                    yield words
                words = []


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
