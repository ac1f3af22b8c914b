"""Every field that the traffic, the settings or the registers give is in the record, and nothing that must not be."""

from __future__ import annotations

import itertools
import json
from copy import replace
from typing import Any

import pytest

from sluice import clock, gate, recording, rulebook
from sluice.config import Evidence, Paths, Settings
from sluice.errors import Cause, Reason
from sluice.identity import Resolver
from sluice.model import Action, Answered, Client, Decision, Exchange, Outcome, Receipt, Record, Rulebook
from sluice.recording import WITHHELD

CARD = "4111111111111111"
KEY = "AKIA2E0A8F3B244C9986"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Rulebook:
    """The shipped rules."""
    return rulebook.load(Settings(paths=Paths(var=tmp_path_factory.mktemp("fields"))))


def exchange(body: object, host: str = "api.openai.com", path: str = "/v1/responses", **headers: str) -> Exchange:
    fields = {"content-type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return Exchange(
        id="0199d0f0-0000-7000-8000-000000000001",
        at=1_764_000_000_000_000_000,
        client=Client("10.1.2.3", 4000, "TLSv1.3", "h2"),
        method="POST",
        scheme="https",
        host=host,
        port=443,
        path=path,
        headers=tuple(fields.items()),
        body=json.dumps(body).encode(),
    )


def record(book: Rulebook, sent: Exchange, **clocks: Any) -> Record:
    settings = Settings()
    seen = gate.inspect(sent, book, settings.limits, Resolver.load(settings), **clocks)
    return recording.decision_record(sent, seen, book, Evidence())


def outcome(book: Rulebook, ended: Outcome) -> Record:
    """As `Gate.outcome` makes it."""
    return recording.outcome_record(ended, book, Evidence(), withhold=recording.Names().withheld(ended, book.detectors))


def test_a_request_of_an_agent(book: Rulebook) -> None:
    """Tools by kind and by what they can do, library, trace, continued answer, clock and stages."""
    made = record(
        book,
        exchange(
            {
                "model": "gpt-5.5",
                "previous_response_id": "resp_1",
                "input": "hello",
                "tools": [
                    {"type": "web_search_preview_2025_03_11"},
                    {"type": "code_interpreter", "container": {"type": "auto"}},
                    {"type": "mcp", "server_label": "tickets", "server_url": "https://mcp.example.com/"},
                    {"type": "computer_use_preview"},
                    {"type": "invented_tomorrow"},
                    {"type": "function", "name": "run_shell_command"},
                    {"type": "function", "name": "get_weather"},
                ],
            },
            user_agent="AsyncOpenAI/Python 3.54.0",
            traceparent=f"00-{TRACE}-00f067aa0ba902b7-01",
        ),
    )
    assert made.hosted_tools == ("web_search", "code_interpreter", "mcp", "computer_use", "other")
    assert made.dangerous_tools == ("code_interpreter", "mcp", "computer_use", "run_shell_command")
    assert made.sdk == "openai-python/3.54.0"
    assert made.trace_id == book.detectors.fingerprint("trace", TRACE)
    assert made.previous_response_ref == book.detectors.fingerprint("response", "resp_1")
    assert (made.clock_offset_ms, made.clock_source) == clock.status()
    assert made.normalisation_version == 1
    assert made.hmac_key_id == "k1"
    stages = (made.identity_us, made.decode_us, made.parse_us, made.scan_us, made.decide_us)
    assert all(us is not None and us >= 0 for us in stages)
    assert made.tls_version_client == "TLSv1.3"


CRM = {"type": "mcp", "server_label": "crm", "server_url": "https://mcp.example.com:8443/t/s3cret?key=s3cret"}
MCP = {"type": "url", "name": "crm", "url": "http://10.0.0.7/mcp"}
MESSAGES = ("/v1/messages", "api.anthropic.com")
RESPONSES = ("/v1/responses", "api.openai.com")


@pytest.mark.parametrize(
    ("where", "body", "fact"),
    [
        (RESPONSES, {"tools": [CRM]}, "https mcp.example.com unsaid no-token crm"),
        (RESPONSES, {"tools": [CRM | {"require_approval": "never"}]}, "https mcp.example.com never no-token crm"),
        (
            RESPONSES,
            {"tools": [CRM | {"require_approval": {"never": {"tool_names": ["x"]}}, "authorization": "t0ken-of-crm"}]},
            "https mcp.example.com some token crm",
        ),
        (
            RESPONSES,
            {"tools": [CRM | {"require_approval": ["x"], "headers": {"Authorization": "Bearer t0ken-of-crm"}}]},
            "https mcp.example.com unsaid token crm",
        ),
        (RESPONSES, {"tools": [{"type": "mcp", "connector_id": "mail", "server_label": "my mail"}]},
         "none - unsaid no-token (withheld)"),
        (RESPONSES, {"tools": [CRM | {"server_url": "ftp://[bad"}]}, "other - unsaid no-token crm"),
        (MESSAGES, {"mcp_servers": [MCP]}, "http 10.0.0.7 unsaid no-token crm"),
        (MESSAGES, {"mcp_servers": [MCP | {"authorization_token": "t0ken-of-crm"}]}, "http 10.0.0.7 unsaid token crm"),
    ],
)  # fmt: skip
def test_what_is_said_of_an_mcp_server(book: Rulebook, where: tuple[str, str], body: dict[str, Any], fact: str) -> None:
    """Scheme, host, approval, and whether a credential travels; nothing else of the address, never the credential."""
    path, host = where
    made = record(book, exchange({"model": "m", "max_tokens": 1, "input": "x", "messages": []} | body, host, path))
    assert made.mcp_facts == (fact,)
    assert "s3cret" not in repr(made)
    assert "t0ken" not in repr(made)


PROSE = "zqx7 is my password"
WORDS = {
    "model": {"model": PROSE},
    "tool": {"tools": [{"type": "function", "name": PROSE}]},
    "kind of tool": {"tools": [{"type": PROSE}]},
    "tool that is no object": {"tools": [PROSE]},
    "server": {"tools": [{"type": "mcp", "server_label": PROSE, "server_url": "https://mcp.example.com/"}]},
    "tool of a server": {"tools": [{"type": "mcp", "server_label": "crm", "allowed_tools": [PROSE]}]},
    "tool choice": {"tool_choice": PROSE},
    "tool choice by name": {"tool_choice": {"type": "function", "name": PROSE}},
}


@pytest.mark.parametrize("body", WORDS.values(), ids=WORDS)
def test_a_sentence_is_no_name(book: Rulebook, body: dict[str, Any]) -> None:
    """What stands where a name should and has not the shape of one is withheld, though no detector knows it."""
    made = record(book, exchange({"model": "m", "input": "x"} | body))
    assert made.decision == "allow"
    assert "zqx7" not in repr(made)
    assert WITHHELD in repr(made)


@pytest.mark.parametrize(
    "name",
    [
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/us.amazon.nova-pro-v1:0",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo:free",
        "ft:gpt-4o-mini-2024-07-18:acme::AbC123",
        "@cf/meta/llama-3.1-8b-instruct",
        "claude-opus-4@20250514",
        "_internal",
        "mcp__github__create_issue",
        f"mcp:{'l' * 64}/{'t' * 64}",
    ],
)
def test_names_as_providers_write_them_are_kept(book: Rulebook, name: str) -> None:
    """Model, tool and server of real shapes are recorded whole."""
    server = {"type": "mcp", "server_label": name}
    made = record(book, exchange({"model": name, "input": "x", "tools": [{"type": "function", "name": name}, server]}))
    assert made.model_requested == name
    assert (made.tools_declared or ())[0] == name
    assert made.mcp_servers == (name,)


def test_of_many_tools_the_rest_is_counted(book: Rulebook) -> None:
    """A record lists 64 tools at most, the last entry says how many more there were, and a word too long is none."""
    tools = [{"type": "function", "name": "x" * 161}] + [{"type": "function", "name": f"t{n}"} for n in range(99)]
    listed = record(book, exchange({"model": "m", "input": "x", "tools": tools})).tools_declared
    assert listed == (WITHHELD, *(f"t{n}" for n in range(62)), "(+37 more)")


AGE = "AGE-SECRET-KEY-15FERYXHRDZ9M6Y09MR8WRERWZGJ6F8NTXVHXYRDLM5AAHN0T09NSXSPQYP"
FORM = (
    b'--bb\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: %s\r\n\r\nx\r\n--bb--\r\n'
)
FORMS = "multipart/form-data; boundary=bb"


@pytest.mark.parametrize("key", [KEY, KEY.lower(), AGE, "zqx7y"])
def test_a_key_where_a_known_word_should_stand(book: Rulebook, key: str) -> None:
    """A key, or any other word, as coding, media type, method, type of a part or of a file is `other` in the record."""
    plain = exchange({"model": "m", "input": "x"})
    upload = {"path": "/v1/files", "content_type": FORMS}
    url = {"role": "user", "content": [{"type": "input_file", "file_data": f"data:text/{key};base64,eHh4eA=="}]}
    sent = {
        "coding": exchange({"model": "m"}, content_encoding=key),
        "codings": exchange({"model": "m"}, content_encoding=f"gzip, {key}"),
        "type": exchange({"model": "m"}, content_type=f"text/{key}"),
        "types": exchange({"model": "m"}, content_type=f"{key}/json; a={key}"),
        "method": replace(plain, method=key),
        "part": replace(exchange("", **upload), body=FORM % f"text/{key}".encode()),
        "file": exchange({"model": "m", "input": [url]}),
    }
    made = {place: record(book, request) for place, request in sent.items()}
    for place, found in made.items():
        assert key.lower() not in repr(found).lower(), place
        assert "'other'" in repr(found) or found.content_type == "", place  # longer than any media type: none
        known = key in (KEY, AGE)
        assert not known or found.reason_code == "SECRET_FOUND", place
    assert made["codings"].encodings == ("gzip", "other")
    assert (made["part"].attachments or ())[0].mime == "other"


def test_known_words_are_kept(book: Rulebook) -> None:
    """Codings, media types and methods of a list stand in the record, whatever their case and parameters were."""
    made = record(
        book, exchange({"model": "m"}, content_type="Application/JSON; charset=utf-8", content_encoding="GZIP")
    )
    assert (made.method, made.content_type, made.encodings) == ("POST", "application/json", ("gzip",))
    sheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    form = replace(exchange("", path="/v1/files", content_type=FORMS), body=FORM % sheet.encode())
    found = record(book, form)
    assert found.content_type == "multipart/form-data"
    assert [a.mime for a in found.attachments or ()] == [sheet]


def test_a_key_in_the_name_of_a_server(book: Rulebook) -> None:
    """Host names are kept in lower case, in which no detector knows a key: its own case is looked at as well."""
    server = {"type": "mcp", "server_label": "crm", "server_url": f"https://{KEY}.example.com/"}
    asked = record(book, exchange({"model": "m", "input": "x", "tools": [server]}))
    under = record(book, exchange({"model": "m", "input": "x"}, host=f"{KEY.lower()}.openai.azure.com"))
    assert asked.mcp_facts == (WITHHELD,)
    assert under.host == WITHHELD
    assert KEY.lower() not in repr((asked, under)).lower()


@pytest.mark.parametrize(
    ("path", "host", "body", "kinds"),
    [
        (
            "/v1/messages",
            "api.anthropic.com",
            {"tools": [{"type": "bash_20250124", "name": "bash"}, {"type": "text_editor_20250728", "name": "edit"}]},
            ("bash", "text_editor"),
        ),
        (
            "/v1/messages",
            "api.anthropic.com",
            {"tools": [{"name": "bash", "input_schema": {}}, {"type": "custom", "name": "web_search"}]},
            None,
        ),
        (
            "/v1beta/models/gemini-2.5-pro:generateContent",
            "generativelanguage.googleapis.com",
            {"tools": [{"googleSearch": {}}, {"code_execution": {}}, {"functionDeclarations": [{"name": "x"}]}]},
            ("web_search", "code_interpreter"),
        ),
    ],
)
def test_hosted_tools_of_every_family(
    book: Rulebook, path: str, host: str, body: object, kinds: tuple[str, ...] | None
) -> None:
    """One name for a kind, whoever runs it; a function of the client's own is not hosted, whatever its name."""
    assert record(book, exchange(body, host, path)).hosted_tools == kinds


@pytest.mark.parametrize(
    "agent", ["OpenAI/Python 4111.111.1111", f"curl/{KEY}", f"OpenAI/Python {CARD}", "Boto3/4111.1111.1111.1111"]
)
def test_no_version_smuggles_a_number(book: Rulebook, agent: str) -> None:
    """Where a version should stand, digits of a client's choosing do not become part of a record."""
    made = record(book, exchange({"model": "m", "input": "x"}, user_agent=agent))
    assert not any(part in (made.sdk or "") for part in ("4111.1", "41111", KEY))


def test_health_data_is_kept_longer(book: Rulebook) -> None:
    """Decision and outcome with a health number are of class `phi`; which classes count is a setting."""
    assert recording.retention(("secret.token", "government.health-number"), Evidence()) == "phi"
    assert recording.retention(("health.record-number",), Evidence()) == "phi"
    assert recording.retention(("health.clinical",), Evidence()) == "standard"
    assert recording.retention(("health.clinical",), Evidence(phi_classes=("health.*",))) == "phi"
    assert recording.retention(("financial.card",), Evidence()) == "standard"
    assert recording.retention(("financial.card",), Evidence(phi_classes=("financial.*",))) == "phi"
    sent = exchange({"model": "m", "input": "NHS number 943 476 5919, patient"})
    made = record(book, sent)
    assert "government.health-number" in (made.data_classes or ())
    assert made.retention_class == "phi"
    ended = Outcome(exchange_id=sent.id, forwarded=True, classes=made.data_classes or ())
    assert outcome(book, ended).retention_class == "phi"


def test_an_exception_is_named(book: Rulebook) -> None:
    """A request that passed undecided names the operator's exception; a plain row of the table is none."""
    sent = exchange({"model": "m"})
    for rule, name in (("failure.slow-house-model", "slow-house-model"), ("failure.scan_timeout", None)):
        passed = Decision(action=Action.ALLOW, reason=Reason.SCAN_TIMEOUT, rule=rule, cause=Cause.SCAN_TIMEOUT)
        made = recording.decision_record(sent, recording.Inspection(None, passed), book, Evidence())
        assert made.exception_id == name
        assert made.fail_mode == "open"


def test_clock_steps_do_not_show_in_durations(book: Rulebook) -> None:
    """T20: a clock that goes back an hour or on a day in the middle of a request leaves every duration right."""
    for step in (-3600, 86_400):
        times = itertools.count(1_764_000_000_000_000_000, step * 1_000_000_000)
        made = record(book, exchange({"model": "m", "input": "x"}), clock=lambda times=times: next(times))
        stages = (made.identity_us, made.decode_us, made.parse_us, made.scan_us, made.decide_us)
        assert all(us is not None and 0 <= us < 5_000_000 for us in stages), stages
        assert made.ts_identity_done is not None
        assert made.ts_decided is not None
        assert 0 <= made.ts_decided - made.ts_identity_done < 5_000_000


# ----------------------------------------------------------------------------------------------------------- outcomes


ANSWERED = Answered(
    model="gpt-5.5-2026-04-23", id="resp_1", finish="stop", tokens_in=3, tokens_out=4, calls=("a", "a", "b")
)


def ended(answer: Answered, **more: Any) -> Outcome:
    return Outcome(exchange_id="0199d0f0-0000-7000-8000-000000000001", forwarded=True, answer=answer, **more)


def test_what_an_answer_said_is_kept(book: Rulebook) -> None:
    """Names, numbers, calls as often as made, the fingerprint of the id, and when the decision was durable."""
    receipt = Receipt("n", 1, 1, b"", 17, 400)
    made = outcome(book, ended(ANSWERED, org_id_seen="org-1", project_id_seen="proj_1", receipt=receipt))
    assert (made.model_served, made.response_id, made.finish_reason) == ("gpt-5.5-2026-04-23", "resp_1", "stop")
    assert (made.tokens_in, made.tokens_out, made.tokens_cached) == (3, 4, None)
    assert made.tool_calls_returned == ("a", "a", "b")
    assert made.response_fp == book.detectors.fingerprint("response", "resp_1")
    assert (made.org_id_seen, made.project_id_seen) == ("org-1", "proj_1")
    assert (made.ts_committed, made.commit_us) == (17, 400)


@pytest.mark.parametrize("field", ["model", "id", "finish", "calls", "org_id_seen", "project_id_seen"])
@pytest.mark.parametrize("planted", [KEY, CARD])
def test_a_secret_in_an_answers_names_is_not_kept(book: Rulebook, field: str, planted: str) -> None:
    """An upstream that repeats what it was sent in a name puts none of its names into the evidence."""
    if field in ("org_id_seen", "project_id_seen"):
        told = ended(ANSWERED, **{field: planted})
    else:
        told = ended(replace(ANSWERED, **{field: (planted,) if field == "calls" else planted}))
    made = outcome(book, told)
    assert planted not in repr(made)
    assert made.model_served == made.response_id == WITHHELD
    assert made.tokens_in == 3


@pytest.mark.parametrize("prose", ["see you tomorrow", "a\nb", "\N{CYRILLIC SMALL LETTER A}", "x" * 129, " "])
def test_prose_is_no_name(book: Rulebook, prose: str) -> None:
    """What has not the shape of a name is withheld, whether or not a detector knows it."""
    made = outcome(book, ended(replace(ANSWERED, model=prose, calls=("ok", prose))))
    assert made.model_served == WITHHELD
    assert made.tool_calls_returned == ("ok", WITHHELD)
    assert made.response_id == "resp_1"


def test_harmless_names_are_scanned_once(book: Rulebook) -> None:
    """Names that were clean before are not scanned again, ids always are, and a change of either is seen."""
    seen: list[str] = []

    class Counting:
        digest = "d1"

        def scan(self, parts: tuple[Any, ...]) -> Any:
            seen.append(parts[0].text)
            return book.detectors.scan(parts)

    counting: Any = Counting()
    names = recording.Names()
    assert not names.withheld(ended(ANSWERED), counting)
    assert not names.withheld(ended(replace(ANSWERED, id="resp_2")), counting)
    assert seen[1] == "resp_2"
    assert names.withheld(ended(replace(ANSWERED, id=KEY)), counting)
    assert names.withheld(ended(replace(ANSWERED, model=KEY)), counting)
    assert names.withheld(ended(replace(ANSWERED, model=KEY)), counting), "what was not clean is not remembered"
    counting.digest = "d2"
    assert not names.withheld(ended(ANSWERED), counting)
    assert "gpt-5.5-2026-04-23" in seen[-1], "other detectors look again"


def test_many_calls_are_counted(book: Rulebook) -> None:
    """Of an answer with more calls than a record lists, the last entry says how many more there were."""
    made = outcome(book, ended(replace(ANSWERED, calls=("a",) * 100)))
    assert made.tool_calls_returned == ("a",) * 63 + ("(+37 more)",)


def test_names_are_withheld_when_detection_fails(book: Rulebook) -> None:
    """Without the detectors' word no name of an answer is kept."""

    class Broken:
        key_id = "k1"
        digest = "d"

        def scan(self, parts: object) -> None:
            raise RuntimeError

        def fingerprint(self, purpose: str, value: str | bytes) -> str:
            return "f" * 32

    broken: Any = Broken()
    made = outcome(replace(book, detectors=broken), ended(ANSWERED))
    assert made.model_served == WITHHELD
    assert made.tokens_out == 4


def test_the_tenant_of_the_settings(book: Rulebook) -> None:
    """Where the site names a tenant, decision and outcome carry it; else there is none."""
    settings, sent = Settings(), exchange({"model": "gpt-5.5", "input": "hello"})
    seen = gate.inspect(sent, book, settings.limits, Resolver.load(settings))
    ended = Outcome(exchange_id=sent.id, forwarded=True, ts_received=1, target=seen.target)
    for tenant, expected in (("", None), ("north", "north")):
        of = Evidence(tenant=tenant)
        assert recording.decision_record(sent, seen, book, of).tenant_id == expected
        assert recording.outcome_record(ended, book, of, withhold=False).tenant_id == expected
