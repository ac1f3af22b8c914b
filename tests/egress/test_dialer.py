"""The loop itself: what it lets through and what it refuses; a mapped address is a matter of the name asked for."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from addons import egress
from addons.egress import Forbidden, GuardedLoop, StaticAddress, Unreachable
from sluice.config import Admin, Proxy, Settings, Tunnels, Upstream
from sluice.errors import Misconfigured


def run[T](settings: Settings, main: Callable[[], Awaitable[T]], loop: type[GuardedLoop] = GuardedLoop) -> T:
    async def inside() -> T:
        return await main()

    with asyncio.Runner(loop_factory=lambda: loop(settings)) as runner:
        return runner.run(inside())


async def dial(host: str, port: int) -> str:
    reader, writer = await asyncio.open_connection(host, port)
    peer = writer.get_extra_info("peername")[0]
    writer.close()
    del reader
    return str(peer)


@pytest.fixture
def listener() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        yield sock


def accepted(listener: socket.socket) -> int:
    count = 0
    while True:
        try:
            peer, _ = listener.accept()
        except BlockingIOError:
            return count
        peer.close()
        count += 1


@pytest.mark.parametrize("spelling", ["api.openai.com", "API.OpenAI.com", "api.openai.com."])
def test_a_mapped_name_is_dialled_at_its_address(spelling: str, listener: socket.socket) -> None:
    """An entry of `upstream.hosts` holds for its name, however it is spelled, and for the port that it maps to."""
    port = listener.getsockname()[1]
    settings = Settings(upstream=Upstream(hosts={"api.openai.com": f"127.0.0.1:{port}"}))
    assert run(settings, lambda: dial(spelling, 443)) == "127.0.0.1"
    assert accepted(listener) == 1


def test_the_mapped_address_itself_stays_forbidden(listener: socket.socket) -> None:
    """The map is no permission for the address: by number, or by a name that resolves to it, it is refused."""
    port = listener.getsockname()[1]
    settings = Settings(
        upstream=Upstream(hosts={"api.openai.com": f"127.0.0.1:{port}"}), tunnels=Tunnels(ports=(443, port))
    )
    for host in ("127.0.0.1", "localhost", "127.1", "::ffff:127.0.0.1", "[::ffff:127.0.0.1]"):
        with pytest.raises((Forbidden, Unreachable)) as refused:
            run(settings, lambda host=host: dial(host, port))
        assert not isinstance(refused.value, Forbidden) or refused.value.why == "loopback"
    assert accepted(listener) == 0


def test_a_mapped_ipv6_address_is_dialled() -> None:
    """An entry may name an IPv6 address, and it stays forbidden when it is asked for itself."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as six:
        port = six.getsockname()[1]
        settings = Settings(upstream=Upstream(hosts={"six.test": f"[::1]:{port}"}), tunnels=Tunnels(ports=(443, port)))
        assert run(settings, lambda: dial("six.test", 443)) == "::1"
        with pytest.raises(Forbidden, match="loopback"):
            run(settings, lambda: dial("::1", port))


def test_slow_look_ups_do_not_hold_up_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names whose servers are silent occupy the dialer's own threads, never the loop's default ones."""
    release = threading.Event()
    names: list[str] = []

    def silent(*_: object) -> list[object]:
        names.append(threading.current_thread().name)
        release.wait(10)
        return []

    async def main() -> str:
        tasks = [asyncio.create_task(dial(f"silent{i}.test", 443)) for i in range(16)]
        await asyncio.sleep(0)
        busy = await asyncio.to_thread(lambda: threading.current_thread().name)
        release.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        return busy

    monkeypatch.setattr(egress.socket, "getaddrinfo", silent)
    assert not run(Settings(), main).startswith("dns")
    assert len(names) == 16
    assert all(name.startswith("dns") for name in names)


@pytest.mark.parametrize("host", ["xapi.openai.com", "api.openai.com.evil.test", "openai.com", "api-openai.com"])
def test_only_the_name_itself_is_mapped(host: str, listener: socket.socket) -> None:
    """No suffix, prefix or look-alike of a mapped name gets its address."""
    port = listener.getsockname()[1]
    settings = Settings(upstream=Upstream(hosts={"api.openai.com": f"127.0.0.1:{port}"}, connect_seconds=2))
    with pytest.raises(OSError):
        run(settings, lambda: dial(host, 443))
    assert accepted(listener) == 0


def test_a_mapped_name_keeps_to_its_ports(listener: socket.socket) -> None:
    """A mapped name may be asked for on an allowed port or its own; any other port is refused."""
    port = listener.getsockname()[1]
    settings = Settings(upstream=Upstream(hosts={"api.openai.com": f"127.0.0.1:{port}"}))
    assert run(settings, lambda: dial("api.openai.com", port)) == "127.0.0.1"
    with pytest.raises(Forbidden, match="port"):
        run(settings, lambda: dial("api.openai.com", 22))
    assert accepted(listener) == 1


@pytest.mark.parametrize("port", [22, 25, 8080, 8443])
def test_other_ports_are_refused(port: int) -> None:
    """A public address on a port that the site does not allow is never dialled."""
    with pytest.raises(Forbidden, match="port"):
        run(Settings(), lambda: dial("8.8.8.8", port))


def test_own_public_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address of this machine is refused even where it is a public one."""
    monkeypatch.setattr(egress, "is_own", lambda _: True)
    with pytest.raises(Forbidden, match="own_address"):
        run(Settings(), lambda: dial("8.8.8.8", 443))


def test_a_name_that_reaches_the_socket_unresolved_is_refused() -> None:
    """`sock_connect` with a name would resolve it after the check; it is refused instead."""

    async def main() -> None:
        with socket.socket() as sock:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, ("localhost", 443))

    with pytest.raises(Forbidden, match="unresolved"):
        run(Settings(), main)


def test_datagrams_are_judged_too() -> None:
    """A connected UDP socket goes the same way: refused for what is not public."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("127.0.0.1", 443))

    with pytest.raises(Forbidden, match="loopback"):
        run(Settings(), main)


def test_other_uses_of_the_loop_are_untouched(tmp_path: Path) -> None:
    """Listening, accepting, AF_UNIX connections and pipes work as in any loop: only dialling is judged."""

    async def main() -> tuple[str, bytes, bytes]:
        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        client = await asyncio.to_thread(socket.create_connection, (host, port))
        over_tcp = await asyncio.to_thread(client.recv, 16)
        client.close()
        path = str(tmp_path / "s")
        unix = await asyncio.start_unix_server(greet, path)
        reader, writer = await asyncio.open_unix_connection(path)
        over_unix = await reader.read(16)
        writer.close()
        child = await asyncio.create_subprocess_exec("true")
        await child.wait()
        server.close()
        unix.close()
        return host, over_tcp, over_unix

    assert run(Settings(), main) == ("127.0.0.1", b"hello", b"hello")


class _Rebinding(GuardedLoop):
    """A name server that gives a public address first and loopback from then on; public addresses do not answer."""

    answers: list[list[str]]
    dialled: list[str]

    async def resolve(self, host: Any, port: Any, **_: Any) -> list[egress.AddressInfo]:
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, host, (a, port)) for a in addresses]

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        if ipaddress.ip_address(address[0]).is_global:
            self.check(address)
            self.dialled.append(address[0])
            raise ConnectionRefusedError(111, "refused")
        await super().sock_connect(sock, address)


@pytest.mark.parametrize(
    "answers",
    [
        [["8.8.8.8"], ["127.0.0.1"]],
        [["8.8.8.8", "127.0.0.1"]],
        [["127.0.0.1", "8.8.8.8"]],
        [["8.8.8.8"], ["8.8.4.4", "127.0.0.1", "127.0.0.2"]],
    ],
)
def test_rebinding_never_reaches_loopback(answers: list[list[str]], listener: socket.socket) -> None:
    """A name that changes its answer, or mixes answers, is judged address by address at the connect."""
    port = listener.getsockname()[1]
    _Rebinding.answers, _Rebinding.dialled = [list(a) for a in answers], []
    settings = Settings(tunnels=Tunnels(ports=(443, port)))

    async def main() -> list[str]:
        whys = []
        for _ in range(3):
            try:
                await dial("rebind.test", port)
            except OSError as e:
                whys.append(str(e))
        return whys

    whys = run(settings, main, _Rebinding)
    assert len(whys) == 3
    assert any("destination forbidden: loopback" in why for why in whys)
    assert "8.8.8.8" in _Rebinding.dialled
    assert accepted(listener) == 0


class _Forger(GuardedLoop):
    """A resolver whose answers look like the map's, but are not."""

    async def resolve(self, host: Any, port: Any, **_: Any) -> list[egress.AddressInfo]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))]


def test_permission_is_a_type_not_a_value(listener: socket.socket) -> None:
    """An equal pair of address and port without the map's own type is refused."""
    port = listener.getsockname()[1]
    settings = Settings(
        upstream=Upstream(hosts={"mapped.test": f"127.0.0.1:{port}"}), tunnels=Tunnels(ports=(443, port))
    )
    assert StaticAddress(("127.0.0.1", port)) == ("127.0.0.1", port)
    with pytest.raises(Forbidden, match="loopback"):
        run(settings, lambda: dial("other.test", port), _Forger)
    assert accepted(listener) == 0


@pytest.mark.parametrize("name", ["127.0.0.1", "10.0.0.5", "127.1", "0x7f000001", "[::1]", "fd00::1"])
def test_an_address_as_a_key_stops_the_start(name: str) -> None:
    """The map gives names an address; an address as its key is an error that says so, not an entry that never works."""
    with pytest.raises(Misconfigured, match="must be a host name"):
        GuardedLoop(Settings(upstream=Upstream(hosts={name: "10.0.0.5:443"})))


@pytest.mark.parametrize(
    ("listen", "target"),
    [
        ("127.0.0.1:8081", "127.0.0.1:8081"),
        ("0.0.0.0:8081", "127.0.0.1:8081"),
        ("[::]:8081", "[::1]:8081"),
    ],
)
def test_the_map_cannot_lead_to_our_own_listeners(listen: str, target: str) -> None:
    """The admin listener and the proxy itself are unreachable through the proxy, by mistake of the operator too."""
    for settings in (
        Settings(admin=Admin(listen=listen), upstream=Upstream(hosts={"x.test": target})),
        Settings(proxy=Proxy(listen=listen), upstream=Upstream(hosts={"x.test": target})),
    ):
        with pytest.raises(Misconfigured, match="own"):
            GuardedLoop(settings)
