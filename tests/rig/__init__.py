"""A real proxy in a test: the worker's master and listener on a thread, raw-socket clients, and a gate that obeys.

    with Upstream() as upstream, Proxy(upstream.address, upstream.ca_pem, tmp_path) as proxy:
        with proxy.tunnel("api.openai.com") as client:
            assert client.request("POST", "/v1/chat/completions", b"{}").status == 200

`Proxy` takes any gate: `ObedientGate` (default) does what the test says and keeps what it was asked; the house's own
`Gate` works as well.
"""

from tests.rig.gate import Asked, ObedientGate
from tests.rig.http2 import Http2Client
from tests.rig.proxy import Proxy
from tests.rig.wire import Answer, Client, connect, read_answer

__all__ = ["Answer", "Asked", "Client", "Http2Client", "ObedientGate", "Proxy", "connect", "read_answer"]
