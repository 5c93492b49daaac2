"""Checks requests and replies against the OpenAPI document with a JSON Schema validator."""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time
from importlib import resources
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from thrive_async._generated.operations import OPERATIONS, Operation
from thrive_async.sandbox.handlers.replies import Refusal, documented
from thrive_async.sandbox.state.records import instant

__all__ = ["Specification", "specification"]

_BASE: Final = "urn:thrive:openapi"
_SHOWN: Final = 10
_DATE_ONLY: Final = re.compile(r"\d{4}-\d\d-\d\d\Z")
# JSON has no largest integer, but a client may read the echoed value as a double.
_INTEGER: Final = re.compile(r"-?[0-9]{1,300}\Z")


@functools.cache
def specification() -> "Specification":
    """Read the specification once per process. Each validator is compiled when its operation is first used."""
    return Specification()


class Specification:
    """`openapi/thrive.yaml` as a validator of requests and replies.

    Raises:
        ModuleNotFoundError: The validator is not installed.
    """

    def __init__(self) -> None:
        try:
            import jsonschema_rs  # noqa: PLC0415 - only a sandbox needs it
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                'the sandbox checks requests with jsonschema-rs: pip install "thrive-async[sandbox]"',
                name="jsonschema_rs",
            ) from error
        self._rs = jsonschema_rs
        text = resources.files("thrive_async._generated").joinpath("openapi.json").read_bytes()
        self.document: dict[str, Any] = orjson.loads(text)
        self._registry: Any = jsonschema_rs.Registry([(_BASE, self.document)])
        self._validators: dict[tuple[str, ...], Any] = {}
        self._nodes = dict(self._operations())

    # Requests

    def read_query(self, operation: Operation, query: str, *, clamp: int | None = None) -> dict[str, Any]:
        """Read the query parameters with their types.

        Args:
            operation: The operation.
            query: The encoded text after the question mark.
            clamp: The largest page size; a larger `perPage` is silently reduced before the check.

        Raises:
            Refusal: A parameter is wrong: 400 or 422, as documented, naming it.
        """
        if not query and not operation.required_query:
            return {}
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), errors="strict")
        except ValueError as error:
            raise self._refuse(operation, 400, f"query: {error}") from None
        values: dict[str, Any] = {}
        for name, text in pairs:
            if name in values:
                raise self._refuse(operation, 400, f"query.{name}: appears twice")
            values[name] = _typed(operation.query.get(name, "text"), text)
        for name in ("perPage", "limit"):
            if clamp is not None and isinstance(values.get(name), int) and values[name] > clamp:
                values[name] = clamp
        errors = self._errors(("query", operation.id), values, "query")
        if errors:
            raise self._refuse(operation, 400, "; ".join(errors.values()))
        for name, value in values.items():
            if operation.query[name].startswith("date"):
                values[name] = self._date(operation, name, value)
        return values

    def read_path(self, operation: Operation, values: Mapping[str, str]) -> None:
        """Check the path parameters.

        Raises:
            Refusal: A parameter is wrong: 400, 422 or 404, the first that is documented, naming it.
        """
        errors = self._errors(("path", operation.id), values, "path")
        if errors:
            raise Refusal(documented(operation, 400, 422, 404), "; ".join(errors.values()))

    def read_body(self, operation: Operation, content_type: str, body: bytes) -> Any:
        """Decode and check the body.

        Returns:
            The decoded body, or None if there is no body.

        Raises:
            Refusal: 400 if the body is not JSON; 422 or 400 if it breaks the schema, naming the places.
        """
        if not operation.body:
            if body:
                raise self._refuse(operation, 400, "body: this operation takes no body")
            return None
        if not body:
            if operation.body_required:
                raise self._refuse(operation, 400, "body: is required")
            return None
        media = content_type.partition(";")[0].strip().lower()
        if media != "application/json" and not media.endswith("+json"):
            raise self._refuse(operation, 400, "body: Content-Type must be application/json")
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise self._refuse(operation, 400, f"body: is not JSON ({error})") from None
        errors = self._errors(("body", operation.id), value, "$")
        if errors:
            # `message` may be an object: the places with their errors.
            raise Refusal(documented(operation, 422, 400), errors)
        return value

    # Replies

    def check_reply(self, operation: Operation, status: int, body: bytes) -> str | None:
        """Describe what is wrong with a reply, or return None if it matches the document."""
        responses = self._nodes[operation.id][0]["responses"]
        # Every operation documents a default, because any error may carry the error body.
        key = str(status) if str(status) in responses else "default"
        pointer, response = self._resolve(f"{self._nodes[operation.id][1]}/responses/{_escape(key)}")
        content: dict[str, Any] = response.get("content", {})
        media = next((one for one in content if "json" in one), None)
        if not body:
            return None if media is None or status == 404 or operation.any_answer else "the body is empty"
        if media is None:
            # The bare 404 is described with a body that may be empty or of any shape.
            return None if status == 404 else f"status {status} is documented without a body"
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            return f"the body is not JSON ({error})"
        validator = self._validator(
            ("reply", operation.id, key), {"$ref": f"{_BASE}#{pointer}/content/{_escape(media)}/schema"}
        )
        found = [f"{_place('$', error.instance_path)}: {error.message}" for error in validator.iter_errors(value)]
        return "; ".join(found[:_SHOWN]) or None

    # The document

    def parameters(self, operation: Operation, where: str) -> Iterator[tuple[str, str, bool]]:
        """Yield name, pointer and "is required" of the parameters in "path" or "query"."""
        node, pointer, item_pointer, item = self._nodes[operation.id]
        for holder, base in ((item, item_pointer), (node, pointer)):
            for index in range(len(holder.get("parameters", ()))):
                place, parameter = self._resolve(f"{base}/parameters/{index}")
                if parameter["in"] == where:
                    yield parameter["name"], place, parameter.get("required", False)

    def _operations(self) -> Iterator[tuple[str, tuple[dict[str, Any], str, str, dict[str, Any]]]]:
        for path, item in self.document["paths"].items():
            item_pointer = f"/paths/{_escape(path)}"
            for method in ("get", "post", "patch", "put", "delete"):
                if method in item:
                    yield item[method]["operationId"], (item[method], f"{item_pointer}/{method}", item_pointer, item)

    def _resolve(self, pointer: str) -> tuple[str, dict[str, Any]]:
        """Follow a pointer, and then the reference it leads to."""
        node: Any = self.document
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~").replace("%7B", "{").replace("%7D", "}")
            # Only a list is indexed by number: `responses` is an object whose keys look like numbers.
            node = node[int(key) if type(node) is list else key]
        if "$ref" in node:
            return self._resolve(node["$ref"][1:])
        return pointer, node

    def _validator(self, key: tuple[str, ...], schema: Mapping[str, Any]) -> Any:
        validator = self._validators.get(key)
        if validator is None:
            validator = self._validators[key] = self._rs.Draft202012Validator(
                {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema},
                registry=self._registry,
                validate_formats=True,
            )
        return validator

    def _compiled(self, key: tuple[str, str]) -> Any:
        if key in self._validators:
            return self._validators[key]
        where, operation_id = key
        if where == "body":
            pointer, body = self._resolve(f"{self._nodes[operation_id][1]}/requestBody")
            media = next(one for one in body["content"] if "json" in one)
            return self._validator(key, {"$ref": f"{_BASE}#{pointer}/content/{_escape(media)}/schema"})
        found = list(self.parameters(OPERATIONS[operation_id], where))
        return self._validator(
            key,
            {
                "type": "object",
                "properties": {name: {"$ref": f"{_BASE}#{pointer}/schema"} for name, pointer, _ in found},
                "required": [name for name, _, required in found if required],
                "additionalProperties": False,
            },
        )

    def _errors(self, key: tuple[str, str], value: Any, root: str) -> dict[str, str]:
        """Return the errors by place."""
        validator = self._compiled(key)
        if validator.is_valid(value):
            return {}
        errors: dict[str, str] = {}
        for error in validator.iter_errors(value):
            place = _place(root, error.instance_path)
            errors.setdefault(place, error.message if root == "$" else f"{place}: {error.message}")
            if len(errors) == _SHOWN:
                break
        return errors

    def _date(self, operation: Operation, name: str, text: str) -> datetime:
        """Read a date from the query: UTC without a zone, and the end of the day if a bare day ends a range."""
        moment = instant(text)
        if moment is None:
            raise self._refuse(operation, 400, f"query.{name}: {text!r} is not a date")
        if _DATE_ONLY.match(text) and name.endswith(("To", "End")):
            moment = datetime.combine(moment, time.max, tzinfo=UTC)
        return moment

    @staticmethod
    def _refuse(operation: Operation, status: int, message: str) -> Refusal:
        return Refusal(documented(operation, status, 400 if status == 422 else 422), message)


def _typed(encoding: str, text: str) -> Any:
    """Convert a query value to the type of its encoding, or leave it as text for the schema to refuse."""
    if encoding == "integer" and _INTEGER.match(text):
        return int(text)
    if encoding == "boolean" and text in ("true", "false"):
        return text == "true"
    if encoding == "list":
        return text.split(",") if text else []
    return text


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


def _place(root: str, path: Sequence[str | int]) -> str:
    return root + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
