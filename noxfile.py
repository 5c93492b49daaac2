"""The checks of the project, one session each: `nox -s tests`, `nox -s lint types codegen build demo`."""

import hashlib
import json
import os
import random
import re
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.sessions = ["lint", "types", "codegen", "tests", "browser", "build", "reproducible", "demo"]
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True

PROJECT = nox.project.load_toml("pyproject.toml")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# All but those of the web frameworks, which the test group has.
EXTRAS = "cli,redis,otel,fleet"
FRAMEWORKS = "fastapi,starlette,litestar"
PYTHONS = nox.project.python_versions(PROJECT)


def group(name: str) -> list[str]:
    return nox.project.dependency_groups(PROJECT, name)


def built_wheel(session: nox.Session) -> Path:
    folder = Path(session.create_tmp()) / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    session.install("build")
    session.run("python", "-m", "build", "--wheel", "--outdir", str(folder), silent=True)
    # pip would keep an older build of the same version.
    session.run("python", "-m", "pip", "uninstall", "--quiet", "--yes", PROJECT["project"]["name"], silent=True)
    return next(folder.glob("*.whl"))


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the test suite against the built wheel: `nox -s tests-3.11 -- tests/sync -k members`."""
    wheel = built_wheel(session)
    session.install(f"{wheel}[{EXTRAS}]", *group("test"), *group("codegen"), *group("conformance"))
    # -P keeps the checkout off the path, so that the tests import what users install.
    # One process for each core; for a few tests, starting them would take longer than the tests.
    session.run("python", "-P", "-m", "pytest", *(session.posargs or ("-n", "auto")))


@nox.session
def browser(session: nox.Session) -> None:
    """Open plans, reports and the examples in a headless Chromium. Needs Chromium or Chrome on the path."""
    if not os.environ.get("CHROMIUM") and not any(map(shutil.which, CHROMIUM)):
        session.error(f"no browser: install Debian's package chromium, or put one of {', '.join(CHROMIUM)} on the path")
    session.install(f"{built_wheel(session)}[cli]", *group("test"), *group("browser"))
    session.run("python", "-P", "-m", "pytest", *(session.posargs or ("tests/browser",)))


@nox.session
def conformance(session: nox.Session) -> None:
    """Let schemathesis try the specification against the sandbox: `nox -s conformance -- EXAMPLES SEED`."""
    session.install(f"{built_wheel(session)}[cli]", *group("test"), *group("conformance"))
    examples, seed = "200", str(random.randrange(2**32))  # noqa: S311 - a seed is no secret
    if session.posargs:
        examples, seed = [*session.posargs, seed][:2]
    session.run(
        *("python", "-P", "-m", "pytest", "-s", "tests/conformance/test_schemathesis.py"),
        env={"THRIVE_CONFORMANCE_EXAMPLES": examples, "THRIVE_CONFORMANCE_SEED": seed},
    )


@nox.session
def nightly(session: nox.Session) -> None:
    """Check the recipes of docs/nightly with the tools that read them, and run them, Airflow's and the image's too."""
    session.install(f"{built_wheel(session)}[cli]", *group("test"), *group("nightly"))
    airflow = Path(session.create_tmp()).absolute() / "airflow"
    session.run("python", "-m", "venv", str(airflow))
    # Airflow's tested set of versions is on GitHub, not on PyPI, so pip resolves them anew.
    session.run(str(airflow / "bin" / "pip"), "install", "--quiet", *group("airflow"), external=True)
    known = {"AIRFLOW_PYTHON": str(airflow / "bin" / "python"), "IMAGE_BUILD": "yes"}
    session.run("python", "-P", "-m", "pytest", *(session.posargs or ("tests/nightly",)), env=known)


SPECTRAL = "@stoplight/spectral-cli@6.16.3"
REDOCLY = "@redocly/cli@2.77.0"


@nox.session(venv_backend="none")
def specification(session: nox.Session) -> None:
    """Spectral and Redocly find nothing in the specification, not even a warning. Needs Node.js and its npm."""
    tools = Path(session.create_tmp())
    session.run(*("npm", "install", "--no-save", "--prefix", str(tools), SPECTRAL, REDOCLY), external=True, silent=True)
    spectral, redocly = (str(tools / "node_modules" / ".bin" / name) for name in ("spectral", "redocly"))
    lint_by = ("lint", "--ruleset", "openapi/spectral.yaml", "--fail-severity", "info", "openapi/thrive.yaml")
    session.run(spectral, *lint_by, external=True)
    found = session.run(
        *(redocly, "lint", "--config", "openapi/redocly.yaml", "--format", "json", "openapi/thrive.yaml"),
        external=True,
        silent=True,
        stderr=None,
    )
    problems = json.loads(str(found))["problems"]
    if problems:
        session.error(f"Redocly: {json.dumps(problems, indent=1)}")


@nox.session
def lint(session: nox.Session) -> None:
    """Check ruff's rules and format, and that imports keep to the floors of docs/architecture.md."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Run mypy and pyright, strict, and check that every public name is typed."""
    session.install(f".[{EXTRAS}]", *group("types"), *group("codegen"), *group("test"))
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--ignoreexternal", "--verifytypes", "thrive_async")
    for checker in ("mypy", "pyright"):
        session.run(checker, "tests/public_names.py")
        session.run(checker, "examples/fastapi_app.py", "examples/aiohttp_app.py")


@nox.session
def codegen(session: nox.Session) -> None:
    """Check that the generated files match the specification."""
    session.install("attrs", *group("codegen"))
    session.run("python", "-m", "codegen", "--check")


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel and the source archive, and check that they are complete."""
    session.install("build", "twine")
    folder = Path(session.create_tmp()) / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(folder))
    session.run("twine", "check", "--strict", *[str(path) for path in folder.iterdir()])
    names = session.run("python", "-m", "zipfile", "-l", str(next(folder.glob("*.whl"))), silent=True)
    page = [f"thrive_async/cli/_page/page.{ending}" for ending in ("html.jinja", "css", "js")]
    for wanted in ("thrive_async/py.typed", "thrive_async/openapi/thrive.yaml", *page):
        if not isinstance(names, str) or wanted not in names:
            session.error(f"the wheel lacks {wanted}")


MERMAID = "mermaid@11.12.1"
REDOC = "redoc@2.5.1"


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site into site/: `nox -s docs`, then `nox -s docs -- serve`. `online` links to others' documentation.

    With Node.js and its npm, diagrams are drawn and the specification has a page; without, they stay text. Then the
    links and llms-full.txt are checked and, with Chromium, how the main pages look.
    """
    session.install(f".[{EXTRAS},{FRAMEWORKS}]", *group("docs"))
    static, extra = Path("docs/_static"), Path("docs/_extra")
    if shutil.which("npm"):
        tools = Path(session.create_tmp())
        session.run(
            *("npm", "install", "--no-save", "--prefix", str(tools), MERMAID, REDOC), external=True, silent=True
        )
        modules = tools / "node_modules"
        shutil.copy(modules / "mermaid/dist/mermaid.min.js", static)
        shutil.copy(modules / "redoc/bundles/redoc.standalone.js", static)
    else:
        session.warn("no npm: the diagrams stay text, and the specification has no page")
    shutil.copy("openapi/thrive.yaml", extra)
    session.run("codespell", "--skip=docs/_static", "docs", "README.md", "CONTRIBUTING.md", "CHANGELOG.md")
    online = {"THRIVE_DOCS_ONLINE": "1"} if "online" in session.posargs else {}
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-E", "-b", "html", "docs", "site", env=online)
    opens = bool(os.environ.get("CHROMIUM") or any(map(shutil.which, CHROMIUM)))
    session.run("python", "docs/check_site.py", "site", *([] if opens else ["--links-only"]))
    if not opens:
        session.warn("no Chromium: the links and llms-full.txt were checked, but no page was opened")
    if "serve" in session.posargs:
        session.run("python", "-m", "http.server", "--bind", "127.0.0.1", "--directory", "site", "8000")


@nox.session(reuse_venv=False)  # what an older run left would be kept, for it satisfies the bounds
def lowest(session: nox.Session) -> None:
    """Run the tests with the oldest dependencies that pyproject.toml allows: `nox -s lowest -- tests/sync`."""
    session.install("uv")
    python = str(Path(session.virtualenv.bin) / "python")
    # Not schemathesis, which needs newer packages than we do.
    oldest = ("--resolution", "lowest-direct", f".[{EXTRAS},{FRAMEWORKS}]", "--group=test", "--group=codegen")
    session.run("uv", "pip", "install", "--python", python, *oldest)
    everything = ("-n", "auto", "--ignore=tests/conformance", "tests")
    session.run("python", "-P", "-m", "pytest", *(session.posargs or everything))


@nox.session
def api(session: nox.Session) -> None:
    """Compare the public names with those of the last release, or of a tag: `nox -s api -- v0.1.0`."""
    session.install("griffe>=2")
    tags = session.run("git", "tag", "--list", "v*", "--sort=-creatordate", external=True, silent=True)
    against = session.posargs[:1] or str(tags).split()[:1]
    if not against:
        session.skip("there is no release to compare with yet")
    session.run("griffe", "check", "thrive_async", "--against", against[0])


@nox.session
def release(session: nox.Session) -> None:
    """Prepare a release as far as it goes without publishing: `nox -s release -- 0.1.0`. It ends in dist/.

    Arguments after the version go to pytest, which runs the tests of the source archive in an empty folder.
    """
    version, *options = session.posargs or session.error("which version? nox -s release -- 0.1.0")
    dated = re.search(rf"^## \[{re.escape(version)}\] - (.+)$", Path("CHANGELOG.md").read_text(), re.MULTILINE)
    if dated is None or dated[1] == "Unreleased":
        session.error(f"CHANGELOG.md has no section with a date for {version}")
    if session.run("git", "status", "--porcelain", external=True, silent=True):
        session.error("commit or remove what git status shows: a release is made of a commit")
    session.install("build", "twine", "cyclonedx-bom")
    shutil.rmtree("dist", ignore_errors=True)
    moment = str(session.run("git", "log", "-1", "--format=%ct", external=True, silent=True)).strip()
    made = {"SETUPTOOLS_SCM_PRETEND_VERSION": version, "SOURCE_DATE_EPOCH": moment}
    session.run("python", "-m", "build", "--outdir", "dist", silent=True, env=made)
    archive, wheel = sorted(Path("dist").resolve().iterdir(), key=lambda path: path.suffix)
    session.run("twine", "check", "--strict", str(archive), str(wheel))
    # An environment of its own, so that the bill of materials names only what users get.
    folder = Path(session.create_tmp())
    environment, unpacked = folder / "users", folder / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    session.run("python", "-m", "venv", "--clear", "--without-pip", str(environment), silent=True)
    python = str(environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    session.run("python", "-m", "pip", "--python", python, "install", "--quiet", f"{wheel}[{EXTRAS}]", silent=True)
    session.run(
        *("cyclonedx-py", "environment", "--output-reproducible", "--of", "JSON"),
        *("-o", "dist/sbom.cdx.json", "--pyproject", "pyproject.toml", python),
    )
    session.install(f"{wheel}[{EXTRAS}]", *group("test"), *group("codegen"), *group("conformance"))
    shutil.unpack_archive(archive, unpacked, filter="data")
    with session.chdir(next(unpacked.iterdir())):
        session.run("python", "-P", "-m", "pytest", *(options or ("-n", "auto")))
    sums = [f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.name}" for one in sorted(Path("dist").iterdir())]
    Path("dist/SHA256SUMS").write_text("\n".join(sums) + "\n")
    session.log("\n".join(["made in dist/:", *sums]))
    if not {"Repository", "Documentation"} <= PROJECT["project"]["urls"].keys():
        session.warn("left to do: project.urls of pyproject.toml has no Repository or no Documentation yet")
    session.log(
        f"left to do: git tag -s v{version} && git push origin v{version}. The workflow publish.yml builds the same "
        "bytes, compares, signs and publishes them"
    )


@nox.session
def reproducible(session: nox.Session) -> None:
    """Build one commit twice, in two places, and compare the bytes."""
    session.install("build")
    folder = Path(session.create_tmp())
    shutil.rmtree(folder / "first", ignore_errors=True)
    shutil.rmtree(folder / "second", ignore_errors=True)
    session.run("git", "clone", "--quiet", ".", str(folder / "first"), external=True)
    shutil.copytree(folder / "first", folder / "second")
    # Builders of distributions set the commit's time, too.
    moment = session.run("git", "-C", str(folder / "first"), "log", "-1", "--format=%ct", external=True, silent=True)
    digests: list[dict[str, str]] = []
    for copy, umask in ((folder / "first", 0o022), (folder / "second", 0o077)):
        # File times and umask must not change the result.
        for path in copy.rglob("*"):
            os.utime(path, (10**9 + umask, 10**9 + umask))
        before = os.umask(umask)
        session.run(
            *("python", "-m", "build", "--outdir", str(copy / "dist"), str(copy)),
            silent=True,
            env={"SOURCE_DATE_EPOCH": str(moment).strip()},
        )
        os.umask(before)
        built = (copy / "dist").iterdir()
        digests.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in built})
    if digests[0] != digests[1]:
        session.error(f"the builds differ: {digests}")
    for name, digest in sorted(digests[0].items()):
        session.log(f"{digest}  {name}")


@nox.session
def security(session: nox.Session) -> None:
    """Run ruff's S rules and bandit, and look up known vulnerabilities in everything installed with the package.

    It also fails if the vulnerability database cannot be reached. `nox -s security -- --without-database` continues
    without it, and says so.
    """
    wheel = built_wheel(session)
    session.install(*group("security"), *group("lint"))
    session.run("ruff", "check", "--select", "S", "thrive_async", "codegen", "noxfile.py")
    session.run("bandit", "--quiet", "--configfile", "pyproject.toml", "--recursive", "thrive_async", "noxfile.py")
    folder = Path(session.create_tmp())
    resolved, wanted, found = folder / "resolved.json", folder / "resolved.txt", folder / "audit.json"
    # Look up what a user's pip would install, not the tools of this session.
    resolve = ("--dry-run", "--ignore-installed", "--quiet", "--report", str(resolved))
    session.run("python", "-m", "pip", "install", *resolve, f"{wheel}[cli]", silent=True)
    packages = [one["metadata"] for one in json.loads(resolved.read_text())["install"]]
    pins = [f"{one['name']}=={one['version']}" for one in packages if one["name"] != PROJECT["project"]["name"]]
    wanted.write_text("\n".join(pins))
    found.unlink(missing_ok=True)
    said = session.run(
        *("pip-audit", "--no-deps", "--disable-pip", "--requirement", str(wanted)),
        *("--progress-spinner", "off", "--format", "json", "--output", str(found)),
        success_codes=[0, 1],
        silent=True,
    )
    vulnerable, unknown = audited(found.read_text()) if found.exists() else ([], pins)
    session.log(f"{len(pins)} packages, {len(pins) - len(unknown)} of them looked up, {len(vulnerable)} vulnerable")
    if vulnerable:
        session.error(f"known vulnerabilities: {'; '.join(vulnerable)}")
    if unknown and "--without-database" in session.posargs:
        session.warn(f"not looked up in the vulnerability database, as you asked: {', '.join(unknown)}")
    elif unknown:
        if not found.exists():
            session.log(str(said).strip())
        session.error(
            f"the vulnerability database cannot be reached, or does not know {', '.join(unknown)}. To continue without "
            "it, run `nox -s security -- --without-database`"
        )


def audited(report: str) -> tuple[list[str], list[str]]:
    """Return the vulnerable packages with their advisories, and the packages pip-audit could not look up."""
    packages = json.loads(report)["dependencies"]
    vulnerable = [
        f"{one['name']} {one['version']} ({', '.join(advisory['id'] for advisory in one['vulns'])})"
        for one in packages
        if one.get("vulns")
    ]
    return vulnerable, [one["name"] for one in packages if "skip_reason" in one]


@nox.session
def soak(session: nox.Session) -> None:
    """Read, write and sync under random faults; nothing may grow: `nox -s soak -- --minutes 10 --seed 1`."""
    session.install(f"{built_wheel(session)}[sandbox]")
    session.run("python", "-W", "error", "-m", "benchmarks.soak", *(session.posargs or ("--minutes", "10")))


@nox.session
def fuzz(session: nox.Session) -> None:
    """Let atheris mutate replies, guided by the code they reach: `nox -s fuzz -- SECONDS`.

    The corpus is kept for the next run. Findings are left beside it; replay one with `--replay`.
    """
    session.install(f"{built_wheel(session)}[sandbox]", *group("test"), *group("fuzz"))
    seconds = session.posargs[0] if session.posargs else "120"
    folder = Path(session.create_tmp()) / "fuzz"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("finding-*"):
        old.unlink()
    fuzzer = "tests/fuzz/fuzz_atheris.py"
    corpus = str(folder / "corpus")
    limits = (f"-max_total_time={seconds}", f"-artifact_prefix={folder}/finding-", "-verbosity=0")
    session.run("python", fuzzer, corpus, *limits, "-print_final_stats=1")
    findings = [str(file) for file in sorted(folder.glob("finding-*"))]
    if findings:
        session.error(f"findings; replay one with `python {fuzzer} --replay FILE`: {' '.join(findings)}")
    data = f"--data-file={folder}/.coverage"
    session.run("coverage", "run", data, "--branch", "--include=*/thrive_async/*", fuzzer, "--replay", corpus)
    reached = ("_http/*", "_wire/*", "_base/*", "_generated/readers.py", "pagination.py", "resources/_moves.py")
    session.run("coverage", "report", data, "--include", ",".join(f"*/thrive_async/{name}" for name in reached))


@nox.session
def bench(session: nox.Session) -> None:
    """Run all benchmarks and print their table, or only some: `nox -s bench -- decode small_call`.

    openapi-generator needs Java. Without it, its rows are left out.
    """
    session.install(".[sandbox,redis,fleet]", *group("bench"))
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Run the main job from the built wheel."""
    session.install(f"{built_wheel(session)}[cli]")
    session.run("thrive", "demo")


if __name__ == "__main__":
    sys.exit("run `nox`, or `python -m nox`")
