"""Clients that nobody here wrote, through the running appliance: the allowed arrives whole, the blocked is told why.

Nothing in them is adapted to the gate but the proxy address and the CA.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.clients import curl, node_sdks, planted, python_sdks
from tests.clients.calling import Ask, Client, Refused, Sent
from tests.clients.watch import Watch

CLIENTS = (*python_sdks.CLIENTS, *node_sdks.CLIENTS, *curl.CLIENTS)
ERRORS = {"python-google-genai": "ClientError", "curl": "HTTP"}
"""What a client calls a refused request; `BadRequestError` in the SDKs of OpenAI and Anthropic."""

clients = pytest.mark.parametrize("client", CLIENTS, ids=str)
streaming = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@clients
def test_allowed_call_is_forwarded_as_it_was_sent(client: Client, watch: Watch) -> None:
    """The answer is intact, the provider got exactly the client's bytes, once, and decision and outcome say so."""
    sent = Sent()
    answer = "".join(client.ask("What is the capital of France?", False, sent))
    assert answer == watch.upstream.answer
    assert [r.sha256 for r in watch.upstream.journal] == sent.digests
    assert len(sent.digests) == 1
    (decision,) = watch.decisions(client.host)
    assert decision["decision"] == "allow"
    outcome = watch.outcome(decision)
    assert outcome["forwarded"]
    assert outcome["upstream_status"] == 200


@clients
def test_allowed_stream_arrives_event_by_event(client: Client, watch: Watch) -> None:
    """The client holds the first pieces of an answer while the provider has not yet sent the rest."""
    sent = Sent()
    with watch.upstream.hold(after=6) as release:
        pieces = client.ask("What is the capital of France?", True, sent)
        first = next(piece for piece in pieces if piece)
        release()
        rest = [piece for piece in pieces if piece]
    assert (first, *rest) == watch.upstream.words
    assert [r.sha256 for r in watch.upstream.journal] == sent.digests
    (decision,) = watch.decisions(client.host)
    assert decision["decision"] == "allow"
    assert decision["stream"]


@clients
@streaming
def test_blocked_call_is_refused_once_and_readably(client: Client, stream: bool, watch: Watch) -> None:
    """A key pair in a pasted file ends in the client's own error with our message, after one attempt."""
    key, secret = planted.aws_access_key(), planted.aws_secret_key()
    prompt = f"Why does this fail?\n[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
    sent = Sent()
    with pytest.raises(Refused) as caught:
        list(client.ask(prompt, stream, sent))
    refused = caught.value
    assert refused.kind == ERRORS.get(client.name, ERRORS.get(client.name.split("-")[0], "BadRequestError"))
    assert refused.status == 400
    assert len(sent.digests) == 1
    watch.refusal(refused.message, client.host, key, secret)


@pytest.mark.parametrize(
    ("client", "plant"),
    [
        (python_sdks.openai_chat, planted.card_number),
        (python_sdks.openai_responses, planted.github_token),
        (python_sdks.anthropic_messages, planted.private_key),
        (python_sdks.google_genai, planted.ssn),
    ],
    ids=["card", "token", "private-key", "ssn"],
)
def test_shipped_policy_blocks_each_kind(client: Ask, plant: Callable[[], str], watch: Watch) -> None:
    """Payment cards, tokens, private keys and government identifiers are refused by the policy as shipped."""
    value = plant()
    with pytest.raises(Refused) as caught:
        list(client(f"Please check this record: customer 4711, card, key or ssn {value} thanks", False, Sent()))
    (host,) = {c.host for c in python_sdks.CLIENTS if c.ask is client}
    watch.refusal(caught.value.message, host, *[line for line in value.splitlines() if "-----" not in line])
