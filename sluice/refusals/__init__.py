"""What a client gets instead of the provider's answer: the provider's own error shape, in a form nobody sends again.

The status is 400 for a block, for a request that could not be decided, and for overload alike. Measured with shipped
clients (November 2026): 400 is the only status that no SDK and no coding agent repeats and that shows our message as
it stands. 403 goes out six times from Codex and reads as a failed login in Claude Code; 429 and 5xx are repeated, up
to thirty times, with the prompt in them, just when there is no capacity to look at it. The exceptions: 422 for
Copilot in an editor (403 drops its token, and 422 shows the text), 200 for gRPC (its status is a header), 426 for a
WebSocket upgrade (Codex falls back to POST at once), 407 with a challenge for a client that has to log in at this
proxy (503 when no password can be checked now), and 502 when it was the upstream that failed.

`words` says it to a person, `shapes` says it to a client, `page` says it to a browser. Nothing that the client chose
is ever repeated: an answer is made of fixed words, data classes, the policy's message and the decision id. The one
exception is the id of a JSON-RPC call, without which its client cannot read the answer, and only when it is a small
number or a UUID.
"""

from sluice.refusals.shapes import CHALLENGE, answer

__all__ = ["CHALLENGE", "answer"]
