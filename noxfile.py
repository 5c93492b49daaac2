"""The checks of the project, one session each: `nox -s tests`, `nox -s lint types codegen build demo`."""

import hashlib
import json
import os
import random
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.sessions = ["lint", "types", "codegen", "tests", "build", "reproducible", "demo"]
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)


def group(name: str) -> list[str]:
    return nox.project.dependency_groups(PROJECT, name)


def built_wheel(session: nox.Session) -> Path:
    folder = Path(session.create_tmp()) / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    session.install("build")
    session.run("python", "-m", "build", "--wheel", "--outdir", str(folder), silent=True)
    # pip keeps what is installed where the version is the same, whatever else has changed.
    session.run("python", "-m", "pip", "uninstall", "--quiet", "--yes", PROJECT["project"]["name"], silent=True)
    return next(folder.glob("*.whl"))


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The test suite, against the built wheel and not the checkout."""
    wheel = built_wheel(session)
    session.install(f"{wheel}[cli,redis]", *group("test"), *group("codegen"), *group("conformance"))
    # -P keeps the checkout's own thrive_async off the path: what is tested is what users install.
    session.run("python", "-P", "-m", "pytest", *session.posargs)


@nox.session
def conformance(session: nox.Session) -> None:
    """The long run of schemathesis, with requests made anew: `nox -s conformance -- EXAMPLES SEED`."""
    session.install(f"{built_wheel(session)}[cli]", *group("test"), *group("conformance"))
    examples, seed = "200", str(random.randrange(2**32))  # noqa: S311 - a seed is no secret
    if session.posargs:
        examples, seed = [*session.posargs, seed][:2]
    session.run(
        *("python", "-P", "-m", "pytest", "-s", "tests/conformance/test_schemathesis.py"),
        env={"THRIVE_CONFORMANCE_EXAMPLES": examples, "THRIVE_CONFORMANCE_SEED": seed},
    )


@nox.session
def lint(session: nox.Session) -> None:
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    session.install(".[cli,redis]", *group("types"), *group("codegen"), *group("test"))
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--ignoreexternal", "--verifytypes", "thrive_async")
    for checker in ("mypy", "pyright"):
        session.run(checker, "tests/public_names.py")


@nox.session
def codegen(session: nox.Session) -> None:
    """Fails if the generated files are not what the specification makes."""
    session.install("attrs", *group("codegen"))
    session.run("python", "-m", "codegen", "--check")


@nox.session
def build(session: nox.Session) -> None:
    """The wheel and the source archive hold what they must."""
    session.install("build", "twine")
    folder = Path(session.create_tmp()) / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(folder))
    session.run("twine", "check", "--strict", *[str(path) for path in folder.iterdir()])
    names = session.run("python", "-m", "zipfile", "-l", str(next(folder.glob("*.whl"))), silent=True)
    for wanted in ("thrive_async/py.typed", "thrive_async/openapi/thrive.yaml"):
        if not isinstance(names, str) or wanted not in names:
            session.error(f"the wheel lacks {wanted}")


@nox.session
def reproducible(session: nox.Session) -> None:
    """Two builds of one commit, in two places, are the same to the byte."""
    session.install("build")
    folder = Path(session.create_tmp())
    shutil.rmtree(folder / "first", ignore_errors=True)
    shutil.rmtree(folder / "second", ignore_errors=True)
    session.run("git", "clone", "--quiet", ".", str(folder / "first"), external=True)
    shutil.copytree(folder / "first", folder / "second")
    # The time of the commit, as builders of distributions set it.
    moment = session.run("git", "-C", str(folder / "first"), "log", "-1", "--format=%ct", external=True, silent=True)
    digests: list[dict[str, str]] = []
    for copy, umask in ((folder / "first", 0o022), (folder / "second", 0o077)):
        # Other times on the files, and another umask: neither may show.
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
    """No mistake that ruff's S rules or bandit know; no known vulnerability in what is installed with the package.

    It fails, too, where the database of vulnerabilities cannot be reached, for then nobody knows. Only
    `nox -s security -- --without-database` goes on without it, and says so.
    """
    wheel = built_wheel(session)
    session.install(*group("security"), *group("lint"))
    session.run("ruff", "check", "--select", "S", "thrive_async", "codegen", "noxfile.py")
    session.run("bandit", "--quiet", "--configfile", "pyproject.toml", "--recursive", "thrive_async", "noxfile.py")
    folder = Path(session.create_tmp())
    resolved, wanted, found = folder / "resolved.json", folder / "resolved.txt", folder / "audit.json"
    # What a user's pip would install, and not what this session has for its own work.
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
        session.warn(f"NOT LOOKED UP in any database of vulnerabilities, as was asked for: {', '.join(unknown)}")
    elif unknown:
        if not found.exists():
            session.log(str(said).strip())
        session.error(
            f"nothing is known of {', '.join(unknown)}: the database of vulnerabilities cannot be reached, or does not "
            "hold them. `nox -s security -- --without-database` goes on without it"
        )


def audited(report: str) -> tuple[list[str], list[str]]:
    """What pip-audit found: the vulnerable packages with their advisories, and those that it could not look up."""
    packages = json.loads(report)["dependencies"]
    vulnerable = [
        f"{one['name']} {one['version']} ({', '.join(advisory['id'] for advisory in one['vulns'])})"
        for one in packages
        if one.get("vulns")
    ]
    return vulnerable, [one["name"] for one in packages if "skip_reason" in one]


@nox.session
def soak(session: nox.Session) -> None:
    """Minutes of mixed work under random faults, in which nothing may grow: `nox -s soak -- --minutes 10 --seed 1`."""
    session.install(f"{built_wheel(session)}[sandbox]")
    session.run("python", "-W", "error", "-m", "benchmarks.soak", *(session.posargs or ("--minutes", "10")))


@nox.session
def fuzz(session: nox.Session) -> None:
    """Replies made up by atheris, led by what the client's code does with them: `nox -s fuzz -- SECONDS`.

    The corpus is kept for the next run. What breaks the rule is left beside it, and `--replay` shows it.
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
        session.error(f"findings, to be looked at with `python {fuzzer} --replay FILE`: {' '.join(findings)}")
    data = f"--data-file={folder}/.coverage"
    session.run("coverage", "run", data, "--branch", "--include=*/thrive_async/*", fuzzer, "--replay", corpus)
    reached = (
        *(f"_http/{name}" for name in ("attempt", "headers", "request", "token", "words")),
        *("_base/mixins", "_base/values", "_generated/readers", "_wire/convert"),
        *("pagination", "resources/_moves", "sync/_apply/batches"),
    )
    session.run("coverage", "report", data, "--include", ",".join(f"*/thrive_async/{name}.py" for name in reached))


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks: `nox -s bench` runs all and prints the table, `nox -s bench -- decode small_call` some of them.

    openapi-generator needs Java; without it, its rows are left out.
    """
    session.install(".[sandbox,redis]", *group("bench"))
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """The main job, from the built wheel."""
    session.install(f"{built_wheel(session)}[cli]")
    session.run("thrive", "demo")


if __name__ == "__main__":
    sys.exit("run `nox`, or `python -m nox`")
