"""Thrive's words, made safe to log.

Error texts end up in logs, and Thrive's words often quote the person they are about: the one the caller named, or one
that only Thrive knows. So a text keeps the words that explain, which are small English words and the API's own names,
and hides the rest. A lower-case word may be anybody's ref or name, so where one is likely to stand (in quotation marks,
behind `user` or `by`, as a value of an object) it must be known to be English. What Thrive really said is on the error
(`APIError.message`, `.body`).
"""

import json
import re
from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import quote

import attrs

HIDDEN: Final = "***"
_LONGEST: Final = 300
_LONGEST_READ: Final = 10_000
# What the caller sent is hidden wherever it stands if it has so many characters, and as a whole word if fewer.
_DISTINCTIVE: Final = 5
_TOKEN: Final = re.compile(
    r"[^\s\"'`\u2018\u2019\u201c\u201d<>()\[\]{},;:=|]+(?:['\u2019](?!\s)[^\s\"'`<>()\[\]{},;:=|]+)*"
)
_WORD: Final = r"[A-Za-z]+(?:['\u2019-][A-Za-z]+)*"
_PLAIN: Final = re.compile(r"[a-z]+(?:['\u2019][a-z]{1,2})?|[0-9]{1,4}(?:\.[0-9]{1,3})?%?")
_RUN: Final = re.compile(r"\*\*\*(?:[\s'\"\u2019-]*\*\*\*)+")
# Words that begin sentences, abbreviations, and codes of errors; other capitals may be those of a name.
_KNOWN: Final = (
    "a all already an and any api are array at audience be body boolean both but by cannot date did do does "
    "duplicate each email every failed field for forbidden from given has have html http https i id ids if in "
    "internal invalid is iso it its json learner letters manager member missing more must neither no none not "
    "nothing null number object of only or other parameter please property quota rate reference request required "
    "resource retry server should so some something status string such tag tenant than that the their there these "
    "they this to token too unable unauthorized unexpected unknown unsupported updated url user users utc utf "
    "uuid validation value wait we when while with you your e-mail api-controlled read-only oauth bearer basic "
    "client-id api/webhooks invalid_request invalid_client invalid_grant invalid_scope unauthorized_client "
    "unsupported_grant_type access_denied rate_limit_exceeded server_error temporarily_unavailable "
    "unprocessable_entity not_found"
)
# What lower-case words are also known to be where a name may stand.
_ORDINARY: Final = (
    "about above absent access account accounts action active activity actual added address administrator "
    "administrators after agent agents always am another anything app archived arrays as assigned attempt attempts "
    "authorisation authorization available back base because been before being belong belongs below between big blank "
    "blocked booleans bytes call called calls case change changed character characters child children client code "
    "codes completed connected contain contained contains could creation current data day days deep default deleted "
    "deletion denied deprecated description detail details different digits disabled doesn't domain don't double down "
    "during either empty enabled end ended ends enough entities entries entry equal errors everyone everything exceed "
    "exceeded exceeds exist existing exists expected expired expression external failure false few file first "
    "following format friendly full fully global greater group groups had headers hint hours how identifier "
    "identifiers ignored immutable inactive incorrect incorrectly input inside integer integers into isn't issue "
    "issues item items itself key keys kind known lacks last later least leave left less level levels like limit "
    "limits list lists local longer lower made malformed mandatory match matched matches matching maximum members "
    "message messages minimum minute minutes mismatch moment names need needs nested never new next nobody nor now "
    "numbers off old omitted on once ones operation operations outside own page pages parameters parent part pass "
    "password past path pattern payload pending per perform performed permission permissions permitted policy "
    "positive possible present previous primary private processed profile properties provided public qualified query "
    "reach reached read real reason received recently records refused regular rejected remove removed replaced "
    "requires reserved resources restricted result results retrieved role roles rule rules same schema scope scopes "
    "second secondary seconds security self sent session sessions set short shorter simultaneously since single size "
    "small space spaces start started starts state still strings structure supplied support suspended system tags "
    "taken text themselves then through time timed times title today together true try twice types undefined under "
    "unique until up update updates upper using valid values via violates virtual was wasn't were what where whether "
    "which whitespace who whom whose will within without won't would write wrong year years yet zero zone"
)
# Behind these comes who it is about, if it is not a known word that comes.
_NAMING: Final = (
    "account accounts by called email e-mail employee id ids identifier key learner learners login mail manager "
    "managers member members name named names owner people person persons ref reference references refs user username "
    "users value values"
)
_JOINING: Final = frozenset(("and", "nor", "or"))
# Before these, at the beginning of a text, too.
_VERB: Final = r"\s+(?:already|belongs|cannot|could|does|exists|has|is|not|was)\b"
_QUOTED: Final = (
    r"""(?<!\w)(?:"[^"]{1,80}"|'[^'"]{1,80}'|`[^`]{1,80}`|"""
    r"""\u201c[^\u201d]{1,80}\u201d|\u2018[^\u2019]{1,80}\u2019)(?!\w)"""
)
# Under these an object says something; under others it may hold somebody.
_TELLING: Final = frozenset(
    {"code", "description", "detail", "details", "error", "errors", "hint", "message", "messages", "reason", "title"}
)

_PLACES: Final = frozenset({"query", "path", "body", "header", "$"})


def masked_words(words: object, sent: Iterable[str] = ()) -> str:
    """Put Thrive's words into one short line that is safe to log.

    Args:
        words: The `message` of an error body, string or object, or the text of a body that is no JSON.
        sent: The strings of the request, hidden whatever they look like: path arguments, query values, leaves of the
            body.
    """
    if words is None:
        return ""
    hide = _pattern_of(sent)
    left = _LONGEST_READ

    def masked(value: Any, *, telling: bool) -> Any:
        # Leaf by leaf: in the JSON of an object, a quotation mark in a name would hide it from the pattern.
        nonlocal left
        left -= 1
        if isinstance(value, str):
            if len(value) > left:
                # Not inside a word, for half of what is to be hidden would be shown.
                value = value[: max(left, 0)].rpartition(" ")[0]
            left -= len(value)
            value = hide.sub(HIDDEN, value) if hide else value
            return _RUN.sub(HIDDEN, _TOKEN.sub(_Mask(value, telling=telling), value))
        if isinstance(value, dict):
            return {
                masked(key, telling=False): masked(item, telling=telling and key in _TELLING)
                for key, item in cast("dict[str, Any]", value).items()
                if left > 0
            }
        if isinstance(value, list):
            items = cast("list[Any]", value)
            return [masked(item, telling=telling and isinstance(item, dict)) for item in items if left > 0]
        return value if isinstance(value, bool) or not isinstance(value, int | float) else _kept_number(value)

    text = masked(words, telling=True)
    if not isinstance(text, str):
        text = json.dumps(text, ensure_ascii=False, default=str)
    text = "".join(char if char.isprintable() else " " for char in text[:_LONGEST_READ])
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


class _Mask:
    """Replaces each token of a text that does not explain by stars.

    Args:
        text: The text that will be gone through, token by token.
        telling: Whether it is known to say something; otherwise it may be a value, and then nothing but a name.
    """

    def __init__(self, text: str, *, telling: bool) -> None:
        self._quotations = re.finditer(_QUOTED, text)
        self._quotation = next(self._quotations, None)
        self._is_value = not telling and not any(_is_known(word) for word in re.findall(_WORD, text))
        self._naming = False

    def __call__(self, token: re.Match[str]) -> str:
        whole = token[0]
        core = whole.rstrip(".!?")
        known = _is_known(core)
        shown = known or (bool(_PLAIN.fullmatch(core)) and not self._may_name(core, token))
        named = core.lower() in _naming()
        stays = self._naming and (not shown or core in _JOINING or HIDDEN in core)
        self._naming = (named or stays) and whole == core
        return whole if shown else HIDDEN + whole[len(core) :]

    def _may_name(self, core: str, token: re.Match[str]) -> bool:
        """Tell whether a lower-case word stands where a name would."""
        if core[0].isdigit():
            return False
        if self._is_value or self._naming or self._is_quoted(token.start()):
            return True
        return token.start() == 0 and re.match(_VERB, token.string[token.end() :]) is not None

    def _is_quoted(self, place: int) -> bool:
        # Tokens come in order, and so do quotations.
        while self._quotation is not None and self._quotation.end() < place:
            self._quotation = next(self._quotations, None)
        return self._quotation is not None and self._quotation.start() < place


def _is_known(core: str) -> bool:
    """Tell whether a word explains, wherever it stands: English, the API's own, or a place in the request."""
    if not core or HIDDEN in core or core in _api_words() or core.lower() in _english() or core in _ordinary():
        return True
    # A place: `query.perPage`, `body.2.reference`.
    place, *inner = core.split(".")
    return place in _PLACES and all(part in _api_words() or (part.isdecimal() and len(part) < 5) for part in inner)


def _kept_number(value: float) -> float | str:
    return value if abs(value) < 10_000 else HIDDEN


def _pattern_of(sent: Iterable[str]) -> re.Pattern[str] | None:
    values = {value for value in sent if len(value) >= 2} - _api_words()
    values |= {quote(value, safe="") for value in values}
    words = (re.escape(value) for value in sorted(values, key=len, reverse=True))
    patterns = [word if len(word) >= _DISTINCTIVE else rf"(?<!\w){word}(?!\w)" for word in words]
    return re.compile("|".join(patterns), re.IGNORECASE) if patterns else None


@cache
def _english() -> frozenset[str]:
    phrases = " ".join(status.phrase for status in HTTPStatus)
    return frozenset((_KNOWN + " " + phrases).lower().split())


@cache
def _ordinary() -> frozenset[str]:
    return frozenset(_ORDINARY.split())


@cache
def _naming() -> frozenset[str]:
    return frozenset(_NAMING.split())


@cache
def _api_words() -> frozenset[str]:
    """Return the names of fields, types, parameters, values and scopes in the specification, which are nobody's."""
    from thrive_async._generated import models  # noqa: PLC0415 - an error has the time
    from thrive_async._generated.operations import OPERATIONS  # noqa: PLC0415

    words: set[str] = set()
    for name, one in vars(models).items():
        if isinstance(one, type) and issubclass(one, StrEnum):
            words.update(str(member) for member in one)
        elif isinstance(one, type) and attrs.has(one):
            words.add(name)
            words.update(str(field.metadata.get("json", field.name)) for field in attrs.fields(one))
    for operation in OPERATIONS.values():
        words.update((operation.id, *operation.query, *operation.path_parameters, *operation.path.split("/")))
        words.update(operation.scopes)
    return frozenset(words | {word.capitalize() for word in words})
