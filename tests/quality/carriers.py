"""The text around planted values, as people and programs write it.

A carrier takes (rng, label, value) with the value between its marks (`corpus.mark`) and returns the whole text.
"""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable

from tests.quality.corpus import CLOSE, OPEN, draw

type Carrier = Callable[[random.Random, str, str], str]

_OPENERS = (
    "Hi, can you help me debug this?", "Why does this fail with a 401?", "Please review the following and suggest fixes.",
    "I pasted the config below, what is wrong with it?", "Summarise this ticket for the on-call engineer.",
    "Rewrite this so that it is easier to read.", "Translate the comments to English.", "Explain step by step.",
)  # fmt: skip
_CLOSERS = ("Thanks!", "", "Any idea?", "It worked yesterday.", "Be brief.", "Best,\nthe platform team")


def _wrap(rng: random.Random, body: str) -> str:
    return f"{rng.choice(_OPENERS)}\n\n{body}\n\n{rng.choice(_CLOSERS)}"


def _env_name(label: str) -> str:
    return re.sub(r"\W+", "_", label).upper()


def _snake(label: str) -> str:
    return re.sub(r"\W+", "_", label).lower()


def _camel(label: str) -> str:
    head, *rest = _snake(label).split("_")
    return head + "".join(w.capitalize() for w in rest)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def env(rng: random.Random, label: str, value: str) -> str:
    shown = f'"{value}"' if re.search(r"[\s#&*?;]", value) else value
    return _wrap(rng, f"# .env\nLOG_LEVEL=info\n{_env_name(label)}={shown}\nPORT=8080")


def shell(rng: random.Random, label: str, value: str) -> str:
    return _wrap(rng, f"  501  cd deploy\n  502  export {_env_name(label)}='{value}'\n  503  make release")


def yaml(rng: random.Random, label: str, value: str) -> str:
    body = "\n".join(f"    {line}" for line in value.splitlines())
    shown = f"|\n{body}" if "\n" in value else rng.choice((f'"{value}"', f"'{value}'"))
    return _wrap(rng, f"service:\n  name: orders\n  {_snake(label)}: {shown}\n  replicas: 3")


def json_file(rng: random.Random, label: str, value: str) -> str:
    return _wrap(rng, json.dumps({"env": "prod", _camel(label): value, "retries": 3}, indent=2, ensure_ascii=False))


def json_in_json(rng: random.Random, label: str, value: str) -> str:
    inner = json.dumps({_snake(label): value}, ensure_ascii=False)
    return json.dumps({"tool": "read_file", "result": inner}, ensure_ascii=False)


def python(rng: random.Random, label: str, value: str) -> str:
    shown = f'"""{value}"""' if "\n" in value else f'"{value}"'
    return _wrap(
        rng, f"import requests\n\n{_env_name(label)} = {shown}\nclient = Client(timeout=30)\nprint(client.list())"
    )


def javascript(rng: random.Random, label: str, value: str) -> str:
    return _wrap(rng, f"const client = new Client({{\n  region: 'eu-west-1',\n  {_camel(label)}: `{value}`,\n}});")


def java(rng: random.Random, label: str, value: str) -> str:
    return _wrap(rng, f"private static final String {_env_name(label)} = {_quoted(value)};")


def terraform(rng: random.Random, label: str, value: str) -> str:
    shown = f"<<EOT\n{value}\nEOT" if "\n" in value else f'"{value}"'
    return _wrap(rng, f'resource "app" "main" {{\n  name = "orders"\n  {_snake(label)} = {shown}\n}}')


def ini(rng: random.Random, label: str, value: str) -> str:
    return _wrap(rng, f"[production]\nhost = db1\n{_snake(label)} = {value}\ntimeout = 30")


def diff(rng: random.Random, label: str, value: str) -> str:
    body = "\n".join("+" + line for line in f'{_env_name(label)} = "{value}"'.splitlines())
    return _wrap(rng, f"@@ -12,6 +12,7 @@ class Settings:\n     retries = 3\n{body}\n     debug = False")


def log(rng: random.Random, label: str, value: str) -> str:
    return _wrap(rng, f"2026-03-04T10:11:12.345Z ERROR auth failed {_snake(label)}={value} status=401 took=12ms")


def chat(rng: random.Random, label: str, value: str) -> str:
    said = label.replace("_", " ").lower()
    form = rng.choice(
        ("my {l} is {v} but it gets rejected", "here is the {l}: {v} can you try it?", "use this {l} {v} please")
    )
    return form.format(l=said, v=value)


def markdown(rng: random.Random, label: str, value: str) -> str:
    return f"## Setup\n\n1. Copy the sample file\n2. Set `{_env_name(label)}` to\n\n```\n{_env_name(label)}={value}\n```\n\nDone."


def http(rng: random.Random, label: str, value: str) -> str:
    header = {"token": "Authorization: Bearer "}.get(
        label.rpartition("_")[2].lower(), f"X-{label.replace('_', '-').title()}: "
    )
    return _wrap(
        rng, f"> POST /v1/items HTTP/1.1\n> Host: api.acme.net\n> {header}{value}\n> Accept: */*\n< HTTP/1.1 401"
    )


def xml(rng: random.Random, label: str, value: str) -> str:
    shown = value.replace("&", "&amp;").replace("<", "&lt;")
    return _wrap(rng, f"<config>\n  <host>db1</host>\n  <{_camel(label)}>{shown}</{_camel(label)}>\n</config>")


def dockerfile(rng: random.Random, label: str, value: str) -> str:
    return _wrap(rng, f'FROM python:3.13-slim\nENV {_env_name(label)}={value}\nCMD ["python", "-m", "app"]')


def kubernetes(rng: random.Random, label: str, value: str) -> str:
    plain = value.removeprefix(OPEN).removesuffix(CLOSE)
    coded = base64.b64encode(plain.encode()).decode()
    return _wrap(rng, f"apiVersion: v1\nkind: Secret\ndata:\n  {_snake(label)}: {OPEN}{coded}{CLOSE}")


SECRET: dict[str, Carrier] = {
    f.__name__: f
    for f in (
        env,
        shell,
        yaml,
        json_file,
        json_in_json,
        python,
        javascript,
        java,
        terraform,
        ini,
        diff,
        log,
        chat,
        markdown,
        http,
        xml,
        dockerfile,
    )
}
"""Carriers of any secret."""
CODED: dict[str, Carrier] = {"kubernetes": kubernetes}
"""Carriers that code a secret; meant for those that name their vendor."""
ONE_LINE = frozenset({"env", "shell", "ini", "log", "chat", "http", "dockerfile", "markdown"})
"""Carriers that cannot hold a value of several lines."""


# ------------------------------------------------------------------------------------------------- personal data


def sentence(rng: random.Random, label: str, value: str) -> str:
    form = rng.choice((
        "My {l} is {v}, please update my file.", "Could you check {l} {v} for me?", "The customer's {l}: {v}.",
        "{l}: {v}", "Please use {l} {v} for the booking.", "I was told to send my {l} ({v}) to you.",
    ))  # fmt: skip
    return form.format(l=label, v=value)


def form(rng: random.Random, label: str, value: str) -> str:
    return (
        f"Application form\n----------------\nReference: A-{draw(rng, '{digit:5}')}\n{label}: {value}\nSubmitted: yes\n"
    )


def mail(rng: random.Random, label: str, value: str) -> str:
    return (
        f"Subject: your request\n\nHello,\n\nthank you for your message. We need one more thing to close the case.\n"
        f"{label}: {value}\n\nKind regards\nThe service desk"
    )


def ticket(rng: random.Random, label: str, value: str) -> str:
    return f"[SUP-{draw(rng, '{digit:4}')}] Customer cannot log in\nPriority: high\n{label}: {value}\nSteps: open the page, click login."


def record(rng: random.Random, label: str, value: str) -> str:
    return json.dumps({"id": rng.randint(1, 9999), label: value, "status": "open"}, ensure_ascii=False)


def table(rng: random.Random, label: str, value: str) -> str:
    rows = "\n".join(f"{rng.randint(1, 99)},active,{v},{rng.randint(10, 99)}.5" for v in (value,))
    return f"Clean up this export:\n\nid,state,{label},score\n{rows}\n"


def sql(rng: random.Random, label: str, value: str) -> str:
    name = re.sub(r"\W+", "_", label).lower()
    return f"INSERT INTO customers (id, {name}, active) VALUES ({rng.randint(1, 999)}, '{value}', true);"


def log_line(rng: random.Random, label: str, value: str) -> str:
    return f"2026-03-04 10:11:12 INFO intake worker-3 {label}={value} result=ok"


PERSONAL: dict[str, Carrier] = {f.__name__: f for f in (sentence, form, mail, ticket, record, table, sql, log_line)}
