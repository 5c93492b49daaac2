"""Webhooks: who sent it, what it is, and whether it came before."""

import hashlib
import hmac
import json
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from thrive_async import DecodeError, SignatureError, ThriveError, webhooks
from thrive_async import models as m

SPECIFICATION = json.loads((Path(webhooks.__file__).parent / "_generated" / "openapi.json").read_text(encoding="utf-8"))
SCHEMAS = SPECIFICATION["components"]["schemas"]
SECRET = "s3cret-agreed-on"
KINDS = (m.CompletionEvent, m.ContentChangeEvent, m.AssignmentEvent, m.NotificationEvent, m.UserEvent, m.WebhookEvent)
COMPLETED = orjson.dumps(SCHEMAS["CompletionEvent"]["examples"][0])


def body_of(**fields: object) -> bytes:
    return orjson.dumps(fields)


# What it is


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_example_of_each_kind_becomes_its_model(kind: type[m.Model]) -> None:
    (example,) = SCHEMAS[kind.__name__]["examples"]
    event = webhooks.parse(orjson.dumps(example))
    assert type(event) is kind
    assert event.event_type == example["eventType"]
    assert event.tenant_id == "acme-corp"
    assert event.dispatched_at is not None
    assert event.dispatched_at.isoformat() == "2024-05-01T10:00:01+00:00"


def test_an_event_holds_all_that_thrive_tells() -> None:
    event = webhooks.parse(COMPLETED)
    assert isinstance(event, m.CompletionEvent)
    assert event.user is not None
    assert event.content is not None
    assert (event.user.reference, event.user.email, event.content.type) == (
        "user123",
        "test.user@example.com",
        "course",
    )
    assert event.content.urls == ["https://acme.example.com/content/5f1a2b3c4d5e6f7a8b9c0d1e"]


@pytest.mark.parametrize(
    ("event_type", "kind"),
    [
        ("content.completed", m.CompletionEvent),
        ("content.passed", m.CompletionEvent),
        ("content.created", m.ContentChangeEvent),
        ("content.completedness", m.ContentChangeEvent),
        ("page.published", m.ContentChangeEvent),
        ("post.created", m.ContentChangeEvent),
        ("comment.created", m.ContentChangeEvent),
        ("moderation.requested", m.ContentChangeEvent),
        ("assignment.assigned", m.AssignmentEvent),
        ("assignment.extended", m.AssignmentEvent),
        ("enrolment.overdue", m.AssignmentEvent),
        ("notification.dispatched", m.NotificationEvent),
        ("user.created", m.UserEvent),
        ("user.merged", m.UserEvent),
        ("campaign.started", m.WebhookEvent),
        ("usersomething", m.WebhookEvent),
        ("", m.WebhookEvent),
    ],
)
def test_the_whole_type_tells_the_kind(event_type: str, kind: type[m.Model]) -> None:
    event = webhooks.parse(body_of(eventType=event_type))
    assert type(event) is kind
    assert event.event_type == event_type


def test_every_documented_type_has_a_kind_of_its_own_and_is_known() -> None:
    for event_type in SCHEMAS["KnownWebhookEventType"]["enum"]:
        event = webhooks.parse(body_of(eventType=event_type))
        assert type(event) is not m.WebhookEvent
        assert event.event_type.is_known


def test_what_thrive_leaves_out_or_adds_does_no_harm() -> None:
    event = webhooks.parse(body_of(eventType="user.updated", user=None, createdAt=None, campaign={"id": 1}))
    assert event == m.UserEvent(event_type=m.WebhookEventType.USER_UPDATED)


@pytest.mark.parametrize(
    "fields",
    [
        {"eventType": "user.merged", "user": "E-1"},
        {"eventType": "content.rated", "content": "c1"},
        {"eventType": "comment.created", "content": 7},
        {"eventType": "enrolment.moved", "users": "u"},
    ],
)
def test_an_undocumented_type_that_looks_like_no_other_is_read_for_what_all_have(fields: dict[str, object]) -> None:
    event = webhooks.parse(body_of(**fields, tenantId="acme-corp"))
    assert type(event) is m.WebhookEvent
    assert (event.event_type, event.tenant_id) == (fields["eventType"], "acme-corp")
    assert not event.event_type.is_known


@pytest.mark.parametrize("period", [30, 30.0, 0.5, "P1M", None])
def test_a_period_may_be_a_number_or_a_text(period: object) -> None:
    """Its type is not documented; 30.0 is a whole number to JSON Schema."""
    assignment = {"completionPeriod": period, "recurrence": period}
    event = webhooks.parse(body_of(eventType="assignment.updated", assignment=assignment))
    assert isinstance(event, m.AssignmentEvent)
    assert event.assignment is not None
    assert (event.assignment.completion_period, event.assignment.recurrence) == (period, period)


@pytest.mark.parametrize("body", [b"", b"{", b'{"eventType": "user.created", "x": "\\ud83d"}'])
def test_what_is_no_json_is_told_from_what_is_no_event(body: bytes) -> None:
    with pytest.raises(DecodeError, match="it is no JSON that can be read"):
        webhooks.parse(body)


def test_the_first_event_imports_nothing() -> None:
    """It would read files on the loop."""
    program = (
        "import sys; from thrive_async import webhooks; before = set(sys.modules); "
        'webhooks.parse(b\'{"eventType": "user.created", "user": {"id": "u"}}\'); '
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"", "$"),
        (b"eventType=user.created", "$"),
        (b"[]", "$"),
        (b'"user.created"', "$"),
        (b"{}", "$.eventType"),
        (b'{"eventType": null}', "$.eventType"),
        (b'{"eventType": []}', "$.eventType"),
    ],
)
def test_what_is_no_event_is_a_decode_error_that_keeps_it(body: bytes, path: str) -> None:
    with pytest.raises(DecodeError) as raised:
        webhooks.parse(body)
    assert (raised.value.path, raised.value.body) == (path, body)
    assert str(raised.value).startswith(f"the delivery cannot be read at {path}: ")
    again = pickle.loads(pickle.dumps(raised.value))
    assert str(again) == str(raised.value)


def places(value: object, path: str = "$") -> Iterator[tuple[str, Any, Any]]:
    """Every place in a document: its path, what holds it, and its key there."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        where = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}"
        yield where, value, key
        yield from places(inner, where)


@pytest.mark.parametrize("strange", [None, True, 7, 7.5, "x", "", [], [7], {}, {"id": 7}], ids=repr)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_something_strange_in_any_place_is_read_or_named(kind: type[m.Model], strange: object) -> None:
    (example,) = SCHEMAS[kind.__name__]["examples"]
    for path, holder, key in list(places(example)):
        usual, holder[key] = holder[key], strange
        outcome = outcome_of(webhooks.parse, orjson.dumps(example))
        holder[key] = usual
        if isinstance(outcome, DecodeError):
            assert outcome.path.startswith(path), f"{outcome.path} is blamed for {path}"
        else:
            assert isinstance(outcome, KINDS)


def outcome_of(read: Callable[[bytes], object], body: bytes) -> object:
    try:
        return read(body)
    except DecodeError as error:
        return error


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
wire_names = sorted({name for kind in KINDS for name in SCHEMAS[kind.__name__]["properties"]})


@given(
    st.sampled_from([*SCHEMAS["KnownWebhookEventType"]["enum"], "page.x", "enrolment.x", "new"]),
    st.dictionaries(st.sampled_from(wire_names), json_values, max_size=4),
)
def test_any_json_is_an_event_or_a_decode_error(event_type: str, fields: dict[str, Any]) -> None:
    try:
        body = orjson.dumps({"eventType": event_type, **fields})
    except orjson.JSONEncodeError:
        return  # an integer or a text that JSON does not hold
    outcome = outcome_of(webhooks.parse, body)
    assert isinstance(outcome, KINDS) or (isinstance(outcome, DecodeError) and outcome.path.startswith("$"))


@given(st.binary(max_size=60))
def test_any_bytes_are_an_event_or_a_decode_error(body: bytes) -> None:
    for read, wanted in ((webhooks.parse, KINDS), (webhooks.fingerprint, str)):
        outcome = outcome_of(read, body)
        assert isinstance(outcome, wanted) or (isinstance(outcome, DecodeError) and outcome.body == body)


# Who sent it


def test_a_signature_is_the_hmac_of_the_raw_body() -> None:
    expected = "sha256=" + hmac.new(SECRET.encode(), COMPLETED, hashlib.sha256).hexdigest()
    assert webhooks.sign(COMPLETED, secret=SECRET) == expected
    webhooks.verify(COMPLETED, expected, secret=SECRET)
    assert isinstance(webhooks.receive(COMPLETED, expected, secret=SECRET), m.CompletionEvent)


def test_a_signature_may_come_in_capitals_or_with_white_space() -> None:
    signature = webhooks.sign(COMPLETED, secret=SECRET)
    for written in (signature.upper(), f" {signature}\t", "SHA256=" + signature[7:]):
        webhooks.verify(COMPLETED, written, secret=SECRET)


def forgeries() -> dict[str, tuple[bytes, str | None]]:
    signature = webhooks.sign(COMPLETED, secret=SECRET)
    return {
        "none": (COMPLETED, None),
        "empty": (COMPLETED, ""),
        "no scheme": (COMPLETED, signature[7:]),
        "another scheme": (COMPLETED, "sha1=" + signature[7:]),
        "the scheme alone": (COMPLETED, "sha256="),
        "another digit": (COMPLETED, signature[:-1] + ("0" if signature[-1] != "0" else "1")),
        "a digit less": (COMPLETED, signature[:-1]),
        "a digit more": (COMPLETED, signature + "0"),
        "no ASCII": (COMPLETED, "sha256=\u0661" + signature[8:]),
        "no Unicode": (COMPLETED, "sha256=\udcff" + signature[8:]),
        "another secret": (COMPLETED, webhooks.sign(COMPLETED, secret=SECRET + "x")),
        "another body": (COMPLETED.replace(b"user123", b"user124"), signature),
        "the body written again": (json.dumps(json.loads(COMPLETED)).encode(), signature),
    }


@pytest.mark.parametrize("how", forgeries())
@pytest.mark.parametrize("check", [webhooks.receive, webhooks.verify])
def test_what_is_not_signed_with_the_secret_is_refused(check: Callable[..., object], how: str) -> None:
    body, signature = forgeries()[how]
    with pytest.raises(SignatureError) as raised:
        check(body, signature, secret=SECRET)
    assert isinstance(raised.value, ThriveError)
    says = {"none": "has no x-hmac-signature", "empty": "has no x-hmac-signature", "no scheme": "is not of the form"}
    assert says.get(how, "is not of the form" if how == "another scheme" else "is not the signature") in str(
        raised.value
    )
    assert SECRET not in str(raised.value)
    assert not signature or signature[7:] == "" or signature[7:] not in str(raised.value)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_a_forged_body_is_not_even_read() -> None:
    with pytest.raises(SignatureError):
        webhooks.receive(b"no JSON", webhooks.sign(b"{}", secret=SECRET), secret=SECRET)


@pytest.mark.parametrize(
    "call",
    [
        lambda: webhooks.receive(COMPLETED, "sha256=0", secret=SECRET),
        lambda: webhooks.verify(COMPLETED, None, secret=SECRET),
        lambda: webhooks.receive(b"[1]", webhooks.sign(b"[1]", secret=SECRET), secret=SECRET),
        lambda: webhooks.receive({"reference": "user123"}, "sha256=0", secret=SECRET),  # type: ignore[arg-type]
        lambda: webhooks.verify(COMPLETED.decode(), "sha256=0", secret=SECRET),  # type: ignore[arg-type]
        lambda: webhooks.verify(COMPLETED, b"sha256=0", secret=SECRET),  # type: ignore[arg-type]
        lambda: webhooks.sign(COMPLETED, secret=SECRET.encode()),  # type: ignore[arg-type]
        lambda: webhooks.sign(COMPLETED, secret=SECRET + "\ud83d"),
    ],
)
def test_no_frame_of_an_error_holds_the_secret(call: Callable[[], object]) -> None:
    with pytest.raises((ThriveError, TypeError, ValueError)) as raised:
        call()
    assert raised.value.__context__ is None
    told = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    frames = [frame for frame in told.stack if Path(frame.filename).is_relative_to(Path(webhooks.__file__).parent)]
    assert frames
    for frame in frames:
        for value in (frame.locals or {}).values():
            assert SECRET not in value


@pytest.mark.parametrize("secrets", [("new", SECRET), [SECRET, "old"], [SECRET]], ids=repr)
def test_while_a_secret_is_replaced_each_of_them_is_good(secrets: Any) -> None:
    signature = webhooks.sign(COMPLETED, secret=SECRET)
    assert webhooks.receive(COMPLETED, signature, secret=secrets)
    with pytest.raises(SignatureError):
        webhooks.verify(COMPLETED, webhooks.sign(COMPLETED, secret="another"), secret=secrets)


@pytest.mark.parametrize("secrets", [[], (), [SECRET, ""], ["  "]], ids=repr)
def test_no_secret_and_an_empty_one_are_refused(secrets: Any) -> None:
    """Also beside a good one, and also if the signature fits."""
    with pytest.raises(ValueError, match="secret is empty"):
        webhooks.verify(COMPLETED, webhooks.sign(COMPLETED, secret=SECRET), secret=secrets)


def test_mistakes_of_the_caller_say_so() -> None:
    with pytest.raises(TypeError, match="body must be the raw bytes of the request, not dict"):
        webhooks.receive({"eventType": "user.created"}, "sha256=0", secret=SECRET)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="raw bytes"):
        webhooks.parse("{}")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="raw bytes"):
        webhooks.fingerprint("{}")  # type: ignore[arg-type]
    for header in (b"sha256=0", ["sha256=0"]):
        with pytest.raises(TypeError, match="signature must be the header's text, or None, not"):
            webhooks.receive(COMPLETED, header, secret=SECRET)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="secret holds characters that are no Unicode text"):
        webhooks.sign(COMPLETED, secret="\ud83d")
    with pytest.raises(ValueError, match="secret is empty"):
        webhooks.verify(COMPLETED, "sha256=0", secret=" ")
    with pytest.raises(TypeError, match="secret must be a string, not NoneType"):
        webhooks.sign(COMPLETED, secret=None)  # type: ignore[arg-type]


# Whether it came before


def test_deliveries_of_one_event_have_one_fingerprint() -> None:
    notification = {"messageTitle": "t", "createdAt": "2026-01-01T00:00:00Z"}
    event = {"eventType": "notification.dispatched", "createdAt": "2026-01-01T00:00:00Z", "user": {"id": "u"}}
    first, again = (
        {**event, "dispatchedAt": moment, "notification": {**notification, "dispatchedAt": moment}}
        for moment in ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z")
    )
    swapped = dict(reversed(again.items()))
    fingerprints = {webhooks.fingerprint(orjson.dumps(one)) for one in (first, again, swapped)}
    assert len(fingerprints) == 1
    assert len(fingerprints.pop()) == 64


def test_another_event_has_another_fingerprint() -> None:
    event = json.loads(COMPLETED)
    others = [
        event,
        {**event, "eventType": "content.passed"},
        {**event, "createdAt": "2024-05-01T10:00:00.001Z"},
        {**event, "user": {**event["user"], "id": "usr_abc124"}},
        {**event, "somethingNew": 1},
    ]
    assert len({webhooks.fingerprint(orjson.dumps(one)) for one in others}) == len(others)


def test_whatever_is_read_has_a_fingerprint() -> None:
    """Also what is nested more deeply than it can be written again."""
    deep = b'{"eventType": "new", "x": ' + b"[" * 900 + b"]" * 900 + b"}"
    assert isinstance(webhooks.parse(deep), m.WebhookEvent)
    assert webhooks.fingerprint(deep) == webhooks.fingerprint(deep) != webhooks.fingerprint(deep + b" ")


def test_an_event_that_does_not_say_when_it_happened_may_be_told_twice_but_not_be_lost() -> None:
    """The same person activated twice within a year, by events that differ in `dispatchedAt` alone."""
    event = {"eventType": "user.activated", "user": {"id": "u"}}
    for undated in ({}, {"createdAt": None}):
        one, other = ({**event, **undated, "dispatchedAt": f"2026-0{month}-01T00:00:00Z"} for month in (1, 2))
        assert webhooks.fingerprint(orjson.dumps(one)) != webhooks.fingerprint(orjson.dumps(other))


# In a web backend


async def test_a_backend_takes_what_is_signed_and_refuses_the_rest() -> None:
    taken: list[webhooks.Event] = []

    async def thrive_event(request: web.Request) -> web.Response:
        signature = request.headers.get(webhooks.SIGNATURE_HEADER)
        try:
            taken.append(webhooks.receive(await request.read(), signature, secret=SECRET))
        except SignatureError:
            return web.Response(status=401)
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/thrive", thrive_event)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/thrive"
        headers = {"X-Hmac-Signature": webhooks.sign(COMPLETED, secret=SECRET), "Content-Type": "application/json"}
        async with aiohttp.ClientSession() as session:
            for sent, status in ((COMPLETED, 204), (COMPLETED + b" ", 401)):
                async with session.post(url, data=sent, headers=headers) as response:
                    assert response.status == status
    finally:
        await runner.cleanup()
    assert taken == [webhooks.parse(COMPLETED)]
