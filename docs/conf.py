"""How Sphinx makes the site of the Markdown pages and the docstrings: `nox -s docs`."""

import builtins
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from enum import Enum
from importlib import import_module
from pathlib import Path

from docutils import nodes
from pygments.lexers.special import TextLexer
from sphinx.addnodes import desc_annotation, pending_xref
from sphinx.domains.python import PyObject
from sphinx.util.logging import getLogger
from sphinx.writers.text import TextTranslator

from thrive_async import __version__

sys.path.insert(0, str(Path(__file__).parent))

project = "thrive-async"
author = "the thrive-async maintainers"
release = version = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_llms_txt",
]
exclude_patterns = ["_build"]
nitpicky = False

html_theme = "furo"
html_title = "thrive-async"
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
# Of npm packages that `nox -s docs` puts into _static, so that the site needs no network.
_DIAGRAMS = ("mermaid.min.js", "diagrams.js") if (Path(__file__).parent / "_static/mermaid.min.js").exists() else ()
html_js_files = ["site.js", *_DIAGRAMS]
html_extra_path = ["_extra"]
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}
html_show_copyright = False

# The pages are read on GitHub, too: plain fences, and colons around what only the site knows.
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_use_unqualified_type_names = True

# Only where the network is there, for a build without it would fail: `nox -s docs -- online`.
intersphinx_mapping = (
    {
        "python": ("https://docs.python.org/3", None),
        "aiohttp": ("https://docs.aiohttp.org/en/stable", None),
        "attrs": ("https://www.attrs.org/en/stable", None),
    }
    if "THRIVE_DOCS_ONLINE" in os.environ
    else {}
)

llms_txt_title = "thrive-async"
llms_txt_summary = "The async Python SDK for the Thrive Learning REST API, with bulk audience sync and a sandbox."
llms_txt_exclude = ["search", "genindex"]
text_sectionchars = "=-~^"  # the first two are headings in Markdown, too

# Pages above this folder, and what includes them here.
_INCLUDED = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
    "benchmarks/README.md": "benchmarks.md",
}
_LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")
_DOCS = Path(__file__).parent


def _to_site(text: str, folder: Path) -> str:
    """Lead links that leave this folder, as on GitHub, to the site's own pages."""

    def link(found: re.Match[str]) -> str:
        target = (folder / found[2]).resolve()
        with suppress(ValueError):
            outside = target.relative_to(_DOCS.parent).as_posix()
            if outside in _INCLUDED:
                target = _DOCS / _INCLUDED[outside]
        if not target.is_relative_to(_DOCS):
            return found[1]  # a file that the site does not have
        return f"[{found[1]}](/{target.relative_to(_DOCS).as_posix()}{found[3] or ''})"

    return _LINK.sub(link, text)


def link_page(app, name, source):  # noqa: ANN001, ANN201, ARG001 - Sphinx's hook
    """Mend the links of a page."""
    source[0] = _to_site(source[0], (_DOCS / name).parent)


def link_included(app, path, name, content):  # noqa: ANN001, ANN201, ARG001 - Sphinx's hook
    """Mend the links of a page that another one includes."""
    content[0] = _to_site(content[0], (_DOCS / path).parent)


_FENCE = re.compile(r"( *)```(\w+)$")
_EXAMPLE = re.compile(r"( *)Examples?:$")
_RESULT = re.compile(r" *(Returns|Yields):$")
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def from_markdown(app, what, name, obj, options, lines):  # noqa: ANN001, ANN201, ARG001, PLR0917 - Sphinx's hook
    """Turn the Markdown of a docstring into reStructuredText: fences, tables, and code between backticks."""
    if what == "class" and issubclass(obj, Enum):
        members = ", ".join(f"`{member.name}` ({member.value})" for member in obj)
        lines += [f"Members: {members}.", ""]
    if lines:
        lines[:] = _blocks(_fenced(_untyped(lines, what)))


def _untyped(lines: list[str], what: str) -> list[str]:
    """Keep napoleon from reading "The report: ..." as a value of a type "The report"; types are in signatures."""
    # All of what they say is to napoleon like a result.
    before = "Returns:" if what in {"attribute", "data", "property"} else ""
    pairs = zip([before, *lines], lines, strict=False)
    return [re.sub(r"(?=\S)", ": ", line, count=1) if _RESULT.match(before) else line for before, line in pairs]


def _fenced(lines: list[str]) -> Iterator[str]:
    """Fence examples that are only indented, as Google's style allows."""
    inside: int | None = None  # how far an example is indented
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        begins = _EXAMPLE.match(line)
        if begins and not _FENCE.match(after):
            inside = len(begins[1]) + 4
            yield from (line, f"{' ' * inside}```python")
        else:
            yield line
        if inside is not None and after.strip() and not after.startswith(" " * inside):
            yield f"{' ' * inside}```"
            inside = None
    if inside is not None:
        yield f"{' ' * inside}```"


def _prose(text: str) -> str:
    parts = _CODE.split(text)  # text, code, text, code ...
    for at, part in enumerate(parts):
        # Text may follow code at once, as in `User`s, which needs a mark in between.
        glue = "\\ " if at % 2 == 0 and at and part[:1].isalnum() else ""
        parts[at] = f"``{part.strip()}``" if at % 2 else glue + part.replace("*", "\\*")
    return "".join(parts)


def _blocks(lines: list[str]) -> Iterator[str]:
    fenced: str | None = None
    table = False
    for line in lines:
        begins = _FENCE.match(line)
        if fenced is None and begins:
            fenced = begins[1]
            yield from ("", f"{fenced}.. code-block:: {begins[2]}", "")
        elif fenced is not None and line.strip() == "```":
            fenced = None
            yield ""
        elif fenced is not None:
            yield f"   {line}" if line.strip() else line
        elif line.lstrip().startswith("|"):
            indent = line[: len(line) - len(line.lstrip())]
            if not table:
                yield from ("", f"{indent}.. list-table::", f"{indent}   :header-rows: 1", "")
            table = True
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if any(cell.strip("-: ") for cell in cells):
                yield from (f"{indent}   {'  -' if at else '* -'} {_prose(cell)}" for at, cell in enumerate(cells))
        else:
            if table:
                yield ""
            table = False
            yield _prose(line)


def short_signature(app, what, name, obj, options, signature, returns):  # noqa: ANN001, ANN201, ARG001, PLR0917
    """Show what attrs fills in as "...", instead of its marker, and no arguments of a protocol, which has none."""
    if what == "class" and getattr(obj, "_is_protocol", False):
        return ("", returns)
    return (signature and signature.replace("=NOTHING", "=...").replace("= NOTHING", "= ..."), returns)


def mend_reference(app, doctree):  # noqa: ANN001, ANN201, ARG001 - Sphinx's hook
    """Let `type` in an annotation mean Python's, not an attribute; drop bases and values that say nothing."""
    for reference in doctree.findall(pending_xref):
        if reference["refdomain"] == "py" and hasattr(builtins, reference["reftarget"]):
            reference.attributes.pop("refspecific", None)
    for paragraph in [found for found in doctree.findall(nodes.paragraph) if found.astext() == "Bases: object"]:
        paragraph.parent.remove(paragraph)
    for value in [found for found in doctree.findall(desc_annotation) if found.astext().startswith(" = ")]:
        if re.search(r"<(class|function|ContextVar) ", value.astext()):
            value.parent.remove(value)
        for text in list(value.findall(nodes.Text)):
            text.parent.replace(text, nodes.Text(text.replace("thrive_async._generated.models.", "")))


def find_missing(app, env):  # noqa: ANN001, ANN201, ARG001 - Sphinx's hook
    """Warn of public names without a place in the reference; those that are imported lazily are easily missed."""
    python = env.get_domain("py")
    described = {name.rpartition(".")[2] for name in python.objects}
    for module in ("thrive_async", *python.modules):
        for name in import_module(module).__all__:
            if name not in described and not name.startswith("__"):
                getLogger(__name__).warning("no page of the reference describes %s.%s", module, name)


class Described(TextTranslator):
    """Text to search and to quote from: with the docstrings' own lines and backticks, and members with their class."""

    def end_state(self, wrap: bool = True, end: Sequence[str] | None = ("",), first: str | None = None) -> None:  # noqa: ARG002, FBT001, FBT002 - as in Sphinx
        """Leave lines as they are: Sphinx would break addresses and names at their hyphens."""
        super().end_state(wrap=False, end=end, first=first)

    def visit_desc_name(self, node: nodes.Element) -> None:
        """Write `Activities.list` for `list`."""
        if of_class := node.parent.get("class"):
            self.add_text(f"{of_class}.")

    def mark_code(self, _node: nodes.Element) -> None:
        """Write what is code between backticks, as Markdown does."""
        self.add_text("`")

    def leave(self, _node: nodes.Element) -> None:
        """Write the types of attributes plainly, not between the asterisks of Sphinx."""

    visit_literal = depart_literal = visit_literal_strong = depart_literal_strong = mark_code
    visit_literal_emphasis = depart_literal_emphasis = leave


_INCLUDE = re.compile(r":::\{include\} (\S+)\n:::\n")


def describe(app, name, template, context, doctree):  # noqa: ANN001, ANN201, ARG001 - Sphinx's hook
    """Let sphinx_llms_txt, which joins the sources of pages, find what a page says where it has only directives."""
    if doctree is None:
        return
    source = Path(app.env.doc2path(name))
    if source.suffix == ".rst":
        # Of the doctree that HTML was made of: to read and resolve it again took 5 s more, a fifth of the build.
        described = Described(doctree, app.builder)
        doctree.walkabout(described)
        text = described.body
    elif included := _INCLUDE.fullmatch(source.read_text(encoding="utf-8")):
        path = source.parent / included[1]
        text = _to_site(path.read_text(encoding="utf-8"), path.parent)
    else:
        return
    place = app.outdir / "_sources" / context.pop("sourcename")  # without which Sphinx copies no source
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")


def level_captions(app, name, template, context, doctree):  # noqa: ANN001, ANN201, ARG001 - Sphinx's hook
    """Give the captions of furo's sidebar, which are headings, a level."""
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace('role="heading">', 'role="heading" aria-level="2">')


def setup(app):  # noqa: ANN001, ANN201 - Sphinx's hook
    """Let docstrings be Markdown."""
    for language in ("cron", "mermaid"):
        app.add_lexer(language, TextLexer)
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"  # as the docstrings say
    app.connect("source-read", link_page)
    app.connect("include-read", link_included)
    app.connect("autodoc-process-docstring", from_markdown, priority=100)
    app.connect("autodoc-process-signature", short_signature)
    app.connect("doctree-read", mend_reference)
    app.connect("env-check-consistency", find_missing)
    app.connect("html-page-context", level_captions, priority=900)
    app.connect("html-page-context", describe)
