"""What the pages print is true: Python runs, command lines parse, links lead somewhere.

A Python block runs in one of four ways. A block with `asyncio.run(` or with requests is a program and runs in its own
process; pytest runs a block with `def test_`; one with `app = ` is a web backend and gets a request; any other block
is a snippet. The snippets of a page run in order and share their names, with an open client `thrive` and its `sandbox`.
A `text` block right after a Python block is its output, with `...` for anything. The environment holds the variables of
a sandbox, so that `ThriveClient.from_env()` reaches it.
"""

import ast
import asyncio
import inspect
import io
import logging
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import aiohttp
import attrs
import pytest
from aiohttp import web
from docs_operations import PAGE as OPERATIONS_PAGE
from docs_operations import SPECIFICATION
from docs_operations import page as operations_page
from docs_pages import BLOCKS, EVERYTHING, PAGES, ROOT, Block, anchors_of, blocks_of, commands_of, of_kind, prose_of

import thrive_async
from thrive_async import sync
from thrive_async._generated.operations import OPERATIONS
from thrive_async.cli._errors import Exit
from thrive_async.cli.app import app as command_line
from thrive_async.sandbox import Sandbox, Settings, VirtualClock
from thrive_async.sandbox.server.faults import Kind

_PLUGIN_INSTALLED = any(one.name == "thrive_async" for one in metadata.entry_points(group="pytest11"))


# What is printed runs


@pytest.fixture
def printed_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Enter an empty folder, with the environment of a sandbox in a thread."""
    monkeypatch.chdir(tmp_path)
    with Sandbox(users=200, seed=1) as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        yield tmp_path


def run(*command: str) -> str:
    # The package under test, wherever it is.
    environment = os.environ | {"PYTHONPATH": str(Path(thrive_async.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-W", "error", *command], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("block", of_kind("program"), ids=str)
def test_a_program_runs_as_it_is_printed(block: Block, printed_there: Path) -> None:
    (printed_there / "program.py").write_text(block.source, encoding="utf-8")
    block.check(run("program.py"))


@pytest.mark.parametrize("block", of_kind("tests"), ids=str)
def test_printed_tests_pass(block: Block, printed_there: Path) -> None:
    (printed_there / "test_printed.py").write_text(block.source, encoding="utf-8")
    plugin = () if _PLUGIN_INSTALLED else ("-p", "thrive_async.pytest_plugin")
    options = ("-p", "no:randomly", "-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
    out = run("-m", "pytest", "-q", *plugin, *options, "test_printed.py")
    assert f"{len(re.findall(r'def test_', block.source))} passed" in out


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(b.kind == "snippet" for b in blocks_of(page))], ids=lambda page: page.name
)
async def test_the_snippets_of_a_page_run_in_order(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with Sandbox(users=200, seed=1, clock=VirtualClock()) as sandbox, sandbox.client() as thrive:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        names: dict[str, Any] = {"thrive": thrive, "sandbox": sandbox, "__name__": "printed"}
        try:
            for block in blocks_of(page):
                if block.kind == "snippet":
                    with redirect_stdout(io.StringIO()) as out:
                        await execute(block, names)
                    block.check(out.getvalue())
        finally:
            # A page may leave one running, as a reader at a prompt would.
            for value in [*names.values()]:
                if isinstance(value, Sandbox):
                    await value.stop()


async def execute(block: Block, names: dict[str, Any]) -> None:
    """Run a block that may await at its top level. Tracebacks name the page and its line."""
    source = "\n" * (block.line - 1) + block.source
    code = compile(source, str(block.page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    result = eval(code, names)
    if inspect.iscoroutine(result):
        await result


@pytest.fixture
def _log_as_before() -> Iterator[None]:
    """Litestar takes the log of the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("_log_as_before")
@pytest.mark.parametrize("block", of_kind("backend"), ids=str)
async def test_a_printed_web_backend_answers(
    block: Block, printed_there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, status in (("/people/E00001", 200), ("/people/nobody", 404)):
        module = ModuleType("printed")
        monkeypatch.setitem(sys.modules, "printed", module)  # Litestar looks up the types of a handler there
        names = vars(module)
        await execute(block, names)
        app = names["app"]
        answer = served_by_aiohttp if isinstance(app, web.Application) else served_by_asgi
        assert await answer(app, path) == status


async def served_by_aiohttp(app: web.Application, path: str) -> int:
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
            return response.status
    finally:
        await runner.cleanup()


async def served_by_asgi(app: Any, path: str) -> int:
    """Send one request by hand, between the start and the end of the application's lifespan."""
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    state: dict[str, Any] = {}
    life = asyncio.create_task(
        app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}, asked.get, told.put)
    )
    await asked.put({"type": "lifespan.startup"})
    assert (await told.get())["type"] == "lifespan.startup.complete"
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [], "state": state,
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    await asked.put({"type": "lifespan.shutdown"})
    assert (await told.get())["type"] == "lifespan.shutdown.complete"
    await life
    return sent[0]["status"]


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    """Every fence starts its line and names its language."""
    assert {block.language for block in BLOCKS} <= {"python", "sh", "cron", "text", "json", "mermaid", "toml"}
    for page in PAGES:
        assert len(re.findall("```", page.read_text(encoding="utf-8"))) == 2 * len(blocks_of(page)), page
    for block in BLOCKS:
        if block.language == "toml":
            tomllib.loads(block.source)


# What is printed for a shell exists


SHELL = [(block, words) for block in BLOCKS if block.kind in ("sh", "cron") for words in commands_of(block)]


def shell(name: str) -> list[Any]:
    found = [(block, words) for block, words in SHELL if words[0].rpartition("/")[2] == name]
    return [pytest.param(words[1:], id=f"{block}-{' '.join(words)}") for block, words in found]


@pytest.mark.parametrize("tokens", shell("thrive"))
def test_a_printed_command_line_is_understood(tokens: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("THRIVE_TENANT_ID", "THRIVE_REGION", "THRIVE_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    command_line.parse_args(tokens, exit_on_error=False, print_error=False)


def test_the_shell_blocks_hold_what_the_readers_of_them_expect() -> None:
    """If no commands were found in the shell blocks, nothing would be checked."""
    assert len(shell("thrive")) >= 10
    known = {
        ".",
        "cd",
        "chmod",
        "chown",
        "curl",
        "cut",
        "docker",
        "export",
        "install",
        "journalctl",
        "kubectl",
        "echo",
        "git",
        "grep",
        "head",
        "mail",
        "nox",
        "openssl",
        "pip",
        "pre-commit",
        "printf",
        "pytest",
        "python",
        "python3",
        "run",
        "sed",
        "set",
        "sudo",
        "systemctl",
        "systemd-sysusers",
        "thrive",
        "thrive-docker",
        "thrive-nightly",
        "useradd",
        "zcat",
    }
    assert {words[0].rpartition("/")[2] for _block, words in SHELL} <= known


def _options() -> set[str]:
    def walk(app: Any) -> Iterator[Any]:
        yield app
        for name in app:
            if not name.startswith("-"):
                yield from walk(app[name])

    leaves = [app for app in walk(command_line) if app.default_command is not None]
    return {name for app in leaves for argument in app.assemble_argument_collection() for name in argument.names}


def test_every_option_named_in_the_text_exists() -> None:
    named = {option for page in PAGES for option in re.findall(r"`(?:thrive [^`]*?)?(--[a-z][a-z-]+)", prose_of(page))}
    others = {"--check", "--json", "--plot", "--help", "--version", "--group", "--without-database"}
    assert named <= _options() | others


def test_every_option_of_the_command_line_is_described() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    missing = sorted(name for name in _options() if name.startswith("--") and name not in page)
    assert not missing


def test_every_exit_code_is_described() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)} == {int(code) for code in Exit}


def test_the_printed_extras_exist_and_every_session_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = set(re.findall(r"(?:thrive-async|\.)\[([a-z]+)\]", EVERYTHING))
    assert extras <= set(project["project"]["optional-dependencies"])
    sessions = set(
        re.findall(r"^@nox\.session.*\ndef (\w+)", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.MULTILINE)
    )
    called = [words[2 : words.index("--") if "--" in words else None] for _, words in SHELL if words[0].endswith("nox")]
    assert {name.partition("-")[0] for names in called for name in names} == sessions
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == sessions


def test_the_supported_versions_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (ROOT / "docs" / "supported-versions.md").read_text(encoding="utf-8")
    lowest = [
        f"{name}>={version}" for name, version in re.findall(r"^\| ([\w-]+) \| ([\d.]+) or newer", page, re.MULTILINE)
    ]
    assert lowest == project["dependencies"]
    pythons = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert f"| Python | {', '.join(pythons)} |" in page


def test_every_extension_of_the_specification_is_explained() -> None:
    page = (ROOT / "docs" / "models-and-specification.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(x-thrive-[\w-]+)` \|", page, re.MULTILINE))
    assert explained == set(SPECIFICATION["x-thrive-extensions"])


def test_every_file_named_in_the_architecture_exists() -> None:
    """Each file and folder, in the text and in the diagrams, from the root, from the package or from the sync."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    places = [ROOT, ROOT / "thrive_async", ROOT / "thrive_async" / "sync"]
    named = set(re.findall(r"(?<![\w/.])(?:\w+/)*\w+(?:\.py|\.yaml|/)(?![\w/])", page))
    assert len(named) > 40
    assert not [name for name in named if not any((place / name).exists() for place in places)]


def test_the_readme_has_two_commands_of_one_line_each() -> None:
    first, second = [block.source for block in blocks_of(ROOT / "README.md") if block.language == "sh"][:2]
    assert first.count("\n") == second.count("\n") == 1
    assert first.endswith(".venv/bin/thrive demo\n")
    assert second.endswith(".venv/bin/nox -s tests-3.11\n")


# What is there is described


def described(name: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", EVERYTHING) is not None


@pytest.mark.parametrize("module", [thrive_async, sync], ids=lambda module: module.__name__)
def test_every_public_name_is_described(module: Any) -> None:
    public = [name for name in module.__all__ if not name.startswith("__")]
    missing = [name for name in public if not (described(name) or described(f"sync.{name}"))]
    assert not missing


def test_the_environment_variables_are_those_of_the_code() -> None:
    """Each that the code reads is described, and no other."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "thrive_async").rglob("*.py"))
    # The code also puts some together: `f"{name}_FILE"`.
    read = set(re.findall(r"\bTHRIVE_[A-Z]+(?:_[A-Z]+)*\b", code))
    assert set(re.findall(r"\bTHRIVE_[A-Z]+(?:_[A-Z]+)*\b", EVERYTHING)) == read


def test_every_fault_and_choice_of_the_sandbox_is_described() -> None:
    page = (ROOT / "docs" / "sandbox-and-testing.md").read_text(encoding="utf-8")
    names = [*get_args(Kind), *(field.name for field in attrs.fields(Settings))]
    assert not [name for name in names if f"`{name}" not in page]


def test_the_page_of_operations_is_up_to_date() -> None:
    """`python tests/docs_operations.py` writes it from the specification and the methods; every operation has a row."""
    assert OPERATIONS_PAGE.read_text(encoding="utf-8") == operations_page()
    rows = re.findall(r"^\| `thrive\.[^|]+ \| `(\w+)` \|", operations_page(), re.MULTILINE)
    assert set(rows) == set(OPERATIONS) - {"createAccessToken"}


def test_the_pages_use_plain_words() -> None:
    """As the documentation of httpx, stamina, structlog and Stripe does; `None` is Python's."""
    words = re.findall(r"[A-Za-z]+", re.sub("`[^`]*`", "", "\n".join(map(prose_of, PAGES))))
    stilted = [word for word in words if word.lower() in {"whom", "whoever", "whomever", "nobody"} or word == "none"]
    assert len(stilted) < 0.003 * len(words), stilted


# What is linked exists


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", prose_of(page)):
        if not target.startswith("https://"):
            path, _, anchor = target.partition("#")
            linked = (page.parent / path).resolve() if path else page
            assert linked.exists(), target
            assert not anchor or anchor in anchors_of(linked), target


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page not in reached:
            reached.add(page)
            targets = re.findall(r"\]\(([^)\s#]+\.md)", prose_of(page))
            ahead += [(page.parent / target).resolve() for target in targets if not target.startswith("https://")]
    assert set(PAGES) <= reached
