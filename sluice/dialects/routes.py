"""From a path to the format behind it. The path decides before the host does: one host serves several formats.

`.../chat/completions` is chat on any of hundreds of hosts, and `/v1/messages` is Anthropic's format on OpenRouter,
Copilot or Ollama too. The destination's own dialect decides the paths that several families share (`/v1/files`).
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from sluice.value import Value


class Route(Value, frozen=True):
    """Which dialect reads the body, as what operation. `model` and `session` stand in the path of some services."""

    dialect: str
    id: str
    operation: str
    model: str | None = None
    session: str | None = None
    stream: bool = False


_GOOGLE_VERBS = {
    "generatecontent": ("chat", False),
    "streamgeneratecontent": ("chat", True),
    "embedcontent": ("embedding", False),
    "batchembedcontents": ("embedding", False),
    "asyncbatchembedcontent": ("embedding", False),
    "counttokens": ("count_tokens", False),
    "computetokens": ("count_tokens", False),
    "batchgeneratecontent": ("batch", False),
    "predict": ("prediction", False),
    "predictlongrunning": ("prediction", False),
}
_RAW_VERBS = {"rawpredict": False, "streamrawpredict": True}
_VERB = re.compile(r"(.*?):([A-Za-z]{3,40})$", re.DOTALL)
_OPENAI_ENDPOINTS: tuple[tuple[str, str], ...] = (
    (r"images/(?:generations|edits|variations)", "image"),
    (r"videos(?:/.*)?", "video"),
    (r"audio/(?:transcriptions|translations)", "transcription"),
    (r"audio/.*", "speech"),
    (r"moderations", "moderation"),
    (r"(?:files|uploads)(?:/.*)?", "file_upload"),
    (r"threads/runs|threads/[^/]+/runs(?:/.*)?", "assistant_run"),
    (r"threads/[^/]+/messages(?:/[^/]+)?", "assistant_message"),
    (r"threads(?:/.*)?", "assistant_thread"),
    (r"assistants(?:/.*)?", "assistant"),
    (r"conversations(?:/.*)?", "conversation"),
    (r"agents/sessions/[^/]+/events", "agent_event"),
    (r"agents/sessions(?:/.*)?", "agent_session"),
    (r"batches(?:/.*)?", "batch"),
    (r"fine_tuning/.*", "fine_tuning"),
    (r"vector_stores/[^/]+/search", "search"),
    (r"vector_stores(?:/.*)?|containers/.*|skills(?:/.*)?", "file_upload"),
    (r"realtime(?:/.*)?|live(?:/.*)?", "realtime"),
    (r"evals(?:/.*)?", "eval"),
    (r"decisions|chatkit/.*|vaults/.*|content_provenance_checks", "other"),
)
_OPENAI = tuple((re.compile(rf"(?:.*/)?(?:{pattern})"), operation) for pattern, operation in _OPENAI_ENDPOINTS)
_THREAD = re.compile(r"(?:.*/)?threads/(?!runs)([^/]+)/.*")
_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)/")
_ENGINE = re.compile(r"/engines/([^/]+)/completions$")
_ANTHROPIC_SESSION = re.compile(r"/v1/sessions/([^/]+)/events$")
_ANTHROPIC: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"/v1/files(?:/.*)?"), "file_upload"),
    (re.compile(r"/v1/skills(?:/.*)?"), "file_upload"),
    (_ANTHROPIC_SESSION, "agent_event"),
    (re.compile(r"/v1/sessions(?:/.*)?"), "agent_session"),
    (re.compile(r"/v1/agents(?:/.*)?"), "agent"),
    (re.compile(r"/v1/complete"), "completion"),
)
OPAQUE = Route("opaque", "opaque", "other")


def find(path: str, dialect: str) -> Route:
    """The route of a path; `dialect` is the destination's own. Case does not matter, a trailing slash neither."""
    lower = unquote(path).lower().rstrip("/") if "%" in path else path.lower().rstrip("/")
    last = lower.rpartition("/")[2]
    if ":" in last:
        google = _google(unquote(path).rstrip("/"), last)
        if google is not None:
            return google
    if last == "completions":
        return _completions(path, lower)
    if lower.endswith(("/responses", "/responses/compact", "/responses/input_tokens")):
        counting = last == "input_tokens"
        return Route("openai", f"openai.responses{_tail(lower)}", "count_tokens" if counting else "responses")
    if last == "embeddings":
        return Route("openai", "openai.embeddings", "embedding", _named(path, _DEPLOYMENT))
    anthropic = _anthropic(path, lower, dialect)
    if anthropic is not None:
        return anthropic
    if dialect == "google":
        return _google_collection(lower)
    if dialect == "openai":
        return _openai(path, lower)
    return OPAQUE


def _tail(lower: str) -> str:
    last = lower.rpartition("/")[2]
    return "" if last == "responses" else f".{last}"


def _named(path: str, pattern: re.Pattern[str]) -> str | None:
    found = pattern.search(path)
    return unquote(found[1]) if found else None


def _completions(path: str, lower: str) -> Route:
    model = _named(path, _DEPLOYMENT)
    if lower.endswith(("chat/completions", "agents/completions")):
        return Route("openai", "openai.chat", "chat", model)
    return Route("openai", "openai.completions", "completion", model or _named(path, _ENGINE))


def _anthropic(path: str, lower: str, dialect: str) -> Route | None:
    ours = dialect == "anthropic"
    if lower.endswith("/messages/count_tokens"):
        return Route("anthropic", "anthropic.count_tokens", "count_tokens")
    if lower.endswith("/messages/batches"):
        return Route("anthropic", "anthropic.batches", "batch")
    shared = ours or dialect == "openai"
    if (lower.endswith("/v1/messages") or (shared and lower.endswith("/messages"))) and "/threads/" not in lower:
        return Route("anthropic", "anthropic.messages", "chat")
    if not ours:
        return None
    for pattern, operation in _ANTHROPIC:
        if pattern.fullmatch(lower):
            session = _named(path, _ANTHROPIC_SESSION)
            return Route("anthropic", f"anthropic.{operation}", operation, session=session)
    return Route("anthropic", "anthropic.other", "other")


def _google(path: str, last: str) -> Route | None:
    """Paths that end in `:verb`. The verbs are Google's own, so the host need not be."""
    found = _VERB.match(path)
    if found is None:
        return None
    verb = found[2].lower()
    model = found[1].rpartition("/")[2] if re.search(r"/(?:tuned)?models/[^/]+$", found[1], re.IGNORECASE) else None
    if verb in _RAW_VERBS:
        if "/publishers/anthropic/" in path.lower():
            counting = model == "count-tokens"
            operation = "count_tokens" if counting else "chat"
            name = "anthropic.count_tokens" if counting else "anthropic.messages"
            return Route("anthropic", name, operation, None if counting else model, stream=_RAW_VERBS[verb])
        return Route("opaque", "google.raw", "chat", model, stream=_RAW_VERBS[verb])
    if verb in _GOOGLE_VERBS:
        operation, stream = _GOOGLE_VERBS[verb]
        name = "google.cloudcode" if "/v1internal" in path.lower() else "google"
        return Route("google", f"{name}.{operation}", operation, model, stream=stream)
    if "/v1internal" in path.lower():
        return Route("google", "google.cloudcode.other", "other")
    return None


def _google_collection(lower: str) -> Route:
    if lower.endswith("/interactions"):
        return Route("google", "google.interactions", "responses")
    if "/cachedcontents" in lower:
        return Route("google", "google.cache", "cache")
    if lower.endswith("/files") or "/upload/" in lower:
        return Route("google", "google.files", "file_upload")
    return Route("google", "google.other", "other")


def _openai(path: str, lower: str) -> Route:
    for pattern, operation in _OPENAI:
        if pattern.fullmatch(lower):
            return Route("openai", f"openai.{operation}", operation, _named(path, _DEPLOYMENT), _named(path, _THREAD))
    return Route("openai", "openai.other", "other", _named(path, _DEPLOYMENT))
