"""What Thrive sends to you: events, verified and parsed. Nothing here does any I/O.

Thrive's support sets up a URL of yours for each kind of subscription, and a secret if you agree on one. Each event
comes as a POST of its own; `receive` makes a model of its raw body. Answer with any 2xx within 30 seconds, or Thrive
sends it again (an older page says five times, with growing pauses): do slow work after the answer, and know a repeated
delivery by its `fingerprint`. No order is promised.

Evidence: https://docs.thrivelearning.com/apidocs/webhooks and the pages of the five subscriptions.

Example:
    async def thrive_event(request: web.Request) -> web.Response:
        signature = request.headers.get(webhooks.SIGNATURE_HEADER)
        try:
            event = webhooks.receive(await request.read(), signature, secret=SECRET)
        except SignatureError:
            return web.Response(status=401)
        if isinstance(event, CompletionEvent):
            ...
        return web.Response(status=204)
"""

import hashlib
import hmac
from typing import Any, Final, TypeAlias, cast

import orjson

from thrive_async import _convert
from thrive_async._frames import stripped
from thrive_async.errors import DecodeError, SignatureError
from thrive_async.models import (
    AssignmentEvent,
    CompletionEvent,
    ContentChangeEvent,
    NotificationEvent,
    UserEvent,
    WebhookEvent,
)

__all__ = ["SIGNATURE_HEADER", "Event", "fingerprint", "parse", "receive", "sign", "verify"]

SIGNATURE_HEADER: Final = "x-hmac-signature"
"""The header that holds a delivery's signature."""

Event: TypeAlias = CompletionEvent | ContentChangeEvent | AssignmentEvent | NotificationEvent | UserEvent | WebhookEvent
"""What comes: one of the documented kinds, or a `WebhookEvent` of a type nobody has documented yet."""

_SUBJECT: Final = "the delivery"
_SCHEME: Final = "sha256="
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


def receive(body: bytes, signature: str | None, *, secret: str) -> Event:
    """Make an event of a delivery that Thrive has signed.

    Args:
        body: The request's body as it came, byte for byte: parsed and written again it has another signature.
        signature: The request's `x-hmac-signature` header; None if it has none.
        secret: The one agreed on with Thrive's support.

    Returns:
        The event: tell its kind with `isinstance` or `match`.

    Raises:
        SignatureError: The signature is missing, or not of this body and secret: answer with 401 and do nothing.
        DecodeError: Thrive signed it, and it is no event: `path` says where, `body` holds it. To answer with 400 has
            Thrive send the same again, to answer with 2xx loses it; so keep it.
        TypeError, ValueError: `body` is no bytes, or `secret` is empty.
    """
    outcome = _mismatch(body, signature, secret) or _read(body)
    if isinstance(outcome, DecodeError | SignatureError):
        # Neither the secret nor anybody's data in a traceback that shows local variables.
        del body, signature, secret
        raise stripped(outcome)
    return outcome


def verify(body: bytes, signature: str | None, *, secret: str) -> None:
    """Make sure that whoever sent a body knows the secret.

    The signature covers no moment: a delivery that somebody has overheard stays valid. Where that matters, compare the
    event's `dispatched_at` with the clock.

    Args:
        body: The request's body as it came.
        signature: The request's `x-hmac-signature` header; None if it has none.
        secret: The one agreed on with Thrive's support.

    Raises:
        SignatureError: The signature is missing, or not of this body and secret.
        TypeError, ValueError: `body` is no bytes, or `secret` is empty.
    """
    mismatch = _mismatch(body, signature, secret)
    if mismatch is not None:
        del body, signature, secret
        raise stripped(mismatch)


def parse(body: bytes) -> Event:
    """Make an event of a body, whoever sent it; for what comes over a network take `receive`.

    Args:
        body: The request's body.

    Returns:
        The event. Its kind follows from the whole of its type, for `content.completed` belongs to another subscription
        than `content.created`; a type that nobody has documented gives a `WebhookEvent`.

    Raises:
        DecodeError: It is no event; `path` says where.
        TypeError: `body` is no bytes.
    """
    outcome = _read(body)
    if isinstance(outcome, DecodeError):
        del body
        raise stripped(outcome)
    return outcome


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
    _check_bytes(body)
    if not isinstance(secret, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"secret must be a string, not {type(secret).__name__}")
    if not secret.strip():
        raise ValueError("secret is empty: whoever guesses that could sign")
    return _SCHEME + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def fingerprint(body: bytes) -> str:
    """Return what all deliveries of one event have in common, and no other event.

    Deliveries carry no id, and a repeated one may tell another `dispatchedAt`: this is a hash of all the rest. Keep
    those of the last days, and pass over an event whose fingerprint is among them.

    Args:
        body: The request's body.

    Returns:
        64 hexadecimal digits.

    Raises:
        DecodeError: The body is no JSON object.
        TypeError: `body` is no bytes.
    """
    document = _object(body)
    if not isinstance(document, DecodeError):
        for holder in (document, document.get("notification")):
            if isinstance(holder, dict):
                cast("dict[str, Any]", holder).pop("dispatchedAt", None)
        try:
            return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()
        except orjson.JSONEncodeError:
            document = _failure("nested too deeply", body)
    failure = document
    del body, document
    raise stripped(failure)


def _mismatch(body: bytes, signature: str | None, secret: str) -> SignatureError | None:
    expected = sign(body, secret=secret)
    if not signature:
        return SignatureError(
            f"the delivery has no {SIGNATURE_HEADER} header: it does not come from Thrive, "
            "or no secret is set up for this subscription on Thrive's side"
        )
    written = signature.strip().lower()
    if not written.startswith(_SCHEME):
        return SignatureError(f"the {SIGNATURE_HEADER} header is not of the form {_SCHEME}<hexadecimal digits>")
    # Of bytes, since text beyond ASCII cannot be compared; in constant time, so that nobody learns by trying.
    if not hmac.compare_digest(written.encode(errors="replace"), expected.encode()):
        return SignatureError(
            f"the {SIGNATURE_HEADER} header is not the signature of this body with this secret: "
            "somebody else sent it, the secret is another one, or the body is not the raw one"
        )
    return None


def _read(body: bytes) -> Event | DecodeError:
    document = _object(body)
    if isinstance(document, DecodeError):
        return document
    event_type = document.get("eventType")
    try:
        return _convert.read(_kind_of(event_type) if isinstance(event_type, str) else WebhookEvent, document)
    except DecodeError as error:
        error.subject, error.body = _SUBJECT, bytes(body)
        return error


def _kind_of(event_type: str) -> type[Event]:
    if event_type in _COMPLETIONS:
        return CompletionEvent
    return _KINDS.get(event_type.partition(".")[0], WebhookEvent)


def _object(body: bytes) -> dict[str, Any] | DecodeError:
    _check_bytes(body)
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    return cast("dict[str, Any]", document) if isinstance(document, dict) else _failure("expected a JSON object", body)


def _check_bytes(body: object) -> None:
    if not isinstance(body, bytes | bytearray | memoryview):
        raise TypeError(f"body must be the raw bytes of the request, not {type(body).__name__}")


def _failure(text: str, body: bytes) -> DecodeError:
    failure = DecodeError(text, body=bytes(body))
    failure.subject = _SUBJECT
    return failure
