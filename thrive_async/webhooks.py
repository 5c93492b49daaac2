"""What Thrive sends to you: events, verified and parsed. Nothing here does any I/O.

Thrive's support sets up a URL of yours for each kind of subscription, and a secret if you agree on one. Each event
comes as a POST of its own; `receive` makes a model of its raw body. Answer with any 2xx within 30 seconds, or Thrive
sends it again (an older page says five times, with growing pauses): do slow work after the answer, and know a repeated
delivery by its `fingerprint`. No order is promised.

Evidence: https://docs.thrivelearning.com/apidocs/webhooks and the pages of the five subscriptions.

Example:
    ```python
    async def thrive_event(request: web.Request) -> web.Response:
        signature = request.headers.get(webhooks.SIGNATURE_HEADER)
        try:
            event = webhooks.receive(await request.read(), signature, secret=SECRET)
        except SignatureError:
            return web.Response(status=401)
        except DecodeError as error:
            ...  # keep error.body: to have it sent again does not help
        if isinstance(event, CompletionEvent):
            ...
        return web.Response(status=204)
    ```
"""

import hashlib
import hmac
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias, cast

import orjson

from thrive_async._base.problems import Found, Problems, unread
from thrive_async._wire import convert
from thrive_async.auth import Secret
from thrive_async.errors import DecodeError, SignatureError
from thrive_async.models import (
    AssignmentEvent,
    CompletionEvent,
    ContentChangeEvent,
    NotificationEvent,
    UserEvent,
    WebhookEvent,
    WebhookEventType,
)

__all__ = ["SIGNATURE_HEADER", "Event", "fingerprint", "parse", "problems", "receive", "sign", "verify"]

SIGNATURE_HEADER: Final = "x-hmac-signature"
"""The header that holds a delivery's signature."""

Event: TypeAlias = CompletionEvent | ContentChangeEvent | AssignmentEvent | NotificationEvent | UserEvent | WebhookEvent
"""One of the documented events, or a `WebhookEvent` of a type that is not documented yet."""

_SCHEME: Final = "sha256="
_SUBJECT: Final = "webhook"
_problems: Final = Problems()
_COMPLETIONS: Final = frozenset({"content.completed", "content.passed"})
# By what stands before the point of an event's type, once completions are told apart.
_KINDS: Final[dict[str, type[Event]]] = {
    "content": ContentChangeEvent,
    "page": ContentChangeEvent,
    "post": ContentChangeEvent,
    "comment": ContentChangeEvent,
    "moderation": ContentChangeEvent,
    "assignment": AssignmentEvent,
    "enrolment": AssignmentEvent,
    "notification": NotificationEvent,
    "user": UserEvent,
}


def receive(body: bytes, signature: str | None, *, secret: str | Sequence[str]) -> Event:
    """Make an event of a delivery that Thrive has signed.

    Args:
        body: The request's body as it came, byte for byte: parsed and written again it has another signature.
        signature: The request's `x-hmac-signature` header; None if it has none.
        secret: The one agreed on with Thrive's support. While you replace it, pass the new and the old one.

    Returns:
        The event: tell its kind with `isinstance` or `match`.

    Raises:
        SignatureError: The signature is missing, or not of this body and secret: answer with 401 and do nothing.
        DecodeError: Thrive signed it, but it is no event: `path` says where, `body` holds it. Answering with 400 makes
            Thrive send it again, and answering with 2xx loses it, so keep it.
        TypeError, ValueError: `body` is no bytes, `signature` no text, or `secret` is empty.
    """
    hidden = _hidden(secret)
    del secret  # crash reporters print the variables of an error's frames
    _verify(body, signature, hidden)
    return parse(body)


def verify(body: bytes, signature: str | None, *, secret: str | Sequence[str]) -> None:
    """Check that the sender of a body knows the secret.

    The signature covers no time, so a recorded delivery stays valid. Where that matters, compare the event's
    `dispatched_at` with the clock.

    Args:
        body: The request's body as it came.
        signature: The request's `x-hmac-signature` header; None if it has none.
        secret: The one agreed on with Thrive's support. While you replace it, pass the new and the old one.

    Raises:
        SignatureError: The signature is missing, or not of this body and secret.
        TypeError, ValueError: `body` is no bytes, `signature` no text, or `secret` is empty.
    """
    hidden = _hidden(secret)
    del secret
    _verify(body, signature, hidden)


def parse(body: bytes) -> Event:
    """Make an event of a body without checking its sender; use `receive` for what comes over a network.

    Args:
        body: The request's body.

    Returns:
        The event. Its kind follows from the whole type: `content.completed` belongs to another subscription than
        `content.created`. An event of an undocumented type (`event_type.is_known` is False) is read like its
        neighbours, or as a `WebhookEvent` if it does not look like them. A value that does not match the
        specification is read as well as possible, and counted in `problems()`.

    Raises:
        DecodeError: It is not an event. `path` says where.
        TypeError: `body` is not bytes.
    """
    document = _object(body)
    *guesses, at_least = _kinds_of(document.get("eventType"))
    for kind in guesses:
        found = Found()
        with suppress(DecodeError):
            event = convert.read(kind, document, found)
            if not unread(event):
                _problems.add(found, _SUBJECT, "$")
                return event
    found = Found()
    try:
        event = convert.read(at_least, document, found)
    except DecodeError as error:
        raise _of_delivery(error, body) from None
    _problems.add(found, _SUBJECT, "$")
    return event


def problems() -> Problems:
    """Return the values in this process's events that do not match the specification; empty if all is well.

    A mapping: the path, such as `$.user.id`, -> what was expected, what came and how often.
    """
    return _problems


def sign(body: bytes, *, secret: str) -> str:
    """Return the header that Thrive would send with a body, for tests of your own handler.

    Args:
        body: The body.
        secret: The secret.

    Raises:
        TypeError, ValueError: `body` is no bytes, or `secret` is empty.

    Example:
        >>> sign(b'{"eventType": "user.created"}', secret="hush")
        'sha256=8397f6570ede5d53495252236cfc01838f58ac8e4ba5e32b7cd35a7ff023c940'
    """
    hidden = Secret(secret)
    del secret
    return _signed(body, hidden)


def fingerprint(body: bytes) -> str:
    """Return a hash that all deliveries of one event share, and no other event has.

    Deliveries have no id, and a repeated one may have another `dispatchedAt`, so this hashes everything else. (If an
    event does not say when it happened, `dispatchedAt` counts too: better to see an event twice than to lose one.) Keep
    the fingerprints of the last days, and skip an event whose fingerprint is among them.

    Args:
        body: The request's body.

    Returns:
        64 hexadecimal digits.

    Raises:
        DecodeError: The body is no JSON object.
        TypeError: `body` is no bytes.
    """
    document = _object(body)
    if document.get("createdAt") is not None:
        for holder in (document, document.get("notification")):
            if isinstance(holder, dict):
                cast("dict[str, Any]", holder).pop("dispatchedAt", None)
    try:
        common = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        common = body  # nested more deeply than can be written
    return hashlib.sha256(common).hexdigest()


def _hidden(secret: str | Sequence[str]) -> list[Secret]:
    # Anything that is no sequence is left for `_signed` to refuse.
    return [Secret(one) for one in secret] if isinstance(secret, list | tuple) else [Secret(cast("str", secret))]


def _signed(body: bytes, secret: Secret) -> str:
    _check_bytes(body)
    if not isinstance(secret.reveal(), str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"secret must be a string, not {type(secret.reveal()).__name__}")
    if not secret.reveal().strip():
        raise ValueError("secret is empty: anyone who guesses that could sign")
    try:
        return _SCHEME + hmac.new(secret.reveal().encode(), body, hashlib.sha256).hexdigest()
    except UnicodeEncodeError:
        # Raised below, for this error quotes the secret.
        pass
    raise ValueError("secret holds characters that are no Unicode text (a lone surrogate)")


def _verify(body: bytes, signature: str | None, secrets: Sequence[Secret]) -> None:
    if not secrets:
        raise ValueError("secret is empty: pass the one agreed on with Thrive's support")
    expected = [_signed(body, secret) for secret in secrets]
    if not isinstance(signature, str | None):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"signature must be the header's text, or None, not {type(signature).__name__}")
    if not signature:
        raise SignatureError(
            f"the delivery has no {SIGNATURE_HEADER} header: it does not come from Thrive, "
            "or no secret is set up for this subscription on Thrive's side"
        )
    written = signature.strip().lower()
    if not written.startswith(_SCHEME):
        raise SignatureError(f"the {SIGNATURE_HEADER} header is not of the form {_SCHEME}<hexadecimal digits>")
    # In constant time, so that trying teaches nothing; as bytes, since non-ASCII text cannot be compared.
    came = written.encode(errors="replace")
    fits = [hmac.compare_digest(came, one.encode()) for one in expected]
    if not any(fits):
        raise SignatureError(
            f"the {SIGNATURE_HEADER} header is not the signature of this body with this secret: "
            "it was sent by someone else, the secret differs, or the body is not the raw one"
        )


def _kinds_of(event_type: object) -> tuple[type[Event], ...]:
    """What an event of a type may be, the likeliest first."""
    if not isinstance(event_type, str):
        return (WebhookEvent,)
    if event_type in _COMPLETIONS:
        return (CompletionEvent,)
    kind = _KINDS.get(event_type.partition(".")[0], WebhookEvent)
    return (kind,) if WebhookEventType(event_type).is_known else (kind, WebhookEvent)


def _object(body: bytes) -> dict[str, Any]:
    _check_bytes(body)
    text = "expected a JSON object"
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        document, text = None, "it is no JSON that can be read"
    if not isinstance(document, dict):
        raise _of_delivery(DecodeError(text), body)
    return cast("dict[str, Any]", document)


def _of_delivery(error: DecodeError, body: bytes) -> DecodeError:
    error.subject, error.body = "the delivery", bytes(body)
    return error


def _check_bytes(body: object) -> None:
    if not isinstance(body, bytes | bytearray):
        raise TypeError(f"body must be the raw bytes of the request, not {type(body).__name__}")


# Now, and not when the first event comes: 20 ms, and files that the loop need not read.
convert.prepare()
