"""Turns the descriptions of the specification into docstrings."""

import textwrap

_WIDTH = 112


def docstring(text: str, *, indent: int, note: str = "") -> str:
    r"""Wrap a description so that it can stand between triple quotes.

    Args:
        text: Paragraphs, separated by empty lines; lines that start with `- ` are items of a list.
        indent: How many columns the docstring is indented.
        note: A paragraph to add at the end.

    Returns:
        The wrapped text: backslashes and quotes escaped, continuation lines indented, and the closing quotes left to
        the template; several lines end with a line break and the indent.
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
