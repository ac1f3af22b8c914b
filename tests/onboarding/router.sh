#!/bin/bash
# A site in network namespaces: a client (10.9.1.20) and the gate (10.9.1.10) behind a router with the rules of $1, and
# an AI service (162.159.140.245) and another site (203.0.113.9) in front of it. Prints what each can reach. Needs root;
# run in namespaces of its own: unshare -n -m router.sh RULES PYTHON
set -euo pipefail
rules=$1 python=$2
mount -t tmpfs tmpfs /run
mkdir -p /run/netns

link() { # namespace, its address, the router's address
	ip netns add "$1"
	ip link add "to-$1" type veth peer name wan0 netns "$1"
	ip addr add "$3/32" dev "to-$1"
	ip link set "to-$1" up
	ip netns exec "$1" ip link set lo up
	ip netns exec "$1" ip link set wan0 up
	for address in $2; do ip netns exec "$1" ip addr add "$address/32" dev wan0; done
	ip netns exec "$1" ip route add "$3/32" dev wan0
	ip netns exec "$1" ip route add default via "$3"
	for address in $2; do ip route add "$address/32" dev "to-$1"; done
}

ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
link client 10.9.1.20 10.9.1.1
link gate 10.9.1.10 10.9.1.2
link world "162.159.140.245 203.0.113.9" 198.51.100.1
nft -f "$rules"

ip netns exec world "$python" - <<'END' &
import selectors, socket
waiting = selectors.DefaultSelector()
for address in ("162.159.140.245", "203.0.113.9"):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        listening = socket.socket(socket.AF_INET, kind)
        listening.bind((address, 443))
        if kind == socket.SOCK_STREAM:
            listening.listen()
        waiting.register(listening, selectors.EVENT_READ)
while True:
    for key, _ in waiting.select():
        if key.fileobj.type == socket.SOCK_STREAM:
            key.fileobj.accept()[0].close()
        else:
            data, whom = key.fileobj.recvfrom(100)
            key.fileobj.sendto(data, whom)
END
world=$!
trap 'kill $world' EXIT

for who in client gate; do
	ip netns exec "$who" "$python" - "$who" <<'END'
import socket, sys, time
def tcp(address):
    try:
        socket.create_connection((address, 443), 3).close()
    except OSError as e:
        return type(e).__name__
    return "ok"
def udp(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as to:
        to.settimeout(3)
        try:
            to.connect((address, 443))
            to.send(b"hello")
            return "ok" if to.recv(100) else "?"
        except OSError as e:
            return type(e).__name__
deadline = time.monotonic() + 10
while sys.argv[1] == "client" and tcp("203.0.113.9") != "ok" and time.monotonic() < deadline:
    time.sleep(0.05)  # the world is still starting
for name, address in (("ai", "162.159.140.245"), ("other", "203.0.113.9")):
    print(sys.argv[1], name, "tcp", tcp(address), "udp", udp(address))
END
done
