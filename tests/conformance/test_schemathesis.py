"""schemathesis, from PyPI, against the sandbox: what a stranger's tool thinks of the specification and the server."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import thrive_async
from thrive_async._generated.operations import OPERATIONS
from thrive_async.sandbox import Sandbox

HERE = Path(__file__).parent
SPECIFICATION = HERE.parents[1] / "openapi" / "thrive.yaml"
# By default the same requests every time; `nox -s conformance` asks for many more, and for others each time.
EXAMPLES = os.environ.get("THRIVE_CONFORMANCE_EXAMPLES", "12")
SEED = os.environ.get("THRIVE_CONFORMANCE_SEED")


def furnish(sandbox: Sandbox) -> None:
    """Let the sandbox hold what the examples of the specification name, for they are what schemathesis tries first."""
    state, tokens = sandbox.state, sandbox.tokens
    tokens.tenant_id = "eu-west-2_AbcdEfghI"
    tokens.client_id, tokens.client_secret = "my-client-id", "my-client-secret"
    person = state.add_user(id="63f8c5361b9c80d3274be7ca", ref="user123", email="test.user@example.com")
    # An audience is found by its reference as well as by its id.
    audience = state.add_audience("63f57d805d8ecbf46f5b5278", parent="emea", members=[person])
    audience.managers[person["id"]] = {}
    state.add_content(id="5f1a2b3c4d5e6f7a8b9c0d1e")
    for number in range(20):
        state.add_audience(f"spare-{number}", parent="emea")
        state.learning.assign(state.audiences["sales-emea"], list(state.contents)[number])


def configuration(sandbox: Sandbox) -> str:
    """The settings, with names that the sandbox holds."""
    state = sandbox.state
    users = list(state.users.values())
    dictionaries = {
        "audiences": ["sales-emea", "emea", "sales-apac", "apac", "ui-made", "all-staff-smart"],
        "refs": [user["ref"] for user in users if user["ref"]][:60],
        "members": [state.users[one]["email"] or one for one in list(state.audiences["sales-emea"].members)[:20]],
        "ids": [user["id"] for user in users[:20]],
        "managers": list(state.audiences["sales-emea"].managers),
        "sales": ["sales-emea"],
        "assignments": [
            one["id"]
            for one in state.learning.assignments.values()
            if one["audienceId"] == state.audiences["sales-emea"]["id"]
        ],
        "spare": [f"spare-{number}" for number in range(20)],
        "structures": ["emea", "apac"],
        "tenants": [sandbox.tenant_id],
        "clients": [sandbox.tokens.client_id],
        "secrets": [sandbox.tokens.client_secret],
        "scopes": ["api/all", "api/read", "api/read api/write"],
        "contents": list(state.contents)[:10],
        "tags": [tag["tag"] for tag in state.tags.values()],
    }
    tables = [f"[dictionaries.{name}]\nvalues = {json.dumps(values)}" for name, values in dictionaries.items()]
    return "\n".join([(HERE / "schemathesis.toml").read_text(), *tables])


# The first run deletes every audience before it comes to these; the second finds them standing.
NEEDS_AUDIENCES = frozenset({"removeMember", "removeManager", "updateAssignment", "deleteAssignment"})
EVERYTHING = frozenset(OPERATIONS)
PHASES = ("examples", "coverage", "fuzzing", "stateful")


# Where the documents are silent the sandbox can be told to choose otherwise; the specification covers these too.
OTHERWISE: dict[str, Any] = {
    "all_failed_batch": 422,
    "past_last_page": "not_found",
    "create_status": 200,
    "delete_reply": "no_content",
    "moved_keys": ("left", "joined"),
    "refused_move_shape": "message",
    "not_found_body": False,
    "unknown_audience": 422,
    "deleted_users": "hidden",
    "duplicate_assignment": "conflict",
    "bare_audience_ids": True,
    "token_auth": "post",
    "token_expires_in": "absent",
    "token_error": "thrive",
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("operations", "served", "phases", "choices"),
    [
        (EVERYTHING, EVERYTHING - NEEDS_AUDIENCES, PHASES, {}),
        (NEEDS_AUDIENCES, NEEDS_AUDIENCES, PHASES, {}),
        # These phases alone draw no names from the dictionaries, so that few requests hit something.
        (EVERYTHING, frozenset(), PHASES[:2], OTHERWISE),
    ],
    ids=["everything", "what-needs-audiences", "everything-otherwise"],
)
def test_no_check_of_schemathesis_fails(
    operations: frozenset[str],
    served: frozenset[str],
    phases: tuple[str, ...],
    choices: dict[str, Any],
    tmp_path: Path,
) -> None:
    """Every check, on valid and invalid requests: no 5xx, no reply that breaks the specification."""
    with Sandbox(users=200, seed=1, check_replies=True, **choices) as sandbox:
        furnish(sandbox)
        (tmp_path / "schemathesis.toml").write_text(configuration(sandbox))
        run = schemathesis(sandbox, operations, phases, tmp_path)
    print(run.stdout)  # noqa: T201 - pytest shows it when the test fails, and with -s
    assert run.returncode == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["operations"]["tested"] == len(operations)
    assert {phase for phase, result in report["phases"].items() if result["status"] == "success"} == set(phases)
    assert not sandbox.violations
    assert not [entry for entry in sandbox.requests if entry.status is None or entry.status >= 500]
    # The run means something only if requests got past the door, and if some did not.
    assert served <= {entry.operation for entry in sandbox.requests if entry.status in (200, 201, 204, 207)}
    refused = {entry.operation for entry in sandbox.requests if entry.status in (400, 404, 409, 422)}
    assert operations - refused <= {"listSkillLevels"}  # it takes nothing that could be wrong


def schemathesis(
    sandbox: Sandbox, operations: frozenset[str], phases: tuple[str, ...], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run the command line of schemathesis, as anybody would."""
    chosen = [] if operations == EVERYTHING else [f"--include-operation-id={one}" for one in sorted(operations)]
    chance = ["--generation-deterministic"] if SEED is None else ["--seed", SEED, "--generation-database", "none"]
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml"),
            *("run", str(SPECIFICATION), "--url", sandbox.base_url, "--max-examples", EXAMPLES, *chance, *chosen),
            *("--phases", ",".join(phases)),
            *("--no-color", "--report", "json", "--report-json-path", "report.json"),
        ],
        cwd=folder,
        env={
            **os.environ,
            **sandbox.environment,
            # What this test imports is what the hooks have to import, wherever it is installed.
            "PYTHONPATH": str(Path(thrive_async.__file__).parents[1]),
            "CONFORMANCE_HOOKS": str(HERE / "conformance_hooks.py"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
