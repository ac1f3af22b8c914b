"""A local TLS upstream that speaks the OpenAI, Anthropic and Google wire formats, and remembers what reached it."""

from tests.upstream.journal import Journal, Received
from tests.upstream.pki import TestAuthority
from tests.upstream.reply import Reply, json_reply, sse
from tests.upstream.server import AI_HOSTS, ANSWER, HOSTS, Upstream

__all__ = [
    "AI_HOSTS",
    "ANSWER",
    "HOSTS",
    "Journal",
    "Received",
    "Reply",
    "TestAuthority",
    "Upstream",
    "json_reply",
    "sse",
]
