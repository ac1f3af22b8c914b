"""Image, compose file and manifests name what exists, agree with each other, and keep the appliance closed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from sluice import config

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
USER = 10001


def yaml(path: Path) -> list[dict[str, Any]]:
    return [document for document in YAML(typ="safe").load_all(path.read_text("utf-8")) if document]


def test_the_image_is_made_of_what_there_is() -> None:
    """Every COPY of the Containerfile names files of the checkout, and .dockerignore lets them through."""
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    let = set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.M))
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.M):
        for name in line.split()[:-1]:
            assert (ROOT / name).exists(), name
            assert Path(name).parts[0] in let
    assert f"USER {USER}:{USER}" in text


@pytest.mark.parametrize("file", ["compose/sluice.toml", "kubernetes/sluice.toml"])
def test_settings_in_a_container_are_settings(file: str) -> None:
    """They can be loaded; state lies below the volume, not on its mount point, whose mode others may change."""
    loaded = config.load(DEPLOY / file, environ={})
    assert loaded.paths.var.parent == Path("/var/lib/sluice")
    assert config.endpoint(loaded.proxy.listen) == ("0.0.0.0", 8080)  # noqa: S104 - compared
    assert config.endpoint(loaded.admin.listen)[1] == 8081


def test_compose_publishes_only_what_it_must() -> None:
    """The proxy alone may be published beyond loopback; the appliance's root is read-only, without capabilities; every
    file that is mounted from the checkout lies where the checkout has its parts."""
    (whole,) = yaml(DEPLOY / "compose" / "compose.yaml")
    services = whole["services"]
    ports = services["sluice"]["ports"]
    assert [p for p in ports if not p.startswith("127.0.0.1:")] == ["${SLUICE_LISTEN:-127.0.0.1}:8080:8080"]
    for name, service in services.items():
        assert name == "sluice" or (service["network_mode"] == "service:sluice" and "ports" not in service)
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source in whole["volumes"] or (DEPLOY / "compose" / source).exists(), source
    appliance = services["sluice"]
    assert (appliance["read_only"], appliance["cap_drop"]) == (True, ["ALL"])
    assert appliance["mem_limit"] == appliance["memswap_limit"]


def test_manifests_keep_a_pod_closed() -> None:
    """Not root, read-only root, no capabilities, no token, a probe each on the admin port; one node always stays."""
    (state,) = yaml(DEPLOY / "kubernetes" / "statefulset.yaml")
    pod = state["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsNonRoot"]) == (USER, True)
    for container in (*pod["containers"], *pod["initContainers"]):
        closed = container["securityContext"]
        assert closed["readOnlyRootFilesystem"] is True
        assert closed["allowPrivilegeEscalation"] is False
        assert closed["capabilities"] == {"drop": ["ALL"]}
    (appliance,) = pod["containers"]
    assert {p: appliance[p]["httpGet"]["path"] for p in ("startupProbe", "readinessProbe", "livenessProbe")} == {
        "startupProbe": "/readyz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/healthz",
    }
    (budget,) = yaml(DEPLOY / "kubernetes" / "disruption.yaml")
    assert budget["spec"]["minAvailable"] < state["spec"]["replicas"]


def test_pods_reach_no_inner_network() -> None:
    """Beside names and ClickHouse a pod reaches public addresses alone, on 80 and 443."""
    (policy,) = yaml(DEPLOY / "kubernetes" / "network.yaml")
    blocks = [peer["ipBlock"] for rule in policy["spec"]["egress"] for peer in rule["to"] if "ipBlock" in peer]
    four = next(block for block in blocks if block["cidr"] == "0.0.0.0/0")
    assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"} <= set(four["except"])
    assert set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}


def test_kustomize_builds() -> None:
    """`kubectl kustomize` puts the manifests together, the settings among them, with one label to select by."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(
        [kubectl, "kustomize", DEPLOY / "kubernetes"], capture_output=True, text=True, timeout=60, check=True
    )
    made = [document for document in YAML(typ="safe").load_all(done.stdout) if document]
    kinds = {document["kind"] for document in made}
    assert {"StatefulSet", "Service", "NetworkPolicy", "PodDisruptionBudget", "ConfigMap"} <= kinds
    (state,) = (d for d in made if d["kind"] == "StatefulSet")
    assert state["spec"]["selector"]["matchLabels"] == {"app.kubernetes.io/name": "sluice"}
    assert state["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example.com/sluice:0.1.0"
