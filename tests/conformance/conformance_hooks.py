"""What no schema can say: the answers that are right all the same, each with its reason.

schemathesis takes it that a request which fits the schema has to be accepted, and one that does not, refused. Its
checks stay on for every operation; only a failure that one of the reasons below explains is dropped. A failure of any
other cause still fails the run.
"""

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema_rs
import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.openapi.checks import EnsureResourceAvailability, RejectedPositiveData

from thrive_async._generated.operations import OPERATIONS, Operation
from thrive_async.sandbox.handlers.replies import Refusal
from thrive_async.sandbox.server.routing import match
from thrive_async.sandbox.server.specification import specification
from thrive_async.sandbox.server.tokens import SCOPES
from thrive_async.sandbox.state.records import instant


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case, response: Response) -> bool:
    """Whether a failure counts."""
    operation = OPERATIONS[case.operation.definition.raw["operationId"]]
    if isinstance(failure, EnsureResourceAvailability):
        # The assignment is there. The body names an audience or a content too, and one of these is not.
        about = {"Audience not found.", "Content not found."}
        return not (operation.resource == "assignments" and response.json()["message"] in about)
    if isinstance(failure, AcceptedNegativeData):
        return not lost_on_the_wire(operation, case, response)
    if isinstance(failure, RejectedPositiveData):
        return reason(operation, case, response) is None
    return True


def reason(operation: Operation, case: Case, response: Response) -> str | None:
    """Why the refusal of a valid request is right; None if it is not."""
    url = urlsplit(response.request.url)
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    if response.status_code == 400 and operation.id == "createAccessToken":
        form = dict(parse_qsl(_text(response), keep_blank_values=True))
        if "client_secret" in form and "Authorization" in response.request.headers:
            return "Credentials in the header and in the form at once (RFC 6749, 2.3) are no matter of a schema."
        if not set(form.get("scope", "").split()) <= set(SCOPES):
            return "Scopes are words in one string; which of them a client has is no matter of a schema."
    elif response.status_code == 400:
        for name, encoding in operation.query.items():
            if encoding.startswith("date") and name in query and instant(query[name]) is None:
                return "A pattern cannot count the days of a month."
        for parameter in case.operation.definition.raw.get("parameters", ()):
            needed = parameter.get("x-thrive-requires")
            if needed and parameter["name"] in query and needed not in query:
                return "OpenAPI cannot say that one parameter needs another; x-thrive-requires does."
    documented = response.status_code == 422 and 422 in operation.statuses
    if documented and _understood(operation, url.path, url.query, response):
        return "Thrive documents 422 for what is well formed but makes no sense: unknown tags, a smart audience..."
    return None


def lost_on_the_wire(operation: Operation, case: Case, response: Response) -> bool:
    """Whether what was wrong is not in the URL any more: `false` for a list of words is a list of one word there.

    Judged by what was sent and by the specification, not by the sandbox, whose answer is in question.
    """
    if operation.body or operation.path_parameters:
        return False
    document: dict[str, Any] = case.operation.schema.raw_schema
    sent = parse_qsl(urlsplit(response.request.url).query, keep_blank_values=True)
    query = dict(sent)
    known = set[str]()
    for parameter in case.operation.definition.raw.get("parameters", ()):
        node = parameter
        if "$ref" in parameter:
            node = document["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
        known.add(node["name"])
        schema = {"components": document["components"], **node["schema"]}
        if node["name"] in query:
            if not jsonschema_rs.is_valid(schema, _value(schema, query[node["name"]]), validate_formats=True):
                return False
        elif node.get("required"):
            return False
    return len(query) == len(sent) and query.keys() <= known


def _value(schema: dict[str, Any], text: str) -> Any:
    match schema.get("type"):
        case "array":
            return text.split(",")
        case "integer" if re.fullmatch("-?[0-9]+", text):
            return int(text)
        case "boolean" if text in ("true", "false"):
            return text == "true"
        case _:
            return text


def _text(response: Response) -> str:
    body = response.request.body or ""
    return body.decode() if isinstance(body, bytes) else body


def _understood(operation: Operation, path: str, query: str, response: Response) -> bool:
    """Whether the sandbox itself holds the request to fit the schema: then it refused the meaning, not the form."""
    routed = match(operation.method, path)
    if routed is None or routed[0] is not operation:
        return False
    judge = specification()
    try:
        judge.read_path(operation, routed[1])
        judge.read_query(operation, query)
        judge.read_body(operation, "application/json", _text(response).encode())
    except Refusal:
        return False
    return True
