#!/bin/sh
# Checks what is deployed with every checker that there is: those of the registries from deploy/lint-requirements.txt
# (`make lint-deploy` installs them into .venv-lint), those of the system where they are installed. Says which were left out.
# shellcheck disable=SC2016,SC2317  # functions are called by name, and find is for the inner shell
set -u

cd "$(dirname "$0")/.." || exit 2
bin=${LINT:-.venv-lint/bin}
failed=0
missing=""

check() { # name, program, command...
	name=$1 program=$2
	shift 2
	if ! command -v "$program" >/dev/null 2>&1; then
		missing="$missing $(basename "$program")"
		return
	fi
	if out=$("$@" 2>&1); then
		echo "ok    $name"
	else
		failed=1
		echo "FAIL  $name"
		echo "$out" | tail -20 | sed 's/^/      /'
	fi
}

kubernetes() { kubectl kustomize deploy/kubernetes >"$made" && "$bin/kubernetes-validate" --strict "$made"; }
exposure() {
	said=$(systemd-analyze security --offline=yes deploy/systemd/sluice.service | tail -1)
	echo "$said" | grep -q 'exposure level for sluice.service: [01]\.'
}
rules() {
	PYTHONPATH=. "${PYTHON:-python3}" -m sluice.cli clients nftables --gate 10.20.0.11 --addresses /dev/null >"$made" && unshare -n nft -c -f "$made"
}
sigma() { "$bin/python" deploy/lint_events.py sigma; }
ocsf() { PYTHONPATH=. "${PYTHON:-python3}" -m tests.forward.samples | "$bin/python" deploy/lint_events.py ocsf; }

made=$(mktemp)
trap 'rm -f "$made"' EXIT

check "yamllint: compose, Kubernetes, Sigma, Prometheus, Grafana" "$bin/yamllint" "$bin/yamllint" -c deploy/yamllint.yml \
	deploy/compose deploy/kubernetes deploy/sigma deploy/prometheus deploy/grafana/provisioning
check "compose schema: compose.yaml" "$bin/check-jsonschema" "$bin/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose/compose.yaml
check "hadolint: Containerfile" "$bin/hadolint" "$bin/hadolint" deploy/Containerfile
check "Kubernetes schemas, strict: kustomize output" kubectl kubernetes
check "pySigma: three rules" "$bin/python" sigma
check "OCSF 1.6 schemas: an event of each class" "$bin/python" ocsf
check "haproxy -c" haproxy haproxy -c -f deploy/haproxy/haproxy.cfg
check "nft -c: generated rules" nft rules
check "systemd-analyze security: under 2.0" systemd-analyze exposure
check "shellcheck: every script" shellcheck sh -c 'shellcheck $(find deploy -name "*.sh")'
check "promtool: rules" promtool sh -c 'promtool check rules deploy/prometheus/rules/*.yml'
check "amtool: Alertmanager" amtool amtool check-config deploy/prometheus/alertmanager.yml
[ -z "$missing" ] || echo "left out, because not installed:$missing"
exit "$failed"
