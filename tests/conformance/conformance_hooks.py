"""What no schema can say: the refusals of valid requests that are right, each with its reason.

schemathesis takes it that a request which fits the schema has to be accepted. Its check stays on for every operation;
only a failure that one of the reasons below explains is dropped. A refusal for any other cause still fails the run.
"""

from urllib.parse import parse_qsl, urlsplit

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import RejectedPositiveData

from thrive_async._generated.operations import OPERATIONS, Operation
from thrive_async.sandbox.records import instant
from thrive_async.sandbox.replies import Refusal
from thrive_async.sandbox.routing import match
from thrive_async.sandbox.specification import specification


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case, response: Response) -> bool:
    """Whether a failure counts."""
    if not isinstance(failure, RejectedPositiveData):
        return True
    operation = OPERATIONS[case.operation.definition.raw["operationId"]]
    return reason(operation, case, response) is None


def reason(operation: Operation, case: Case, response: Response) -> str | None:
    """Why the refusal of a valid request is right; None if it is not."""
    url = urlsplit(response.request.url)
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    if response.status_code == 400:
        if operation.id == "createAccessToken" and response.json()["error"] in ("invalid_request", "invalid_scope"):
            return "Credentials in header and form at once (RFC 6749, 2.3) and scopes a client lacks are no schema's."
        for name, encoding in operation.query.items():
            if encoding.startswith("date") and name in query and instant(query[name]) is None:
                return "A pattern cannot count the days of a month."
        for parameter in case.operation.definition.raw.get("parameters", ()):
            needed = parameter.get("x-thrive-requires")
            if needed and parameter["name"] in query and needed not in query:
                return "OpenAPI cannot say that one parameter needs another; x-thrive-requires does."
    if (
        response.status_code == 422
        and 422 in operation.statuses
        and _understood(operation, url.path, url.query, response)
    ):
        return "Thrive documents 422 for what is well formed but makes no sense: unknown tags, a smart audience..."
    return None


def _understood(operation: Operation, path: str, query: str, response: Response) -> bool:
    """Whether the sandbox itself holds the request to fit the schema: then it refused the meaning, not the form."""
    routed = match(operation.method, path)
    if routed is None or routed[0] is not operation:
        return False
    body = response.request.body or b""
    judge = specification()
    try:
        judge.read_path(operation, routed[1])
        judge.read_query(operation, query)
        judge.read_body(operation, "application/json", body.encode() if isinstance(body, str) else body)
    except Refusal:
        return False
    return True
