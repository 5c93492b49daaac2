"""Models as bodies, results and fields of pydantic models in FastAPI."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Annotated, Any

import aiohttp
import attrs
import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel, TypeAdapter, ValidationError

from contrib.serving import served
from thrive_async import UNSET, ThriveClient, models
from thrive_async.contrib.fastapi import BodyOf, client, error_handlers, lifespan
from thrive_async.models import AudienceMember, User, UserAccount, UserCreate, UserUpdate
from thrive_async.sandbox import Sandbox

Thrive = Annotated[ThriveClient, Depends(client(deadline=5))]


class Team(BaseModel):
    lead: User
    changes: list[UserUpdate] = []
    deputy: User | None = None


def application(sandbox: Sandbox) -> FastAPI:
    app = FastAPI(lifespan=lifespan(sandbox.client), exception_handlers=error_handlers)

    @app.get("/people/{user_id}")
    async def person(user_id: str, thrive: Thrive) -> User:
        return await thrive.users.get(user_id)

    @app.get("/members")
    async def members(thrive: Thrive) -> list[AudienceMember]:
        return await thrive.audiences.members.list("sales-emea").collect(limit=3)

    @app.patch("/people/{ref}")
    async def change(ref: str, body: BodyOf[UserUpdate], thrive: Thrive) -> UserAccount:
        return await thrive.users.update(ref, body)

    @app.post("/people")
    async def create(body: BodyOf[UserCreate], thrive: Thrive) -> UserAccount:
        return await thrive.users.create(body)

    @app.post("/teams")
    async def team(body: Team) -> Team:
        return body

    @app.post("/optional")
    async def optional(change: BodyOf[UserUpdate | None] = None) -> UserUpdate | None:
        return change

    @app.post("/several")
    async def several(lead: BodyOf[User], changes: BodyOf[list[UserUpdate]]) -> list[UserUpdate]:
        return [*changes, UserUpdate(manager_ref=lead.ref)]

    return app


@pytest.fixture
async def url(sandbox: Sandbox) -> AsyncIterator[str]:
    async with served(application(sandbox)) as url:
        yield url


async def test_the_docs_show_each_model_as_the_specification_has_it(url: str, browser: aiohttp.ClientSession) -> None:
    async with browser.get(f"{url}/openapi.json") as answer:
        document = await answer.json()
    schemas = document["components"]["schemas"]
    assert {"User", "UserUpdate", "UserCreate", "UserAccount", "Team", "AudienceMember"} <= set(schemas)
    assert schemas["UserUpdate"]["properties"]["jobTitle"] == {
        "type": ["string", "null"],
        "description": "The job title.",
    }
    assert schemas["UserUpdate"]["properties"]["loginMethod"]["enum"] == ["email", "ref"]
    assert schemas["User"]["required"] == ["id"]
    assert schemas["Team"]["properties"]["lead"] == {"$ref": "#/components/schemas/User"}
    body = document["paths"]["/people/{ref}"]["patch"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/UserUpdate"}
    result = document["paths"]["/people/{user_id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert result == {"$ref": "#/components/schemas/User"}
    async with browser.get(f"{url}/docs") as answer:
        assert answer.status == 200


async def test_a_model_is_returned_under_thrives_names(
    url: str, sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    user = sandbox.state.user("E00001")
    async with browser.get(f"{url}/people/{user['id']}") as answer:
        told = await answer.json()
    assert (told["firstName"], told["singleSignOn"]) == (user["firstName"], user["singleSignOn"])
    async with browser.get(f"{url}/members") as answer:
        assert [set(one) for one in await answer.json()] == [{"userId", "reference", "email"}] * 3


async def test_a_body_keeps_null_apart_from_what_is_left_out(
    url: str, sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    change = {"jobTitle": None, "startDate": "2026-01-31"}
    async with browser.patch(f"{url}/people/E00001", json=change) as answer:
        assert answer.status == 200
        assert (await answer.json())["ref"] == "E00001"
    assert sandbox.requests[-1].body == change


async def test_a_body_may_be_missing_and_there_may_be_several(url: str, browser: aiohttp.ClientSession) -> None:
    """None of them is taken for a part of the query."""
    for body in (None, {"jobTitle": None}):
        async with browser.post(f"{url}/optional", json=body) as answer:
            assert (answer.status, await answer.json()) == (200, body)
    async with browser.post(f"{url}/optional", json={"jobtitle": "x"}) as answer:
        assert answer.status == 422
    several = {"lead": {"id": "1", "ref": "E00001"}, "changes": [{"jobTitle": None}]}
    async with browser.post(f"{url}/several", json=several) as answer:
        assert await answer.json() == [{"jobTitle": None}, {"managerRef": "E00001"}]
    async with browser.get(f"{url}/openapi.json") as answer:
        paths = (await answer.json())["paths"]
    for path in ("/optional", "/several"):
        assert "requestBody" in paths[path]["post"]
        assert "parameters" not in paths[path]["post"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"jobtitle": "x"}, ["jobtitle"]),
        ({"jobTitle": 5}, ["jobTitle"]),
        ({"jobTitle": "UNSET"}, ["jobTitle"]),
        ({"firstName": None}, ["firstName"]),
        ({"email": ""}, ["email"]),
        ({"role": "king"}, ["role"]),
        ({"startDate": "tomorrow"}, ["startDate"]),
        ({"additionalFields": {"a": "UNSET"}}, ["additionalFields"]),
        ([], []),
        ("text", []),
    ],
    ids=str,
)
async def test_a_body_that_is_wrong_is_a_422_with_its_path(
    body: object, place: list[str], url: str, sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    async with browser.patch(f"{url}/people/E00001", json=body) as answer:
        assert answer.status == 422
        (problem,) = (await answer.json())["detail"]
    assert problem["loc"] == ["body", *place]
    assert problem["msg"]
    assert not sandbox.requests


async def test_a_required_field_that_is_missing_is_named(url: str, browser: aiohttp.ClientSession) -> None:
    async with browser.post(f"{url}/people", json={"ref": "A-1", "lastName": "L"}) as answer:
        assert answer.status == 422
        (problem,) = (await answer.json())["detail"]
    assert (problem["loc"], problem["msg"]) == (["body", "firstName"], "is required")


async def test_models_are_fields_of_pydantic_models(url: str, browser: aiohttp.ClientSession) -> None:
    team = {"lead": {"id": "1", "unknown": True}, "changes": [{"jobTitle": None}, {}]}
    async with browser.post(f"{url}/teams", json=team) as answer:
        told = await answer.json()
    assert (told["lead"]["id"], told["changes"], told["deputy"]) == ("1", [{"jobTitle": None}, {}], None)
    wrong = {"lead": {"id": "1", "positions": [{"id": "p"}, {"id": 3}]}, "changes": [{}, {"jobTitle": 5}]}
    async with browser.post(f"{url}/teams", json=wrong) as answer:
        places = [problem["loc"] for problem in (await answer.json())["detail"]]
    assert places == [["body", "lead", "positions", 1, "id"], ["body", "changes", 1, "jobTitle"]]


# Without a server


MODELS: list[Any] = [value for name in models.__all__ if attrs.has(value := getattr(models, name))]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_model_has_a_schema_without_loose_ends(model: type[Any]) -> None:
    schema = TypeAdapter(model).json_schema()
    assert schema["title"] == model.__name__
    assert "$ref" not in repr(schema)
    assert "x-thrive" not in repr(schema)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_the_examples_of_every_schema_are_valid(model: type[Any]) -> None:
    adapter = TypeAdapter(model)
    for example in adapter.json_schema().get("examples", []):
        read = adapter.validate_python(example)
        assert type(read) is model
        assert adapter.validate_json(adapter.dump_json(read)) == read


def test_a_model_goes_through_pydantic_and_back() -> None:
    change = UserUpdate(job_title=None, start_date=date(2026, 1, 31), end_date=datetime(2026, 2, 1, 5, tzinfo=UTC))
    team = Team(lead=User(id="1"), changes=[change])
    assert team.changes[0] is change
    again = Team.model_validate_json(team.model_dump_json())
    assert again.changes[0].first_name is UNSET
    # A time in Thrive's form comes back as it was.
    assert again.changes == [change]
    assert Team.model_validate(team.model_dump()) == team


def test_a_model_of_another_kind_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        Team(lead=UserUpdate())  # type: ignore[arg-type]
    (problem,) = caught.value.errors()
    assert (problem["loc"], problem["msg"]) == (("lead",), "expected an object, not UserUpdate")
