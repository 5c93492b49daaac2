"""What the generator refuses, what it makes of operations, and that its output never depends on where it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("datamodel_code_generator")

from codegen import output
from codegen.__main__ import ROOT, main
from codegen.fields import parse_models
from codegen.operations import describe
from codegen.prose import docstring
from codegen.shapes import shapes_of
from codegen.specification import SpecificationError, operations, parse, resolve

HEAD = 'openapi: 3.1.0\ninfo: {title: small, version: "1"}\n'
SMALL = (
    HEAD
    + """
paths:
  /rest/v1/things/{thingId}/parts:
    parameters:
      - {name: thingId, in: path, required: true, schema: {type: string}}
      - {name: page, in: query, schema: {type: integer}}
    get:
      operationId: listThingParts
      summary: List the parts of a thing
      tags: [things]
      x-thrive-paging: envelope
      security: [{basic: []}, {oauth2: [api/read]}, {oauth2: [api/all]}]
      parameters:
        - {$ref: '#/components/parameters/PerPage'}
        - {name: since, in: query, required: true, x-thrive-datetime: space, schema: {type: string}}
        - {name: kinds, in: query, style: form, explode: false, schema: {type: array, items: {type: string}}}
        - {name: open, in: query, schema: {type: boolean}}
        - {name: ref, in: query, schema: {type: string}}
      responses:
        '200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/PartPage'}}}}
        '404': {$ref: '#/components/responses/NotFound'}
        default: {description: other}
    post:
      operationId: addThingParts
      tags: [things]
      x-thrive-retry: unsafe
      requestBody:
        required: true
        content:
          application/json:
            schema: {type: array, minItems: 1, maxItems: 100, items: {$ref: '#/components/schemas/PartGrant'}}
      responses:
        '207': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/Outcome'}}}}
        '422': {description: no, content: {application/json: {schema: {$ref: '#/components/schemas/Outcome'}}}}
  /oauth2/token/{tenantId}:
    post:
      operationId: createAccessToken
      tags: [authentication]
      x-thrive-retry: safe
      parameters: [{name: tenantId, in: path, required: true, schema: {type: string}}]
      requestBody:
        content: {application/x-www-form-urlencoded: {schema: {$ref: '#/components/schemas/TokenRequest'}}}
      responses:
        '200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/Token'}}}}
webhooks:
  partChanged:
    post: {requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/PartEvent'}}}}}
components:
  parameters:
    PerPage: {name: perPage, in: query, schema: {type: integer, minimum: 1, maximum: 500}}
  responses:
    NotFound: {description: none, content: {application/json: {schema: {$ref: '#/components/schemas/Error'}}}}
  schemas:
    Part: {type: object, properties: {id: {type: string}}}
    PartPage:
      type: object
      properties:
        results: {type: array, items: {$ref: '#/components/schemas/Part'}}
        pagination: {$ref: '#/components/schemas/Pagination'}
    Pagination: {type: object, properties: {page: {type: integer}}}
    PartGrant: {type: object, properties: {id: {type: string}, detail: {$ref: '#/components/schemas/Detail'}}}
    Detail: {type: object, properties: {x: {type: string}}}
    Outcome: {type: object, properties: {count: {type: integer}}}
    Error: {type: object, properties: {message: {}}}
    PartEvent: {type: object, properties: {part: {$ref: '#/components/schemas/Part'}}}
    TokenRequest: {type: object, x-thrive-body: create, properties: {grant_type: {type: string}}}
    Token: {type: object, properties: {access_token: {type: string}}}
    Unused: {type: object, properties: {id: {type: string}}}
"""
)


def shapes(schemas: str) -> Any:
    indented = "\n".join("    " + line for line in schemas.splitlines())
    return shapes_of(parse(f"{HEAD}paths: {{}}\ncomponents:\n  schemas:\n{indented}\n"))


class TestSelection:
    def test_only_schemas_that_users_meet_become_classes(self) -> None:
        """Not of envelopes, errors and the token endpoint; but of webhooks, and of what a reply and an error share."""
        classes = shapes_of(parse(SMALL)).classes
        assert {name: shape.kind for name, shape in classes.items()} == {
            "Part": "read",
            "PartGrant": "write",
            "Detail": "write",
            "Outcome": "read",
            "PartEvent": "read",
            "Unused": "read",
        }


class TestOperations:
    def facts(self) -> dict[str, dict[str, Any]]:
        spec = parse(SMALL)
        found = [describe(spec, path, method, item, operation) for path, method, item, operation in operations(spec)]
        return {facts["id"]: facts for facts in found}

    def test_a_read_with_all_kinds_of_parameters(self) -> None:
        assert self.facts()["listThingParts"] == {
            "id": "listThingParts",
            "resource": "things",
            "method": "GET",
            "path": "/rest/v1/things/{thingId}/parts",
            "path_parameters": ("thingId",),
            "query": {
                "page": "integer",
                "perPage": "integer",
                "since": "date-space",
                "kinds": "list",
                "open": "boolean",
                "ref": "text",
            },
            "required_query": ("since",),
            "paging": "envelope",
            "per_page": 500,
            "safe": True,
            "any_answer": False,
            "body": False,
            "body_required": False,
            "body_model": None,
            "min_items": None,
            "max_items": None,
            "statuses": (200, 404),
            "scopes": ("api/read", "api/all"),
        }

    def test_a_body_that_is_a_list_has_its_limits(self) -> None:
        facts = self.facts()["addThingParts"]
        assert (facts["body"], facts["body_required"], facts["min_items"], facts["max_items"]) == (True, True, 1, 100)
        assert (facts["safe"], facts["paging"], facts["per_page"], facts["scopes"]) == (False, "none", None, ())
        token = self.facts()["createAccessToken"]
        assert (token["body"], token["body_required"], token["safe"]) == (True, False, True)
        assert (facts["body_model"], token["body_model"]) == (None, None)

    def test_a_body_that_is_an_object_names_its_model(self) -> None:
        grant = "{$ref: '#/components/schemas/PartGrant'}"
        spec = parse(SMALL.replace(f"{{type: array, minItems: 1, maxItems: 100, items: {grant}}}", grant))
        models = [describe(spec, *found)["body_model"] for found in operations(spec)]
        assert models == [None, "PartGrant", None]

    def test_the_table_holds_every_operation(self, build: Any) -> None:
        built = build(whole=SMALL)
        table = built.operations.OPERATIONS
        assert list(table) == ["listThingParts", "addThingParts", "createAccessToken"]
        assert table["listThingParts"] is built.operations.LIST_THING_PARTS
        assert built.operations.CREATE_ACCESS_TOKEN.path == "/oauth2/token/{tenantId}"
        assert '"""List the parts of a thing"""' in built.files["operations.py"]

    @pytest.mark.parametrize(
        ("old", "new", "complaint"),
        [
            ("operationId: listThingParts", "x-none: 1", "GET /rest/v1/things/{thingId}/parts has no operationId"),
            ("operationId: addThingParts", "operationId: listThingParts", "two operations called listThingParts"),
            ("tags: [things]", "tags: [things, parts]", "listThingParts: needs exactly one tag"),
            ("name: thingId", "name: partId", "listThingParts: the path and its parameters disagree"),
            ("x-thrive-paging: envelope", "x-thrive-paging: cursor", "listThingParts: x-thrive-paging must be one of"),
            (
                "x-thrive-retry: unsafe",
                "x-none: 1",
                "addThingParts: x-thrive-retry must be one of safe, unsafe, not None",
            ),
            ("explode: false", "explode: true", "listThingParts: the list kinds must be style form, explode false"),
            (
                "name: ref, in: query, schema: {",
                "name: ref, in: query, schema: {format: date, ",
                "ref needs x-thrive-dat",
            ),
            (
                "x-thrive-datetime: space",
                "x-thrive-datetime: odd",
                "x-thrive-datetime must be one of iso, iso-or-day, space, local",
            ),
        ],
    )
    def test_an_operation_that_the_table_cannot_hold_is_refused(self, old: str, new: str, complaint: str) -> None:
        from codegen.operations import print_operations

        assert old in SMALL
        with pytest.raises(SpecificationError, match=complaint.replace("{", r"\{")):
            print_operations(parse(SMALL.replace(old, new, 1)))


class TestRefusals:
    @pytest.mark.parametrize(
        ("schemas_", "complaint"),
        [
            ("A: {type: object, required: [x], properties: {}}", "A: requires 'x', which it does not describe"),
            ("A: {type: object, properties: {x: {not: {}}}}", "A.x: the generator does not know 'not'"),
            ("A: {type: object, properties: {x: {type: thing}}}", "A.x: unknown type 'thing'"),
            ("A: {type: object, properties: {x: {$ref: '#/components/schemas/B'}}}", "schemas/B leads nowhere"),
            ("A: {type: object, properties: {x: {$ref: 'b.yaml'}}}", "b.yaml leads outside the document"),
            (
                """
A: {type: object, properties: {x: {$ref: '#/components/schemas/B'}}}
B: {$ref: '#/components/schemas/C'}
C: {$ref: '#/components/schemas/B'}
""",
                "leads in a circle",
            ),
            ("A: {type: object, properties: {x: {enum: []}}}", "AX: an enum without strings"),
            (
                "A: {allOf: [{type: string}, {type: object, properties: {x: {}}}]}",
                "A: allOf of something that is not an obj",
            ),
            (
                "A: {type: object, properties: {x: {type: object, additionalProperties: false}}}",
                "A.x: an object that allows no fields",
            ),
            ("A: {type: object, x-thrive-bare: id, properties: {x: {}}}", "A: x-thrive-bare names 'id'"),
            (
                "A: {type: object, properties: {additionalProperties: {}}, additionalProperties: {type: string}}",
                "A: has both typed additionalProperties and a field of that name",
            ),
            (
                """
A: {type: object, properties: {b: {$ref: '#/components/schemas/B'}}}
B: {type: object, properties: {}}
C: {type: object, x-thrive-body: patch, properties: {b: {$ref: '#/components/schemas/B'}}}
""",
                "B: used in both requests and replies: make it two schemas",
            ),
        ],
    )
    def test_a_schema_that_cannot_become_a_class_is_named(self, schemas_: str, complaint: str) -> None:
        with pytest.raises(SpecificationError, match=complaint):
            shapes(schemas_)

    def test_a_union_that_json_types_do_not_distinguish_is_refused(self, build: Any) -> None:
        with pytest.raises(SpecificationError, match="a union with B cannot be read by the type of the value"):
            build(
                "A: {type: object, properties: {x: {oneOf: [{$ref: '#/components/schemas/B'}, {type: string}]}}}\n"
                "B: {type: object, properties: {}}"
            )

    def test_a_dot_in_the_name_of_a_schema_is_refused(self, build: Any) -> None:
        with pytest.raises(SpecificationError, match="dot"):
            build("A.B: {type: object, properties: {x: {}}}")

    def test_a_type_that_the_models_should_not_have_is_refused(self) -> None:
        with pytest.raises(SpecificationError, match="no way to read the type set"):
            parse_models("class A(Model):\n    x: set[str]\n")


class TestYaml:
    def test_yaml_is_read_with_the_types_of_json(self) -> None:
        document = parse("a: 2026-01-01\nb: no\nc: true\n200: on\nd: 1.5\ne: null\nf: 3\n")
        assert document == {"a": "2026-01-01", "b": "no", "c": True, "200": "on", "d": 1.5, "e": None, "f": 3}

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("a: 1\nb:\n  c: 1\n  c: 2\n", "line 4: duplicate key 'c'"),
            ("a: [", "not YAML"),
            ("- a", "not a mapping"),
        ],
    )
    def test_text_that_is_not_a_specification_is_refused(self, text: str, complaint: str) -> None:
        with pytest.raises(SpecificationError, match=complaint):
            parse(text)

    def test_references_are_unescaped(self) -> None:
        assert resolve({"a/b": {"c~d": {"x": 1}}}, {"$ref": "#/a~1b/c~0d"}) == {"x": 1}


class TestDocstrings:
    def test_lines_are_wrapped_and_lists_kept(self) -> None:
        text = f"{'word ' * 40}\n\n- one\n  more\n- {'two ' * 40}\n"
        lines = docstring(text, indent=4, note="Evidence: inferred.").splitlines()
        assert max(map(len, lines)) <= 116
        assert lines[0].startswith("word word")
        assert "    - one more" in lines
        assert "      two two" in "\n".join(lines)
        assert lines[-2:] == ["    Evidence: inferred.", "    "]

    @pytest.mark.parametrize("text", ['"', "a\\", 'a"""b', '""""', "\\N{DEGREE SIGN}", 'ends with "quotes"'])
    def test_any_text_can_stand_between_the_quotes(self, text: str) -> None:
        namespace: dict[str, Any] = {}
        exec(f'TEXT = """{docstring(text, indent=0)}"""', namespace)
        assert namespace["TEXT"] == text


class TestCommand:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        (tmp_path / "openapi").mkdir()
        (tmp_path / "openapi" / "thrive.yaml").write_text(SMALL, encoding="utf-8")
        return tmp_path

    def test_check_shows_drift_and_passes_once_written(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--check"], root=root) == 1
        assert not (root / "thrive_async").exists()
        assert "+LIST_THING_PARTS = Operation(" in capsys.readouterr().out
        assert main([], root=root) == 0
        assert main(["--check"], root=root) == 0
        assert capsys.readouterr().out == ""

    def test_an_edited_a_missing_and_a_foreign_file_are_drift(
        self, root: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        main([], root=root)
        generated = root / "thrive_async" / "_generated"
        models = generated / "models.py"
        models.write_text(models.read_text(encoding="utf-8").replace("class Part(", "class Bit("), encoding="utf-8")
        (generated / "readers.py").unlink()
        (generated / "stray.py").write_text("x = 1", encoding="utf-8")
        assert main(["--check"], root=root) == 1
        shown = capsys.readouterr().out
        assert "--- thrive_async/_generated/models.py" in shown
        assert "-class Bit(Model):\n+class Part(Model):\n" in shown
        assert "+def read_part(" in shown
        assert "-x = 1\n" in shown
        assert main([], root=root) == 0
        assert not (generated / "stray.py").exists()
        assert main(["--check"], root=root) == 0

    def test_a_specification_that_cannot_be_used_changes_nothing(
        self, root: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        main([], root=root)
        (root / "openapi" / "thrive.yaml").write_text("- a", encoding="utf-8")
        capsys.readouterr()
        assert main([], root=root) == 2
        assert capsys.readouterr().err == "codegen: not a mapping\n"
        (root / "openapi" / "thrive.yaml").unlink()
        assert main(["--check"], root=root) == 2
        assert (root / "thrive_async" / "_generated" / "models.py").exists()

    @pytest.mark.parametrize("pinned", [{"ruff": "0.0.1"}, {"no-such-tool-at-all": "1.0"}])
    def test_another_version_of_a_tool_is_refused(
        self, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, pinned: dict[str, str]
    ) -> None:
        monkeypatch.setattr(output, "PINNED", pinned)
        assert main([], root=root) == 2
        name, version = next(iter(pinned.items()))
        assert f"needs {name} {version}, found " in capsys.readouterr().err

    def test_an_error_from_ruff_is_reported(self) -> None:
        with pytest.raises(output.ToolError, match=r"ruff refused broken.py"):
            output._formatted("def (", "broken.py")


class TestTheRealSpecification:
    def test_the_committed_files_are_up_to_date(self, capsys: pytest.CaptureFixture[str]) -> None:
        """On whichever Python this runs: `python -m codegen` mends it."""
        assert main(["--check"]) == 0, capsys.readouterr().out[:4000]

    @pytest.mark.parametrize("seed", ["0", "1", "4242"])
    def test_the_order_of_hashes_does_not_matter(self, seed: str) -> None:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo", "LC_ALL": "C"}
        command = [sys.executable, "-m", "codegen", "--check"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
