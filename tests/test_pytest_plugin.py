"""The pytest plugin: the same fixtures for pytest-asyncio, for anyio, and for tests without a loop."""

import ast
import subprocess
import sys
from importlib import metadata

import pytest

import thrive_async._generated.readers
import thrive_async._wire.convert
import thrive_async.client
import thrive_async.models
import thrive_async.sandbox  # noqa: F401 - pytester forgets what a run imports; half of a package is worse than none

pytest_plugins = ["pytester"]

INSTALLED = any(one.name == "thrive_async" for one in metadata.entry_points(group="pytest11"))

BODY = """
import pytest

{mark}
@pytest.mark.thrive(users=20, seed=3, clock="virtual")
async def test_a_wait_takes_no_time(thrive_sandbox, thrive_client):
    assert len(thrive_sandbox.state.users) == 20
    thrive_sandbox.faults.add("rate_limited", retry_after=30)
    result = await thrive_client.audiences.members.add("sales-emea", ["E00001"])
    assert result.success.count == 1
    assert "E00001" in thrive_sandbox.state.audiences["sales-emea"].members
    assert thrive_sandbox.clock.elapsed >= 30

{mark}
async def test_the_next_one_has_a_sandbox_of_its_own(thrive_sandbox):
    assert len(thrive_sandbox.state.users) == 100
    assert not thrive_sandbox.requests
"""


@pytest.fixture
def run(pytester):
    def run(source, *arguments):
        # A configuration of its own: the folder for temporary files may lie inside this project.
        pytester.makeini("[pytest]")
        pytester.makepyfile(source)
        plugin = () if INSTALLED else ("-p", "thrive_async.pytest_plugin")
        return pytester.runpytest_inprocess(
            *plugin,
            "-p",
            "no:randomly",
            "-W",
            "error",
            *(() if "no:asyncio" in arguments else ("-o", "asyncio_default_fixture_loop_scope=function")),
            *arguments,
        )

    return run


def test_under_pytest_asyncio_in_auto_mode(run):
    run(BODY.format(mark=""), "-o", "asyncio_mode=auto").assert_outcomes(passed=2)


def test_under_pytest_asyncio_in_strict_mode(run):
    run(BODY.format(mark="@pytest.mark.asyncio")).assert_outcomes(passed=2)


@pytest.mark.parametrize("scope", ["class", "module", "session"])
def test_on_whatever_loop_pytest_asyncio_runs_the_test(run, scope):
    mark = f'@pytest.mark.asyncio(loop_scope="{scope}")'
    body = "class TestOfAClass:\n" + "\n".join(
        "    " + line
        for line in BODY.format(mark=mark).replace("time(", "time(self, ").replace("own(", "own(self, ").splitlines()
    )
    run("import pytest\n" + body).assert_outcomes(passed=2)


ANYIO = """
@pytest.fixture
def anyio_backend():
    return "asyncio"
"""


def test_under_anyio_with_pytest_asyncio_beside_it(run):
    run(BODY.format(mark="@pytest.mark.anyio") + ANYIO).assert_outcomes(passed=2)


def test_under_anyio_alone(run):
    run(BODY.format(mark="@pytest.mark.anyio") + ANYIO, "-p", "no:asyncio").assert_outcomes(passed=2)


def test_two_plugins_that_both_want_a_test_are_named(run):
    result = run(BODY.format(mark="@pytest.mark.anyio") + ANYIO, "-o", "asyncio_mode=auto")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*both anyio and pytest-asyncio*"])


@pytest.mark.parametrize("backend", ['"trio"', '("trio", {"restrict_keyboard_interrupt_to_checkpoints": True})'])
def test_a_test_on_trio_is_told_that_asyncio_is_needed(run, backend):
    body = BODY.format(mark="@pytest.mark.anyio") + ANYIO.replace('"asyncio"', backend)
    result = run(body, "-p", "no:asyncio")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*thrive_sandbox and thrive_client need asyncio, but this test runs on trio*"])


def test_a_test_of_pytest_trio_is_told_too(run):
    mark = "@pytest.mark.trio"
    result = run(BODY.format(mark=mark), "-o", "markers=trio")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*thrive_sandbox and thrive_client need asyncio, but this test runs on trio*"])


def test_a_test_without_a_loop_gets_a_sandbox_in_a_thread(run):
    run(
        """
        import asyncio

        def test_sync(thrive_sandbox):
            async def count():
                async with thrive_sandbox.client() as thrive:
                    return len(await thrive.users.list().collect())

            assert asyncio.run(count()) == 100
        """
    ).assert_outcomes(passed=1)


def test_the_nearer_marker_wins(run):
    run(
        """
        import pytest

        pytestmark = pytest.mark.thrive(users=5, seed=9)

        @pytest.mark.thrive(users=7)
        def test_sizes(thrive_sandbox):
            assert len(thrive_sandbox.state.users) == 7
            from thrive_async.sandbox import Sandbox
            assert thrive_sandbox.tenant_id == Sandbox(0, seed=9).tenant_id
        """
    ).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        ("100", "only keyword arguments"),
        ('clock="sundial"', "clock is"),
        ("clock=5", "the marker thrive: clock must be a VirtualClock or None, not 5"),
        ("user=7", "the marker thrive: Sandbox has no argument 'user': it takes users, *all_failed_batch, *"),
        ("users=-1", "the marker thrive: users must be a whole number"),
    ],
)
def test_a_wrong_marker_is_an_error_that_says_so(run, marker, words):
    result = run(
        f"""
        import pytest

        @pytest.mark.thrive({marker})
        def test_it(thrive_sandbox): pass
        """
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{words}*"])


def test_the_marker_is_declared(run):
    result = run("", "--markers")
    result.stdout.fnmatch_lines(["*thrive(users=100*"])


def test_loading_the_plugin_imports_neither_aiohttp_nor_the_client():
    code = (
        "import sys, thrive_async.pytest_plugin;"
        "print([name for name in sys.modules if name.startswith(('aiohttp', 'thrive_async.', 'attrs', 'orjson'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(done.stdout)) - {"thrive_async._base._built"}  # only a build has this one
    assert loaded == {"thrive_async._base", "thrive_async._base.version", "thrive_async.pytest_plugin"}
