#!/bin/sh
# From a fresh clone to the first alert, timed: installs, starts the appliance, watches it with Prometheus and the shipped
# rules, sends one prompt that is blocked, and waits for the alert that a new provider was seen. Needs git, make, Python
# 3.13, curl and prometheus. Everything happens in a directory that is removed at the end; ports are free ones.
#
#   deploy/first-alert.sh [--stay] [REPOSITORY]     a directory or an address; default: this checkout
#
# --stay    everything goes on until Ctrl-C, to look at
# SLUICE_VENV=/path/.venv    takes an environment that is installed
set -eu

stay=""
[ "${1:-}" != --stay ] || { stay=yes; shift; }
repository=${1:-$(cd "$(dirname "$0")/.." && pwd)}
[ ! -d "$repository" ] || repository=file://$(cd "$repository" && pwd)
for needed in git make curl prometheus; do
	command -v "$needed" >/dev/null || { echo "first-alert.sh: $needed was not found" >&2; exit 2; }
done
work=$(mktemp -d)
began=$(date +%s)
pids=""

ended() {
	for pid in $pids; do kill "$pid" 2>/dev/null || true; done
	wait
	rm -rf "$work"
}
trap ended EXIT INT TERM

took() { printf '%4d s  %s\n' "$(($(date +%s) - began))" "$1"; }
free_port() { "$bin/python" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
wait_for() { # seconds, what, command...
	left=$(($1 * 5)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		if [ "$left" -le 0 ]; then
			echo "first-alert.sh: $what never came; the last lines of the logs:" >&2
			tail -n 5 "$work"/*.log >&2
			exit 1
		fi
		sleep 0.2
	done
}

git clone --quiet --depth 1 "$repository" "$work/sluice"
cd "$work/sluice"
took "cloned"
if [ -n "${SLUICE_VENV:-}" ]; then
	bin=$SLUICE_VENV/bin
	export PYTHONPATH="$work/sluice"
else
	make setup >"$work/setup.log" 2>&1 || { tail -20 "$work/setup.log" >&2; exit 1; }
	bin=$work/sluice/.venv/bin
fi
took "installed"

admin=$(free_port)
proxy=$(free_port)
web=$(free_port)
cat >"$work/sluice.toml" <<END
[proxy]
listen = "127.0.0.1:$proxy"
workers = 1
[admin]
listen = "127.0.0.1:$admin"
[console]
listen = ""
END
"$bin/sluice-proxy" --config "$work/sluice.toml" >"$work/sluice.log" 2>&1 &
pids="$pids $!"
wait_for 300 "a ready appliance" curl -fsS "http://127.0.0.1:$admin/readyz"
took "the appliance is ready"

mkdir "$work/prometheus"
cp -R deploy/prometheus/rules "$work/prometheus/rules"
sed -e "s/127.0.0.1:8081/127.0.0.1:$admin/" -e 's/_interval: 15s/_interval: 2s/' \
	deploy/prometheus/prometheus.yml >"$work/prometheus/prometheus.yml"
prometheus --config.file="$work/prometheus/prometheus.yml" --storage.tsdb.path="$work/prometheus/data" \
	--web.listen-address="127.0.0.1:$web" >"$work/prometheus.log" 2>&1 &
pids="$pids $!"
scraped() { curl -fsS "http://127.0.0.1:$web/api/v1/query?query=up" | grep -q '"1"'; }
wait_for 60 "a scrape" scraped
took "Prometheus watches it"

curl -s -x "http://127.0.0.1:$proxy" --cacert "$work/var/ca/ca.pem" https://api.openai.com/v1/chat/completions \
	-H 'content-type: application/json' \
	-d '{"model":"gpt-5","messages":[{"role":"user","content":"card 5425 2334 3010 9903"}]}' >"$work/answer.json"
grep -q 'payment card' "$work/answer.json" || { echo "first-alert.sh: the prompt was not blocked" >&2; exit 1; }
took "a prompt was blocked"

fired() { curl -fsS "http://127.0.0.1:$web/api/v1/alerts" | grep -q '"alertname":"SluiceUnsanctionedProviderFirstSeen"'; }
wait_for 90 "the alert" fired
took "the first alert: SluiceUnsanctionedProviderFirstSeen"
[ -n "$stay" ] || exit 0
cat <<END
  proxy       http://127.0.0.1:$proxy     CA: $work/var/ca/ca.pem
  admin       http://127.0.0.1:$admin/readyz, /metrics, /onboarding, /proxy.pac
  Prometheus  http://127.0.0.1:$web/alerts
  commands    SLUICE_CONFIG=$work/sluice.toml $bin/sluice tail
Ctrl-C ends it and removes it.
END
wait
