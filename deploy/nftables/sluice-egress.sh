#!/bin/sh
# On the site's router: makes the rules anew and loads them in one step. Usage: sluice-egress.sh GATE_ADDRESS...
# Run by sluice-egress.timer; a run that fails leaves the rules that are in force.
set -eu

[ $# -gt 0 ] || { echo "usage: sluice-egress.sh GATE_ADDRESS..." >&2; exit 2; }
made=$(mktemp)
trap 'rm -f "$made"' EXIT
for gate; do
	set -- "$@" --gate "$gate"
	shift
done
"${SLUICE:-sluice}" clients nftables "$@" >"$made"
nft -c -f "$made"
nft -f "$made"
