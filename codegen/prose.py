"""Turn descriptions in the specification into docstrings."""

import textwrap

_WIDTH = 112


def docstring(text: str, *, indent: int, note: str = "") -> str:
    r"""Wrap a description so that it can stand between triple quotes.

    Args:
        text: Paragraphs, separated by empty lines. Lines that start with `- ` are list items.
        indent: The indentation of the docstring, in columns.
        note: A paragraph to add at the end.

    Returns:
        The wrapped text, with backslashes and quotes escaped and continuation lines indented. The template adds the
        closing quotes. Text of several lines ends with a line break and the indent.
    """
    margin = " " * indent
    width = _WIDTH - indent
    blocks: list[str] = []
    for paragraph in [*text.strip().split("\n\n"), note]:
        pieces: list[str] = []
        for line in paragraph.strip().splitlines():
            stripped = line.strip()
            if pieces and not stripped.startswith("- "):
                pieces[-1] += " " + stripped
            else:
                pieces.append(stripped)
        lines = [
            line
            for piece in pieces
            for line in textwrap.wrap(
                piece,
                width,
                subsequent_indent="  " if piece.startswith("- ") else "",
                break_long_words=False,
                break_on_hyphens=False,
            )
        ]
        if lines:
            blocks.append("\n".join(margin + line for line in lines))
    whole = "\n\n".join(blocks).strip().replace("\\", "\\\\").replace('"""', r"\"\"\"")
    if whole.endswith('"'):
        whole = whole[:-1] + '\\"'
    return f"{whole}\n{margin}" if "\n" in whole else whole
