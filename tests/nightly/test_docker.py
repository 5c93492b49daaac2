"""The image: what its Dockerfile says, what its build runs, and the commands of docs/nightly/docker/."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import RECIPES, ROOT, Night, nightly

DOCKERFILE = ROOT / "Dockerfile"


def instructions(name: str) -> list[str]:
    """Return the arguments of every instruction of this name."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    return re.findall(rf"^{name} +(.+)$", text, re.MULTILINE)


def test_hadolint_finds_nothing(tool: Callable[[str], str]) -> None:
    done = subprocess.run([tool("hadolint"), str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_is_not_root_and_holds_no_secret() -> None:
    """The user is a number, so that Kubernetes can see that it is not root."""
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", instructions("USER")[-1])
    assert not re.search(r"KEY|SECRET|TOKEN|PASSWORD", DOCKERFILE.read_text())
    assert not instructions("ARG")


def test_everything_but_the_sources_is_ignored() -> None:
    """A key or an HR file in the folder does not get into the build; what is copied does."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    copied = {name for line in instructions("COPY") if "--from" not in line for name in line.split()[:-1]}
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied


@pytest.mark.timeout(400)
@pytest.mark.skipif("IMAGE_BUILD" not in os.environ, reason="takes a minute and needs PyPI: `nox -s nightly` does it")
def test_the_build_makes_a_command_that_runs(night: Night) -> None:
    """Runs the lines of the Dockerfile in a folder with the files it copies: what can be tried without Docker."""
    folder = night.folder / "src"
    folder.mkdir()
    for line in instructions("COPY"):
        if "--from" not in line:
            *names, _target = line.split()
            for name in names:
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                copy(ROOT / name, folder / name)
    built = night.folder / "opt" / "thrive"
    (night.folder / "bin" / "python").symlink_to(sys.executable)
    environment = {"PATH": f"{night.folder}/bin:/usr/bin:/bin"}
    build = instructions("RUN")[0].replace("/opt/thrive", str(built))
    subprocess.run(["sh", "-ec", build], check=True, cwd=folder, env=environment, timeout=300)
    shutil.rmtree(folder)

    night.environment["PATH"] = f"{built}/bin:/usr/bin:/bin"
    del night.environment["PYTHONPATH"]
    entry: list[str] = json.loads(instructions("ENTRYPOINT")[0])
    health: list[str] = json.loads(instructions("HEALTHCHECK")[0].partition("CMD ")[2])
    assert night.run(*health).returncode == 0
    assert "Usage: thrive" in night.run(*entry, *json.loads(instructions("CMD")[-1])).stdout

    def run(step: str) -> int:
        return night.run(*entry, *arguments_of(step)).returncode

    nightly(night, lambda: run("plan"), lambda: run("apply"))
    assert not (built / "bin" / "pip").exists()
    assert sum(path.stat().st_size for path in built.rglob("*") if path.is_file()) < 80 * 2**20


def arguments_of(name: str) -> list[str]:
    """Return what `thrive-docker` gives the command, with the paths of the other recipes."""
    text = (RECIPES / "docker" / "thrive-docker").read_text().replace("\\\n", " ")
    command = re.findall(rf"^{name}\) set -- (.+) ;;$", text, re.MULTILINE)[0]
    return [word.replace("/state", "/var/lib/thrive").replace("/hr/", "/srv/hr/") for word in shlex.split(command)]


def test_a_night_runs_as_printed(night: Night) -> None:
    """`docker` is a stand-in that runs what the container would, with its mounts as folders here."""
    stand_in = night.folder / "bin" / "docker"
    stand_in.write_text(
        f"""#!{sys.executable}
import os, sys
words = sys.argv[1:]
assert words[0] == "run"
places = {{"/state": {str(night.state)!r}}}
for at, word in enumerate(words):
    if word == "--volume" and words[at + 1].startswith("/"):
        here, there, *_ = words[at + 1].split(":")
        places[there] = {str(night.folder)!r} + here
options = words[:words.index("thrive-async")]
assert {{"--rm", "--read-only", "--cap-drop"}} <= set(options), options
arguments = words[len(options) + 1:]
for place, there in places.items():
    arguments = [word.replace(place, there) for word in arguments]
os.execvp("thrive", ["thrive", *arguments])
"""
    )
    stand_in.chmod(0o755)

    def run(name: str) -> int:
        done = night.run(str(RECIPES / "docker" / "thrive-docker"), name)
        return done.returncode

    nightly(night, lambda: run("plan"), lambda: run("apply"))
    assert run("show") == 0
    assert run("aply") == 2


def test_the_script_is_sound(tool: Callable[[str], str]) -> None:
    subprocess.run([tool("shellcheck"), str(RECIPES / "docker" / "thrive-docker")], check=True)


def test_the_uid_of_the_page_is_that_of_the_image() -> None:
    page = (RECIPES / "docker" / "README.md").read_text()
    assert set(re.findall(r"\b1\d{4}\b", page)) == {instructions("USER")[-1].partition(":")[0]}


def test_the_base_images_are_pinned_to_a_minor_version() -> None:
    bases = [line.split()[0] for line in instructions("FROM")]
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+-slim", bases[0])
    assert Path(DOCKERFILE).read_text().count("COPY --from=build") == 1
