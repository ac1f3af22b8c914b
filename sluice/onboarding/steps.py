"""What to do on each platform and in each runtime, as data. `{proxy}`, `{admin}` and `{probe}` stand for this gate's.

`run` is True where the tests carry the step out against a running appliance (`tests/onboarding`): what stands in
`setup` first, then `check`, which must end with success and print `inspected`. The others are from the vendors'
documentation, whose pages are the `sources`; `certs/trust` says for each what was measured, and more about the stores.
Every step begins where the CA lies in `sluice-ca.pem`: the page says how it comes there.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Platform:
    """One platform or runtime. `setup` and `check` are typed as they stand; `notes` are sentences; `sources` are the
    vendor's own pages on it."""

    id: str
    title: str
    setup: str
    check: str = ""
    notes: tuple[str, ...] = ()
    run: bool = False
    sources: tuple[str, ...] = ()


PROBE = "https://{probe}/"

PLATFORMS = (
    Platform(
        "linux",
        "Linux (system store)",
        """sudo cp sluice-ca.pem /usr/local/share/ca-certificates/sluice-ca.crt   # Debian, Ubuntu, Alpine
sudo update-ca-certificates
echo 'https_proxy=http://{proxy}' | sudo tee -a /etc/environment""",
        "curl --proxy http://{proxy} --cacert sluice-ca.pem " + PROBE,
        (
            "Fedora, RHEL: /etc/pki/ca-trust/source/anchors, then update-ca-trust.",
            "Read by curl, wget, git and Go. Not by Python packages with certifi, Node, Java, Firefox and Chromium.",
        ),
        run=True,
    ),
    Platform(
        "windows",
        "Windows, one machine and by group policy",
        """curl.exe -o sluice-ca.der http://{admin}/ca.der
certutil -addstore -f Root sluice-ca.der
netsh winhttp set advproxy setting-scope=machine settings={{\\"AutoconfigUrl\\":\\"http://{admin}/proxy.pac\\"}}""",
        "curl.exe --proxy http://{proxy} " + PROBE,
        (
            "Group policy, CA: Computer Configuration, Windows Settings, Security Settings, Public Key Policies, "
            "Trusted Root Certification Authorities, Import.",
            "Group policy, proxy: User Configuration, Preferences, Control Panel Settings, Internet Settings; or the "
            "registry value AutoConfigURL below HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Internet Settings.",
            "Intune: a Trusted certificate profile (Computer certificate store - Root), and the network proxy CSP.",
            "Read by Edge, Chrome, .NET, PowerShell and curl.exe. WSL is a Linux machine.",
        ),
        sources=(
            "https://learn.microsoft.com/windows-server/administration/windows-commands/certutil",
            "https://learn.microsoft.com/powershell/module/winhttpproxy/set-winhttpproxy",
        ),
    ),
    Platform(
        "macos",
        "macOS",
        """curl -o sluice.mobileconfig http://{admin}/ca.mobileconfig
open sluice.mobileconfig     # then: System Settings, General, Device Management, Install
networksetup -setautoproxyurl Wi-Fi http://{admin}/proxy.pac""",
        "curl --proxy http://{proxy} " + PROBE,
        (
            "A device management installs the profile without a question, and trusts it for TLS at once.",
            "Read by Safari, Chrome and curl. Not by Firefox (unless told), Python, Node and Java.",
        ),
        sources=("https://developer.apple.com/documentation/devicemanagement/certificateroot",),
    ),
    Platform(
        "firefox",
        "Firefox",
        """cat > policies.json <<'END'
{{"policies": {{
  "Certificates": {{"ImportEnterpriseRoots": true, "Install": ["/usr/local/share/ca-certificates/sluice-ca.crt"]}},
  "Proxy": {{"Mode": "autoConfig", "AutoConfigURL": "http://{admin}/proxy.pac", "Locked": true}}
}}}}
END
sudo install -D -m 0644 sluice-ca.pem /usr/local/share/ca-certificates/sluice-ca.crt
sudo install -D -m 0644 policies.json /etc/firefox/policies/policies.json""",
        "",
        (
            "Then start Firefox anew and open https://{probe}/: the page says that the connection is inspected.",
            "Linux: /etc/firefox/policies; elsewhere `distribution` beside the program, and the path of the CA there. "
            "about:policies shows what is in force.",
        ),
        run=True,
        sources=("https://github.com/mozilla/policy-templates/blob/master/docs/index.md",),
    ),
    Platform(
        "chromium",
        "Chromium, Chrome and Edge on Linux",
        """mkdir -p $HOME/.pki/nssdb
certutil -d sql:$HOME/.pki/nssdb -N --empty-password
certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n sluice -i sluice-ca.pem""",
        "chromium --headless --dump-dom --proxy-server=http://{proxy} " + PROBE,
        (
            "certutil is in the package libnss3-tools.",
            "By PAC file: --proxy-pac-url=http://{admin}/proxy.pac.",
            "For a fleet: the policies ProxyPacUrl (with ProxyMode pac_script) and CACertificates.",
            "QUIC goes around every proxy: QuicAllowed = false, and UDP 443 closed at the firewall.",
        ),
        run=True,
    ),
    Platform(
        "node",
        "Node: SDKs, Claude Code, Gemini CLI and other agents",
        """export NODE_EXTRA_CA_CERTS=$PWD/sluice-ca.pem
export HTTPS_PROXY=http://{proxy}""",
        """node --input-type=module -e '
import {{ ProxyAgent, fetch }} from "undici";
const dispatcher = new ProxyAgent(process.env.HTTPS_PROXY);
console.log(await (await fetch("https://{probe}/", {{ dispatcher }})).text());'""",
        (
            "Node reads HTTPS_PROXY from 22.21 and 24.5 on, with NODE_USE_ENV_PROXY=1; before, give the SDK a proxy "
            "agent: fetchOptions with a dispatcher of undici. Claude Code and Gemini CLI do so by themselves.",
            "NODE_USE_SYSTEM_CA=1 makes a new Node read the system's store beside its own.",
            "npm has its own: npm config set cafile, npm config set https-proxy.",
        ),
        run=True,
        sources=("https://nodejs.org/learn/http/enterprise-network-configuration",),
    ),
    Platform(
        "python",
        "Python: the standard library, httpx, openai, anthropic, google-genai",
        """export SSL_CERT_FILE=$PWD/sluice-ca.pem
export HTTPS_PROXY=http://{proxy}""",
        """python3 -c '
import urllib.request
print(urllib.request.urlopen("https://{probe}/").read().decode())'
python3 -c 'import httpx; print(httpx.get("https://{probe}/").text)'""",
        (
            "requests reads REQUESTS_CA_BUNDLE, botocore AWS_CA_BUNDLE, pip PIP_CERT, gRPC "
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH.",
            "The variable replaces the usual roots: append them to the file where other hosts are asked directly.",
        ),
        run=True,
    ),
    Platform(
        "java",
        "Java",
        """keytool -importcert -noprompt -alias sluice -file sluice-ca.pem -keystore trust.p12 -storetype PKCS12 \\
  -storepass changeit
export JAVA_TOOL_OPTIONS="-Djavax.net.ssl.trustStore=trust.p12 -Djavax.net.ssl.trustStorePassword=changeit \\
  -Dhttps.proxyHost={proxy_host} -Dhttps.proxyPort={proxy_port}\"""",
        """cat > Probe.java <<'END'
class Probe {{
  public static void main(String[] arguments) throws Exception {{
    System.out.println(new String(new java.net.URL("https://{probe}/").openStream().readAllBytes()));
  }}
}}
END
java Probe.java""",
        ("For a whole JDK: keytool -importcert -cacerts -alias sluice -file sluice-ca.pem; an update undoes it.",),
        run=True,
    ),
    Platform(
        "go",
        "Go",
        """export SSL_CERT_FILE=$PWD/sluice-ca.pem
export HTTPS_PROXY=http://{proxy}""",
        """cat > probe.go <<'END'
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {{
	answer, fault := http.Get("https://{probe}/")
	if fault != nil {{
		panic(fault)
	}}
	io.Copy(os.Stdout, answer.Body)
}}
END
go run probe.go""",
        (
            "On macOS and Windows the system store is read. The default transport reads HTTPS_PROXY.",
            "A program that sets tls.Config.RootCAs or its own Transport looks at neither.",
        ),
        run=True,
    ),
    Platform(
        "rust",
        "Rust: Codex CLI and others",
        """export SSL_CERT_FILE=$PWD/sluice-ca.pem
export CARGO_HTTP_CAINFO=$PWD/sluice-ca.pem     # cargo alone
export HTTPS_PROXY=http://{proxy}""",
        """cargo search x --index sparse+https://{probe}/ 2>&1 | grep -q 'missing field' && echo inspected""",
        (
            "Cargo has a variable of its own for the CA; the check asks the probe for a registry, which it is not.",
            "reqwest with native roots reads both. With built-in roots only (webpki-roots) a program cannot be told.",
            "Measured with Codex 0.169: prints our message when something is blocked.",
        ),
        run=True,
    ),
    Platform(
        "git",
        "Git",
        """git config --file git.config http.sslCAInfo $PWD/sluice-ca.pem
git config --file git.config http.proxy http://{proxy}
export GIT_CONFIG_GLOBAL=$PWD/git.config""",
        "git ls-remote https://{probe}/ 2>&1 | grep -q 'not valid: is this a git repository' && echo inspected",
        (
            "Code hosts pass through unread; git needs the CA only for AI hosts, such as model repositories.",
            "With git config --global these settings are the user's own.",
        ),
        run=True,
    ),
    Platform(
        "docker",
        "Docker and Kubernetes",
        """docker run -v $PWD/sluice-ca.pem:/etc/sluice/ca.pem:ro \\
  -e HTTPS_PROXY=http://{proxy} -e SSL_CERT_FILE=/etc/sluice/ca.pem -e NODE_EXTRA_CA_CERTS=/etc/sluice/ca.pem \\
  -e REQUESTS_CA_BUNDLE=/etc/sluice/ca.pem IMAGE""",
        "",
        (
            "A container has stores of its own: mount the file and name it, or copy it in and run "
            "update-ca-certificates. Kubernetes: a ConfigMap with the file, mounted, and the same variables.",
            "The client can give the variables of the proxy to every container and build of its user. In "
            '~/.docker/config.json: {{"proxies": {{"default": {{"httpsProxy": "http://{proxy}"}}}}}}. Whoever may look '
            "at a container's configuration can read them there.",
            "Pulling images is the daemon's affair: it reads the host's store and its own proxy setting.",
        ),
        sources=("https://docs.docker.com/engine/cli/proxy/", "https://docs.docker.com/engine/daemon/proxy/"),
    ),
    Platform(
        "jetbrains",
        "JetBrains IDEs and their AI assistants",
        "Settings, Appearance & Behavior, System Settings, HTTP Proxy: automatic, http://{admin}/proxy.pac\n"
        "Settings, Tools, Server Certificates: add sluice-ca.pem",
        "",
        ("Plugins that start Node or Python need the variables of those as well.",),
        sources=(
            "https://www.jetbrains.com/help/idea/settings-http-proxy.html",
            "https://www.jetbrains.com/help/idea/settings-tools-server-certificates.html",
        ),
    ),
    Platform(
        "electron",
        "Electron and Bun agents: VS Code, Cursor, Claude Desktop, OpenCode",
        """export NODE_EXTRA_CA_CERTS=$PWD/sluice-ca.pem
export HTTPS_PROXY=http://{proxy}""",
        """bun -e 'console.log(await (await fetch("https://{probe}/")).text())'""",
        (
            "Electron windows read the system's store and proxy setting; their extension host reads the variables, "
            "unless the program was built with Electron's fuse for nodeOptions off.",
            "VS Code: http.proxy, http.systemCertificates. Copilot reads HTTPS_PROXY.",
            "Bun reads NODE_EXTRA_CA_CERTS and HTTPS_PROXY, Deno too.",
            "Programs that pin certificates fail; the gate counts them, and they cannot be inspected.",
        ),
        run=True,
        sources=(
            "https://www.electronjs.org/docs/latest/api/environment-variables",
            "https://code.visualstudio.com/docs/setup/network",
            "https://docs.github.com/copilot/concepts/network-settings",
        ),
    ),
)
