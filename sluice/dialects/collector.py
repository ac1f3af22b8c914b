"""What a dialect finds in one request, gathered: parts, files, tools, credentials, and whatever could not be read.

The dialects walk a body from its root, one visit per value. A known key decides the role of what lies below it; for
any other key the walk goes on with role `unknown`, so that a field invented tomorrow is scanned today. `walk` and
`leaves` are the two ways down, and neither ends without having taken every string.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sluice.config import Limits
from sluice.dialects import files, media, tool_kinds
from sluice.dialects.words import KEYS, LONGEST, WORDS
from sluice.errors import Opacity
from sluice.json_body import Document, Json, Literal, parse, printable, step
from sluice.model import Attachment, McpServer, Part, PartKind, Prompt, Provenance, RawCredential, Role, Unread

type Handler = Callable[[Collector, str, Json, bool], None]
"""Takes the value of a key: (collector, pointer of the value, the value, whether it belongs to an earlier turn)."""

_KIND_OF = {
    Role.TOOL_CALL: PartKind.TOOL_ARGS,
    Role.TOOL_RESULT: PartKind.TOOL_RESULT,
    Role.DOCUMENT: PartKind.FILE,
    Role.URL_QUERY: PartKind.URL,
}
_PROVENANCE_OF = {
    Role.SYSTEM: Provenance.SYSTEM,
    Role.DEVELOPER: Provenance.SYSTEM,
    Role.TOOL_DEFINITION: Provenance.SYSTEM,
    Role.ASSISTANT: Provenance.ASSISTANT,
    Role.TOOL_CALL: Provenance.TOOL_ARGS,
    Role.TOOL_RESULT: Provenance.TOOL_RESULT,
    Role.DOCUMENT: Provenance.FILE,
    Role.FILE_NAME: Provenance.FILE,
    Role.URL_QUERY: Provenance.REQUEST,
    Role.HEADER: Provenance.REQUEST,
}
"""Roles that are not here come from the person or cannot be told from one: `user`."""
_HERE = {role: (_KIND_OF.get(role, PartKind.TEXT), _PROVENANCE_OF.get(role, Provenance.USER)) for role in Role}
_PAST = {
    role: (kind, provenance if provenance in (Provenance.SYSTEM, Provenance.REQUEST) else Provenance.HISTORY)
    for role, (kind, provenance) in _HERE.items()
}
_WORDY = frozenset({Role.UNKNOWN, Role.TOOL_DEFINITION})
_FILED = frozenset({Role.UNKNOWN, Role.DOCUMENT})
"""Roles in which a `data:` URL is a file. In what someone says it is text, and the model reads it as text."""

_PREVIOUS = 2
"""Rank, among names of a conversation, of the answer that a request continues."""
_NESTED = 3
"""Levels of JSON inside strings of JSON that are opened; deeper text is scanned as it stands."""
_LONG_BASE64 = 20
"""Strings from this length on are looked at as base64 where their meaning is unknown (`bytes`, `data`, `blob`)."""
_LONG_NUMBER = 1_000_000
"""Numbers from seven digits on are scanned as decimal text: card, account and phone numbers travel as JSON numbers."""
_TOKEN = re.compile(r"(?=[^A-Za-z]*[A-Za-z])[\x21-\x7e]{1,8192}")
"""The shape of a credential: one run of visible ASCII with a letter in it. Anything else in a credential's place is
scanned as text, so that the place is no way around the scan."""


class Collector:
    """**P** The state of one parse. Single use, single thread."""

    def __init__(self, limits: Limits) -> None:
        self.parts: list[Part] = []
        self.files: list[Attachment] = []
        self.unread: list[Unread] = []
        self.credentials: list[RawCredential] = []
        self.servers: list[McpServer] = []
        self.tools: dict[str, None] = {}
        self.keys: dict[str, Json] = {}
        self.operation = "other"
        self.model: str | None = None
        self.model_fixed = False
        self.stream = False
        self.tool_choice: str | None = None
        self.agent: str | None = None
        self.sdk: str | None = None
        self.trace: str | None = None
        self.previous: str | None = None
        self._hosted: dict[str, None] = {}
        self._session: tuple[int, str] | None = None
        self._places: set[str] = set()
        self._depth = limits.json_depth
        self._nodes = limits.json_nodes
        self._nested = 0

    # ------------------------------------------------------------------------------------------------------- texts

    def text(self, at: str, value: str, role: Role, past: bool = False) -> None:
        """One text as a part. JSON with escapes inside is opened as well: a detector cannot see through `\\n` or
        `\\u0041` in the raw form."""
        if not value:
            return
        if not value.isascii():
            value = printable(value)
        kind, provenance = (_PAST if past else _HERE)[role]
        self.parts.append(Part(at, role, kind, provenance, value))
        if value[0] in "{[" and "\\" in value:
            inner = self._inner(value)
            if isinstance(inner, Document):
                self._below(f"{at}#json", inner, role, past)

    def embedded(self, at: str, value: Json, role: Role, past: bool = False) -> None:
        """A string that should hold JSON: its leaves, or the string itself when it holds none."""
        if not isinstance(value, str):
            self.leaves(at, value, role, past)
            return
        inner = self._inner(value)
        if isinstance(inner, Document) and not inner.rest:
            self._below(f"{at}#json", inner, role, past)
            return
        if inner in (Opacity.DEPTH_LIMIT, Opacity.NODE_LIMIT):
            self.unseen(at, "json", len(value), inner)
        self.leaves(at, value, role, past)

    def _inner(self, text: str) -> Document | Opacity:
        if self._nested >= _NESTED or text.lstrip()[:1] not in ("{", "["):
            return Opacity.BAD_JSON
        return parse(text, **self.bounds)

    def _below(self, at: str, inner: Document, role: Role, past: bool) -> None:
        self.take(inner)
        self._nested += 1
        self.leaves(at, inner.value, role, past)
        self._nested -= 1

    @property
    def bounds(self) -> dict[str, int]:
        """What is left of the limits, as arguments of `json_body.parse`."""
        return {"depth": self._depth, "nodes": self._nodes}

    def take(self, document: Document) -> None:
        """Count a document's values against the limit of the whole body, and note its keys."""
        self._nodes -= document.nodes
        self.keys.update(document.keys)

    def leaves(self, at: str, value: Json, role: Role = Role.UNKNOWN, past: bool = False) -> None:
        """Every string and long number of `value`, each as a part with its own pointer."""
        if isinstance(value, str):
            if len(value) <= LONGEST and value in WORDS and role in _WORDY:
                return
            if role in _FILED and value[:5].lower() == "data:" and files.data_url(self, at, value, past=past):
                return
            self.text(at, value, role, past)
            if role is Role.UNKNOWN and len(value) >= _LONG_BASE64:
                hidden = media.base64_text(value)
                if hidden is not None:
                    self.text(f"{at}#b64text", hidden, role, past)
        elif isinstance(value, dict):
            for key, item in value.items():
                self.leaves(f"{at}/{step(key)}", item, role, past)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self.leaves(f"{at}/{index}", item, role, past)
        elif isinstance(value, Literal):
            for index, text in enumerate(value.spellings()):
                self.text(f"{at}#number/{index}" if index else at, text, role, past)
        elif isinstance(value, int) and not -_LONG_NUMBER < value < _LONG_NUMBER:
            self.text(at, str(value), role, past)

    def walk(self, at: str, value: Json, handlers: Mapping[str, Handler], past: bool = False) -> None:
        """Give each value of an object to the handler of its key; what has none is scanned as unknown."""
        if not isinstance(value, dict):
            self.leaves(at, value, Role.UNKNOWN, past)
            return
        for key, item in value.items():
            handler = handlers.get(key)
            if handler is not None:
                handler(self, f"{at}/{key}", item, past)
            else:
                self.leaves(f"{at}/{step(key)}", item, Role.UNKNOWN, past)

    # ---------------------------------------------------------------------------------------------- everything else

    def unseen(self, at: str, kind: str, size: int, reason: Opacity) -> None:
        """Something that leaves with the request and that no detector can see."""
        self.unread.append(Unread(at, kind, size, reason))

    def url(self, at: str, value: Json, past: bool = False) -> None:
        """An address as a part of kind `url`."""
        if not isinstance(value, str):
            self.leaves(at, value, Role.UNKNOWN, past)
        elif value:
            provenance = Provenance.HISTORY if past else Provenance.USER
            self.parts.append(Part(at, Role.UNKNOWN, PartKind.URL, provenance, printable(value)))

    def encrypted(self, at: str, value: Json, past: bool = False) -> None:
        """Ciphertext of the service. Scanned all the same: what stands in its place need not be any."""
        if isinstance(value, str) and value:
            self.unseen(at, "encrypted", len(value), Opacity.ENCRYPTED)
        self.leaves(at, value, Role.UNKNOWN, past)

    def server_state(self, at: str, value: Json, rank: int, past: bool = False) -> None:
        """The name of earlier turns that the service keeps: they are not in this body."""
        if isinstance(value, str) and value:
            self.unseen(at, "server_state", 0, Opacity.SERVER_STATE)
            self.session(rank, value)
            if rank == _PREVIOUS:
                self.previous = value
        self.leaves(at, value, Role.UNKNOWN, past)

    def session(self, rank: int, value: Json) -> None:
        """A name of the conversation; the lowest rank wins (0 header or path, 1 conversation, 2 previous turn, 3 cache
        key)."""
        if isinstance(value, str) and value and (self._session is None or rank < self._session[0]):
            self._session = (rank, value)

    def name_model(self, at: str, value: Json, past: bool = False) -> None:
        """The model that the body names. Two that differ (a repeated key) leave it open which one is meant."""
        self.leaves(at, value, Role.UNKNOWN, past)
        if not isinstance(value, str) or self.model_fixed:
            return
        value = value.removeprefix("models/")
        if self.model is not None and self.model != value and at == "/model":
            self.unseen(at, "ambiguous", len(value), Opacity.BAD_JSON)
        self.model = value

    def credential(self, location: str, value: str) -> bool:
        """A secret in its proper place. False (and nothing noted) when the value has not the shape of one, or when the
        place was taken: services read one of two equal names, and the other holds whatever a client likes."""
        place = location.lower()
        if place in self._places or not _TOKEN.fullmatch(value):
            return False
        self._places.add(place)
        self.credentials.append(RawCredential(location, value))
        return True

    def body_credential(self, at: str, value: Json, past: bool = False) -> None:
        """A credential for a third party inside the body: an MCP server's token, a search key."""
        if isinstance(value, str):
            scheme, _, token = value.partition(" ")
            if self.credential(f"body:{at}", token if token and scheme.isalpha() else value):
                return
        self.leaves(at, value, Role.UNKNOWN, past)

    def server(self, label: str | None, url: str | None, approval: str | None = None, token: bool = False) -> None:
        """An MCP server, once."""
        entry = McpServer(label or "", url, approval, token)
        if entry not in self.servers:
            self.servers.append(entry)

    def tool(self, name: Json) -> None:
        """A declared tool, by name."""
        if isinstance(name, str) and name:
            self.tools[printable(name)] = None

    def hosted(self, kind: Json) -> None:
        """A tool that the provider runs or defines, by its kind."""
        if isinstance(kind, str) and kind:
            self._hosted[tool_kinds.hosted(kind)] = None

    def prompt(self, dialect: str, route: str) -> Prompt:
        """The finished prompt. Keys that are not the protocol's own become one part."""
        unusual = [printable(key) for key in self.keys if key not in KEYS]
        if unusual:
            self.text("#keys", "\n".join(unusual), Role.UNKNOWN)
        return Prompt(
            dialect=dialect,
            operation=self.operation,
            model=None if self.model is None else printable(self.model),
            stream=self.stream,
            parts=tuple(self.parts),
            tools=tuple(self.tools),
            mcp_servers=tuple(self.servers),
            files=tuple(self.files),
            unread=tuple(self.unread),
            credentials=tuple(self.credentials),
            agent=self.agent,
            session=None if self._session is None else printable(self._session[1]),
            tool_choice=self.tool_choice,
            route=route,
            hosted=tuple(self._hosted),
            previous=self.previous,
            sdk=self.sdk,
            trace=self.trace,
        )


def role_handler(role: Role) -> Handler:
    """Every leaf below has this role."""

    def handle(c: Collector, at: str, value: Json, past: bool) -> None:
        c.leaves(at, value, role, past)

    return handle


def word(value: Json, key: str) -> str:
    """A string field of an object; empty when it is absent or no string."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def last_answered(roles: list[Role]) -> int:
    """Index of the last assistant turn that something came after, or -1. All up to there is history: agents send the
    whole conversation again. A trailing assistant turn is a prefill, and does not make what precedes it old."""
    said = {Role.SYSTEM, Role.DEVELOPER, Role.ASSISTANT}
    end = next((i for i in range(len(roles) - 1, -1, -1) if roles[i] not in said), -1)
    return next((i for i in range(end - 1, -1, -1) if roles[i] is Role.ASSISTANT), -1)
