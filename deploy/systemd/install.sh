#!/bin/sh
# Installs this checkout on a machine with systemd: program in /opt/sluice, settings in /etc/sluice, state in
# /var/lib/sluice, the accounts of sluice.sysusers. Run as root from the checkout. Settings that are there already stay
# as they are. With no systemd as first process (an image that is being made) the unit is only laid down.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
to=${SLUICE_PREFIX:-/opt/sluice}
python=${PYTHON:-python3.13}

[ "$(id -u)" = 0 ] || { echo "install.sh: run it as root" >&2; exit 2; }
command -v "$python" >/dev/null || { echo "install.sh: $python was not found; PYTHON=/path/to/python3.13" >&2; exit 2; }
command -v make >/dev/null || { echo "install.sh: make was not found" >&2; exit 2; }

case $(readlink -f "$(command -v "$python")") in
/root/* | /home/*)
	echo "install.sh: the unit hides home directories (ProtectHome), so $python cannot lie there; PYTHON=/usr/local/bin/python3.13" >&2
	[ "${SLUICE_ANY_PYTHON:-}" ] || exit 2
	;;
esac

install -D -m 0644 "$here/deploy/systemd/sluice.sysusers" /usr/lib/sysusers.d/sluice.conf
systemd-sysusers sluice.conf
install -D -m 0644 "$here/deploy/systemd/sluice.tmpfiles" /usr/lib/tmpfiles.d/sluice.conf
systemd-tmpfiles --create sluice.conf

mkdir -p "$to"
for each in sluice addons signatures certs deploy pyproject.toml README.md Makefile; do
	rm -rf "${to:?}/$each"
	cp -R "$here/$each" "$to/$each"
done
make -C "$to" PYTHON="$python" setup
chown -R root:root "$to"
chmod -R u=rwX,go=rX "$to"

install -d -m 0750 -o root -g sluice /etc/sluice
for each in policy targets suppressions; do
	[ -e "/etc/sluice/$each.toml" ] || install -m 0640 -o root -g sluice "$here/deploy/$each.toml" "/etc/sluice/$each.toml"
done
[ -e /etc/sluice/sluice.toml ] || install -m 0640 -o root -g sluice "$here/deploy/systemd/sluice.toml" /etc/sluice/sluice.toml

"$to/.venv/bin/sluice" manual --out /usr/local/share/man
"$to/.venv/bin/sluice" completion bash >/usr/share/bash-completion/completions/sluice 2>/dev/null || true
# `sudo` hands on no variable, so the command itself knows whose settings it is to read.
rm -f /usr/local/bin/sluice /etc/profile.d/sluice.sh
cat >/usr/local/bin/sluice <<END
#!/bin/sh
export SLUICE_CONFIG="\${SLUICE_CONFIG:-/etc/sluice/sluice.toml}"
exec $to/.venv/bin/sluice "\$@"
END
chmod 0755 /usr/local/bin/sluice

install -m 0644 "$here/deploy/systemd/sluice.service" /etc/systemd/system/sluice.service
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	if systemctl is-active --quiet sluice; then
		echo "installed. The appliance runs with the program of before: systemctl restart sluice"
		exit 0
	fi
fi
echo "installed. Look at /etc/sluice/sluice.toml, then: systemctl enable --now sluice; sudo sluice doctor"
