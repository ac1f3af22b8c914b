"""`sluice explain` and `sluice check`: the gate's own view of a request, and of its own configuration."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.rig.command import run

pytestmark = pytest.mark.usefixtures("elsewhere")

CARD = "5425233430109903"


def request(text: str, host: str = "api.openai.com") -> str:
    """A request file; its name."""
    body = {
        "model": "gpt-5",
        "stream": True,
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": text}],
        "tools": [{"type": "function", "function": {"name": "lookup", "parameters": {}}}],
    }
    asked = {
        "method": "POST",
        "host": host,
        "path": "/v1/chat/completions",
        "headers": {"content-type": "application/json", "authorization": "Bearer sk-test"},
        "body": body,
    }
    Path("request.json").write_text(json.dumps(asked))
    return "request.json"


def test_json_has_the_promised_shape(capsys: pytest.CaptureFixture[str]) -> None:
    """Target, operation, model, parts, tools, findings, decision: as data, without the text of the parts."""
    assert run("explain", "--json", request(f"my card is {CARD}")) == 0
    out = capsys.readouterr().out
    told = json.loads(out)
    assert told["target"]["provider"] == "openai"
    assert (told["model"], told["stream"], told["tools"]) == ("gpt-5", True, ["lookup"])
    user = next(part for part in told["parts"] if part["role"] == "user")
    assert {"pointer", "role", "kind", "provenance"} <= set(user)
    assert "text" not in user
    (card,) = [f for f in told["findings"] if f["class"] == "financial.card"]
    assert (card["pointer"], card["validated"]) == ("/messages/1/content", True)
    assert told["decision"]["action"] == "block"
    assert {"action", "rule", "reason"} <= set(told["decision"])
    assert CARD not in out


def test_text_is_shown_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """--show-text adds the text of every part, for people and as data."""
    name = request(f"my card is {CARD}")
    assert run("explain", "--json", "--show-text", name) == 0
    told = json.loads(capsys.readouterr().out)
    assert f"my card is {CARD}" in [part["text"] for part in told["parts"]]
    assert run("explain", "--show-text", name) == 0
    assert CARD in capsys.readouterr().out


def test_the_view_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """Where to, which model, what was found and which rule decided, on a page; and no value."""
    assert run("explain", request(f"my card is {CARD}")) == 0
    out = capsys.readouterr().out
    for fact in ("openai", "gpt-5", "streamed", "lookup", "/messages/1/content", "financial.card", "block", "by rule"):
        assert fact in out
    assert CARD not in out


def test_a_host_that_is_not_ai(capsys: pytest.CaptureFixture[str]) -> None:
    """A destination that is not in the table is explained as what happens to it: an opaque tunnel."""
    assert run("explain", request("hello", host="www.example.com")) == 0
    assert "not an AI destination" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "request.json:1: not JSON"),
        ("[1]", "must hold a JSON object"),
        ('{"method": "POST"}', "`host` must be text"),
        ('{"host": "h", "path": 1}', "`path` must be text"),
        ('{"host": "h", "subject": "alice"}', "unknown key `subject`; known: method, "),
        ('{"host": "h", "client": "alice"}', "`client` must be an IP address"),
        ("\xff", "not JSON"),
    ],
)
def test_a_file_that_is_no_request(content: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong with a request file is one line and exit code 2."""
    Path("request.json").write_bytes(content.encode("latin-1"))
    assert run("explain", "request.json") == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("condition", "options", "fits"),
    [
        ('network = "10.1.0.0/16"', ["--from", "10.1.2.3"], True),
        ('network = "10.1.0.0/16"', [], False),
        ('subject = "user:alice"', ["--subject", "Alice"], True),
        ('subject = "user:alice"', ["--from", "10.9.9.9"], True),  # the address map says so
        ('subject = "user:alice"', ["--from", "10.9.9.9", "--subject", "bob"], False),
        ('subject = "user:alice"', ["--from", "10.9.9.9", "--group", "staff"], True),
        ('group = "staff"', ["--group", "interns", "--group", "Staff"], True),
        ('group = "staff"', ["--group", "interns"], False),
        ('assurance = "asserted"', ["--subject", "alice"], True),
    ],
)
def test_rules_on_people_can_be_tried(
    condition: str, options: list[str], fits: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sender is supposed to be who the options say; what they leave open is resolved as the gate does."""
    Path("map.csv").write_text("network,subject,groups\n10.9.9.9/32,alice,\n")
    Path("policy.toml").write_text(
        f'id = "p"\nversion = "1"\n[[rule]]\nid = "people"\nwhen = {{ {condition} }}\naction = "block"\n'
    )
    Path("sluice.toml").write_text('[paths]\npolicy = "policy.toml"\n[identity]\naddress_map = "map.csv"\n')
    assert run("explain", "--config", "sluice.toml", "--json", *options, request("hello")) == 0
    assert (json.loads(capsys.readouterr().out)["decision"]["rule"] == "people") is fits


def test_a_client_in_the_file_is_where_it_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    """`client` of the request file counts, and a subject that is no name is told."""
    Path("policy.toml").write_text(
        'id = "p"\nversion = "1"\n[[rule]]\nid = "net"\nwhen = { network = "10.1.0.0/16" }\naction = "block"\n'
    )
    Path("sluice.toml").write_text('[paths]\npolicy = "policy.toml"\n')
    name = request("hello")
    Path(name).write_text(json.dumps(json.loads(Path(name).read_text()) | {"client": "10.1.2.3"}))
    assert run("explain", "--config", "sluice.toml", "--json", name) == 0
    assert json.loads(capsys.readouterr().out)["decision"]["rule"] == "net"
    assert run("explain", "--subject", "", name) == 2
    assert "the subject must be a name" in capsys.readouterr().err


def test_check_is_sound_as_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    """What ships is sound, checking it writes nothing, and the digest is a name for exactly this rulebook."""
    assert run("check") == 0
    first = capsys.readouterr()
    assert first.out.startswith("sound: policy ")
    assert list(Path().iterdir()) == []
    assert run("check", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is True
    assert told["digest"][:16] in first.out


def test_check_names_every_problem(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong rule, a wrong destination and a wrong pack are told in one run, each with its file and line."""
    Path("policy.toml").write_text('id = "p"\nversion = "1"\n\n[[rule]]\nid = "r"\naction = "alow"\n')
    Path("targets.toml").write_text("nonsense = 1\n")
    Path("own.toml").write_text('family = "own"\n[[detector]]\nid = "own.x"\n')
    Path("sluice.toml").write_text(
        '[paths]\npolicy = "policy.toml"\ntargets = "targets.toml"\npacks = ["own.toml"]\n'
        '[admin]\nlisten = "0.0.0.0:9"\n[tunnels]\nnon_tls = "pass"\n'
    )
    assert run("check", "--config", "sluice.toml") == 2
    told = capsys.readouterr().err
    for place in ("policy.toml:6", "targets.toml:1", "own.toml:2"):
        assert place in told, told
    for warned in ("admin.listen", "tunnels.non_tls"):
        assert f"warning: sluice.toml: {warned}" in told
    assert "would not start" in told


def test_the_example_of_destinations_is_true(capsys: pytest.CaptureFixture[str]) -> None:
    """As shipped it changes nothing; with every example line in force it is sound, and its statuses count."""
    text = (Path(__file__).parents[2] / "deploy" / "targets.toml").read_text()
    assert all(line.startswith("#") for line in text.splitlines() if line)
    Path("targets.toml").write_text(re.sub(r"^#(?=\S)(?!#)", "", text, flags=re.M))
    assert "\n[provider]\n" in Path("targets.toml").read_text()
    Path("sluice.toml").write_text('[paths]\ntargets = "targets.toml"\n')
    assert run("check", "--config", "sluice.toml") == 0, capsys.readouterr().err
    capsys.readouterr()
    for host, status in (("api.deepseek.com", "prohibited"), ("a.llm.example.org", "sanctioned")):
        assert run("explain", "--config", "sluice.toml", "--json", request("hello", host=host)) == 0
        assert json.loads(capsys.readouterr().out)["target"]["status"] == status


def test_check_warns_of_what_has_run_out(capsys: pytest.CaptureFixture[str]) -> None:
    """A policy whose observing ended long ago is sound, and worth a word with its line."""
    Path("policy.toml").write_text('id = "p"\nversion = "1"\nmode = "observe"\nobserve_until = 2020-01-31\n')
    Path("sluice.toml").write_text('[paths]\npolicy = "policy.toml"\n')
    assert run("check", "--config", "sluice.toml") == 0
    assert "warning: " in (told := capsys.readouterr().err)
    assert "policy.toml:4" in told


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('[upstream]\n\ntrusted_ca = "junk.pem"\n', "sluice.toml:3: upstream.trusted_ca: "),
        ('[identity]\naddress_map = "absent.csv"\n', "absent.csv: cannot be read"),
        ('[identity]\naddress_map = "junk.pem"\n', "junk.pem:1: must begin with `network,subject,groups`"),
        ('[upstream]\nhosts = {"https://a.example" = "127.0.0.1:1"}\n', "sluice.toml:2: upstream.hosts: "),
        ('[upstream.hosts]\n"127.0.0.2" = "127.0.0.1:1"\n', "must be a host name"),
        ('[upstream.hosts]\n"a.example" = "127.0.0.1:8080"\n', "leads to this appliance's own 127.0.0.1:8080"),
        ('[proxy]\nlisten = "0.0.0.0:9"\n[admin]\nlisten = "127.0.0.1:9"\n', "sluice.toml:4: admin.listen: "),
        ('[paths]\nvar = "junk.pem/var"\n', "junk.pem: is not a directory"),
    ],
)
def test_check_refuses_what_would_not_start(settings: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What a start would refuse is no sound configuration: exit code 2, a line that names it, nothing on stdout."""
    Path("junk.pem").write_text("10.0.0.0/8,alice\n")
    Path("sluice.toml").write_text(settings)
    assert run("check", "--config", "sluice.toml") == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""
    assert sorted(map(str, Path().iterdir())) == ["junk.pem", "sluice.toml"]
