"""What a client is handed by the running appliance: pages, PAC file, profile, and the address that tells on it."""

from __future__ import annotations

import os
import plistlib
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography import x509

from sluice import probe
from sluice.onboarding import page
from sluice.onboarding.steps import PLATFORMS, Platform
from tests.clients.appliance import Appliance
from tests.onboarding.firefox import Firefox, Unopened
from tests.upstream import Upstream

NODE_MODULES = Path(__file__).parents[1] / "clients" / "node"
CARD = "5425233430109903"


def get(appliance: Appliance, path: str, host: str = "localhost") -> httpx.Response:
    return httpx.get(f"{appliance.admin}{path}", headers={"host": host}, trust_env=False)


def proxied(appliance: Appliance) -> httpx.Client:
    context = httpx.create_ssl_context(verify=str(appliance.ca_file), trust_env=False)
    return httpx.Client(proxy=appliance.proxy, verify=context, trust_env=False)


# ------------------------------------------------------------------------------------------------------------ the probe


def test_the_probe_tells_a_client_that_it_is_inspected(appliance: Appliance, upstream: Upstream) -> None:
    """Over the proxy the gate itself answers, without an upstream, and there is a record like every other."""
    before = upstream.journal.total
    with proxied(appliance) as client:
        told = client.get(f"https://{probe.HOST}/").json()
    assert (told["inspected"], told["decision"]) == (True, "allow")
    columns = "record_type, target_row, forwarded, client_status"
    sql = f"select {columns} from events where decision_id = '{told['decision_id']}'"
    rows = appliance.rows_when(sql, lambda found: len(found) == 2)
    assert {(r["record_type"], r["target_row"], r["forwarded"], r["client_status"]) for r in rows} == {
        ("decision", probe.ROW, None, None),
        ("outcome", probe.ROW, False, 200),
    }
    assert upstream.journal.total == before


def test_the_probe_is_judged_as_everything_is(appliance: Appliance) -> None:
    """A card number sent to the probe is blocked: policy goes first, and a site can try it without a provider."""
    with proxied(appliance) as client:
        answer = client.post(f"https://{probe.HOST}/", json={"text": f"card {CARD}"})
        again = client.get(f"https://{probe.HOST}/", headers={"accept": "text/html"})
    assert answer.status_code == 400
    assert CARD not in answer.text
    assert probe.TITLE in again.text
    assert "script" not in again.headers["content-security-policy"]


# ------------------------------------------------------------------------------------------------------------ the pages


def test_the_pac_file_names_this_gate(appliance: Appliance) -> None:
    """`/proxy.pac` has its media type, the proxy that is listening, and the probe among the names."""
    answer = get(appliance, "/proxy.pac")
    assert answer.headers["content-type"].startswith("application/x-ns-proxy-autoconfig")
    assert f'PROXY {urlsplit(appliance.proxy).netloc}"' in answer.text
    assert probe.HOST in answer.text


def test_the_profile_holds_the_ca(appliance: Appliance) -> None:
    """`/ca.mobileconfig` is a property list with this CA's certificate as a root payload, the same each time."""
    answer = get(appliance, "/ca.mobileconfig")
    assert answer.headers["content-type"] == "application/x-apple-aspen-config"
    read = plistlib.loads(answer.content)
    (payload,) = read["PayloadContent"]
    ours = x509.load_pem_x509_certificate(appliance.ca_file.read_bytes())
    assert x509.load_der_x509_certificate(payload["PayloadContent"]) == ours
    assert payload["PayloadType"] == "com.apple.security.root"
    assert get(appliance, "/ca.mobileconfig").content == answer.content


def test_the_page_runs_no_script_and_asks_for_nothing(appliance: Appliance) -> None:
    """Every platform stands on it; its policy allows its own style and nothing else; what is inserted is escaped."""
    answer = get(appliance, "/onboarding")
    assert re.match(r"default-src 'none'; style-src 'sha256-\S+'; ", answer.headers["content-security-policy"])
    assert all(f'id="{platform.id}"' in answer.text for platform in PLATFORMS)
    assert "<script" not in answer.text
    assert not re.search(r"\son\w+=|style=|src=", answer.text)
    odd = page.render(page.Gate("<b>:1", "a&b:2", "00"))
    assert b"<b>" not in odd
    assert b"&lt;b&gt;:1" in odd


def test_a_name_that_is_not_ours_is_refused(appliance: Appliance) -> None:
    """A page that was rebound to this listener reads none of it."""
    assert get(appliance, "/onboarding", host="evil.example").status_code == 421


# ------------------------------------------------------------------------------------------------------------ the steps

RUNNABLE = [platform for platform in PLATFORMS if platform.run and platform.check]
FIREFOX = next(platform for platform in PLATFORMS if platform.id == "firefox")
NEEDS = {
    "node": "node",
    "java": "javac",
    "chromium": "certutil",
    "git": "git",
    "go": "go",
    "rust": "cargo",
    "electron": "bun",
}
_SKIPPED_LINES = re.compile(r"^(sudo|echo 'https_proxy).*$", re.M)


@pytest.mark.parametrize("platform", RUNNABLE, ids=lambda p: p.id)
def test_a_step_can_be_carried_out_as_it_stands(platform: Platform, appliance: Appliance, tmp_path: Path) -> None:
    """What the page says, typed into a shell: the client trusts the gate, and the probe tells it that it is inspected.

    Lines that change the machine itself (sudo) are left out; the same commands without the CA fail in `tests/tls`.
    """
    needed = NEEDS.get(platform.id)
    if needed and not shutil.which(needed):
        pytest.skip(f"{needed} is not installed")
    gate = page.Gate(urlsplit(appliance.proxy).netloc, urlsplit(appliance.admin).netloc, "")
    shutil.copy(appliance.ca_file, tmp_path / "sluice-ca.pem")
    if platform.id == "node":
        (tmp_path / "node_modules").symlink_to(NODE_MODULES / "node_modules")
    check = page.commands(platform.check, gate)
    if platform.id == "chromium":
        browser = shutil.which("chromium-headless-shell") or shutil.which("chromium")
        if browser is None:
            pytest.skip("chromium is not installed")
        check = check.replace("chromium --headless", f"{browser} --no-sandbox --disable-gpu --timeout=20000", 1)
    script = "set -e\n" + _SKIPPED_LINES.sub("", page.commands(platform.setup, gate)) + "\n" + check
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # the Python of the tests has httpx
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={
            "PATH": path,
            "HOME": str(tmp_path),
            "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", f"{Path.home()}/.rustup"),
        },
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert "inspected" in done.stdout, done.stderr


def test_firefox_goes_through_the_gate_by_its_policies(
    appliance: Appliance, upstream: Upstream, tmp_path: Path
) -> None:
    """The step for Firefox: with the policies that the page writes it finds the proxy by the PAC file, trusts the
    gate's CA and shows the probe's page; a certificate of a CA that stands in no policy it refuses."""
    if not shutil.which("firefox-esr"):
        pytest.skip("firefox-esr is not installed")
    gate = page.Gate(urlsplit(appliance.proxy).netloc, urlsplit(appliance.admin).netloc, "")
    setup = page.commands(FIREFOX.setup, gate).replace(
        "/usr/local/share/ca-certificates/sluice-ca.crt", str(appliance.ca_file)
    )
    subprocess.run(["bash", "-ec", _SKIPPED_LINES.sub("", setup)], cwd=tmp_path, check=True, timeout=20)
    with Firefox(tmp_path, tmp_path / "policies.json") as firefox:
        assert probe.TITLE in firefox.text(f"https://{probe.HOST}/")
        with pytest.raises(Unopened) as refused:
            firefox.text(f"https://{upstream.address}/")
    assert refused.value.error == "insecure certificate"


def test_what_cannot_be_run_here_names_its_source() -> None:
    """A step that no test carries out stands on a page of the vendor, and the page links it."""
    shown = page.render(page.Gate("gate:8080", "gate:8081", "00")).decode()
    known = [
        "linux",
        "windows",
        "macos",
        "firefox",
        "chromium",
        "node",
        "python",
        "java",
        "go",
        "rust",
        "git",
        "docker",
        "jetbrains",
        "electron",
    ]
    assert sorted(platform.id for platform in PLATFORMS) == sorted(known)
    for platform in PLATFORMS:
        assert platform.run or platform.sources, platform.id
        for url in platform.sources:
            assert url.startswith("https://")
            assert f'<a href="{url}">' in shown


@pytest.mark.parametrize("size", ["1280,900", "390,844"])
def test_a_browser_shows_the_page_as_it_is_meant(size: str, appliance: Appliance, tmp_path: Path) -> None:
    """Chromium draws it, wide and narrow, and its security policy stops nothing of it."""
    browser = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if browser is None:
        pytest.skip("chromium is not installed")
    shot = tmp_path / "page.png"
    options = ["--no-sandbox", "--headless", "--enable-logging=stderr", f"--window-size={size}", f"--screenshot={shot}"]
    done = subprocess.run(
        [browser, *options, f"{appliance.admin}/onboarding"],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shot.stat().st_size > 10_000
    assert "CONSOLE" not in done.stderr
    assert "Content Security Policy" not in done.stderr


def test_events_go_outward_and_a_dead_receiver_is_told(appliance: Appliance) -> None:
    """The appliance's own forwarder brings a decision into the file; a receiver that is away is named under `degraded`,
    and the appliance is ready all the same."""
    with proxied(appliance) as client:
        told = client.get(f"https://{probe.HOST}/").json()
    file = appliance.directory / "events.jsonl"
    deadline = time.monotonic() + 20
    while not (file.exists() and told["decision_id"] in file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    while "not taken by dead" not in (ready := get(appliance, "/readyz")).text:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert ready.status_code == 200
    assert ready.json()["processes"]["forwarder"]["state"] == "ready"
    numbers = get(appliance, "/metrics").text
    assert 'sluice_forward_missed_total{destination="archive"} 0.0' in numbers
    assert re.search(r'^sluice_forward_failures_total{destination="dead"} [1-9]', numbers, re.M)
