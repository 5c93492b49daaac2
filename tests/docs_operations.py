"""Make the tables in docs/operations.md from the specification and the client's methods.

After you change either, run `python tests/docs_operations.py` to rewrite the page; until then, test_docs.py fails.
"""

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

from docs_pages import ROOT

from thrive_async import ApiKey, ThriveClient

PAGE = ROOT / "docs" / "operations.md"
MARK = "<!-- Written by `python tests/docs_operations.py`: do not edit what follows. -->\n"
SPECIFICATION: dict[str, Any] = json.loads(
    (ROOT / "thrive_async" / "_generated" / "openapi.json").read_text(encoding="utf-8")
)
_HEADINGS = {"cpd": "CPD"}


def methods(resource: object, name: str = "thrive") -> Iterator[tuple[str, Any]]:
    """Every public method below a client, with the name by which you call it."""
    for attribute, value in vars(resource).items():
        if type(value).__module__.startswith("thrive_async.resources.") and not attribute.startswith("_"):
            own = inspect.getmembers(value, inspect.ismethod)
            yield from ((f"{name}.{attribute}.{one}", method) for one, method in own if not one.startswith("_"))
            yield from methods(value, f"{name}.{attribute}")


def call(name: str, method: Any) -> str:
    """How you call a method; the arguments that every method has are left out."""
    found = inspect.signature(method).parameters.values()
    arguments = (f"{one.name}=" if one.kind is one.KEYWORD_ONLY else one.name for one in found)
    return f"{name}({', '.join(one for one in arguments if one not in {'timeouts=', 'per_page=', 'prefetch='})})"


def evidence(operation: dict[str, Any]) -> str:
    """What an operation rests on, and its parameters where that differs."""
    own = operation.get("x-thrive-evidence", "official")
    others: dict[str, list[str]] = {}
    for written in operation.get("parameters", ()):
        parameter = (
            SPECIFICATION["components"]["parameters"][written["$ref"].rsplit("/")[-1]] if "$ref" in written else written
        )
        rests_on = parameter.get("x-thrive-evidence", own)
        if rests_on != own:
            others.setdefault(rests_on, []).append(parameter["name"])
    return "; ".join([own, *(f"{rests_on}: {', '.join(names)}" for rests_on, names in others.items())])


def tables() -> str:
    """A table for each resource, in the order of the specification."""
    client = ThriveClient("eu-west-2_AbcdEfghI", ApiKey("secret"))
    by_request: dict[str, list[str]] = {}
    for name, method in methods(client):
        (request,) = re.findall(r"API: ``(\S+ \S+)``", inspect.getdoc(method) or "")
        by_request.setdefault(request, []).append(call(name, method))
    rows: dict[str, list[str]] = {tag["name"]: [] for tag in SPECIFICATION["tags"]}
    for path, item in SPECIFICATION["paths"].items():
        for verb, operation in item.items():
            request = f"{verb.upper()} {path}"
            for written in by_request.get(request, ()):
                repeated = "yes" if operation["x-thrive-retry"] == "safe" else "no"
                columns = f"`{written}`", f"`{operation['operationId']}`", f"`{request}`", repeated
                rows[operation["tags"][0]].append(f"| {' | '.join(columns)} | {evidence(operation)} |")
    head = "| method | operationId | request | repeated | evidence |\n|---|---|---|---|---|"
    return "\n\n".join(
        f"## {_HEADINGS.get(tag, tag.capitalize())}\n\n" + "\n".join([head, *lines])
        for tag, lines in rows.items()
        if lines
    )


def page() -> str:
    """The page as it must be: the introduction as it is, and the tables anew."""
    return PAGE.read_text(encoding="utf-8").partition(MARK)[0] + MARK + "\n" + tables() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
