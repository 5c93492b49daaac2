"""The manifests of docs/nightly/kubernetes/ fit Kubernetes' own schemas, and what their containers run runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import RECIPES, Night, nightly
from .test_docker import instructions

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
MANIFESTS = sorted((RECIPES / "kubernetes").glob("*.yaml"))
JOBS = [path for path in MANIFESTS if path.stem != "settings"]


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def container_of(path: Path) -> dict[str, Any]:
    container: dict[str, Any] = pod_of(path)["containers"][0]
    return container


def pod_of(path: Path) -> dict[str, Any]:
    pod: dict[str, Any] = documents(path)[0]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
@pytest.mark.parametrize("version", ["1.31", "1.37"])
def test_the_manifests_fit_the_schemas(path: Path, version: str) -> None:
    """Strictly: an unknown field is an error."""
    validating = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate comes with `nox -s nightly`")
    for document in documents(path):
        validating.validate(document, version, strict=True)


def test_a_misspelt_field_is_found() -> None:
    """The test above can fail."""
    validating = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate comes with `nox -s nightly`")
    job = documents(JOBS[0])[0]
    job["spec"]["concurrencyPolice"] = job["spec"].pop("concurrencyPolicy")
    with pytest.raises(validating.ValidationError):
        validating.validate(job, "1.37", strict=True)


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
def test_the_pods_are_confined(path: Path) -> None:
    """What Kubernetes calls the restricted standard: no root, no capabilities, no way to more rights."""
    pod, container = pod_of(path), container_of(path)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
def test_the_pod_runs_as_the_user_of_the_image(path: Path) -> None:
    context = pod_of(path)["securityContext"]
    assert f"{context['runAsUser']}:{context['runAsGroup']}" == instructions("USER")[-1]


def test_one_run_at_a_time_and_only_the_plan_by_itself() -> None:
    specs = {path.stem: documents(path)[0]["spec"] for path in JOBS}
    assert {spec["concurrencyPolicy"] for spec in specs.values()} == {"Forbid"}
    assert [name for name, spec in specs.items() if not spec.get("suspend")] == ["plan"]
    assert specs["plan"]["timeZone"]
    claim = documents(RECIPES / "kubernetes" / "settings.yaml")[-1]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert claim["metadata"]["name"] == pod_of(JOBS[0])["volumes"][0]["persistentVolumeClaim"]["claimName"]


def test_a_night_runs_as_printed(night: Night) -> None:
    """With the environment of the ConfigMap, and the mounts of the pod as folders here."""
    settings = documents(RECIPES / "kubernetes" / "settings.yaml")[1]["data"]
    places = {"/state": "/var/lib/thrive", "/hr/": "/srv/hr/", "/run/secrets/thrive": "/etc/thrive"}
    night.places |= {place: night.here(there) for place, there in places.items()}
    known = {"THRIVE_TENANT_ID": night.environment["THRIVE_TENANT_ID"]}
    given = {name: night.here(value) for name, value in settings.items()} | known
    del given["THRIVE_REGION"]  # the sandbox has an address instead

    def run(name: str) -> int:
        arguments = container_of(RECIPES / "kubernetes" / f"{name}.yaml")["args"]
        return night.run("thrive", *arguments, env=given).returncode

    nightly(night, lambda: run("plan"), lambda: run("apply"))
    assert run("show") == 0
    assert {path.name for path in night.state.iterdir()} >= {"plan.json", "plan.csv", "journal.jsonl", "report.csv"}
