#!/bin/sh
# On the site's router: makes the rules anew and loads them in one step. Usage: sluice-egress.sh GATE_ADDRESS...
# Run by sluice-egress.timer; a run that fails leaves the rules that are in force, and where none are (after a boot without
# a resolver) it loads those of the last time.
set -eu

[ $# -gt 0 ] || { echo "usage: sluice-egress.sh GATE_ADDRESS..." >&2; exit 2; }
kept=${STATE_DIRECTORY:-/var/lib/sluice-egress}
mkdir -p "$kept"
made=$(mktemp)
trap 'rm -f "$made"' EXIT
for gate; do
	set -- "$@" --gate "$gate"
	shift
done
if ! { "${SLUICE:-sluice}" clients nftables "$@" >"$made" && nft -c -f "$made"; }; then
	if [ -r "$kept/last.nft" ] && ! nft list table inet sluice_egress >/dev/null 2>&1; then
		echo "sluice-egress.sh: the rules of the last time are loaded" >&2
		nft -f "$kept/last.nft"
	fi
	exit 1
fi
nft -f "$made"
cp "$made" "$kept/last.nft"
