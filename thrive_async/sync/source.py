"""Where a desired list came from, so that plans, reports and journals can name it."""

import attrs

__all__ = ["Source"]


@attrs.frozen(kw_only=True)
class Source:
    """The file that a desired list was read from.

    Attributes:
        name: The file's name as you gave it, or ``"standard input"``. The names of several files are
            joined by ``" + "``.
        sha256: The SHA-256 of the bytes as they were read, in hexadecimal. For several files, the SHA-256 of their
            hashes, one per line.
        rows: How many rows it has, without the header and empty rows, before any filter.
    """

    name: str
    sha256: str
    rows: int
