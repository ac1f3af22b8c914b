"""Text with nothing in it that must not leave, and much that looks like it.

Three sources: lines of machine output full of numbers and digests; prompts put together from sentences that people
write to assistants; and excerpts of packages that are installed here, whose authors had no detector in mind.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import uuid
from collections.abc import Callable, Iterator
from importlib import util
from pathlib import Path

from tests.quality.corpus import Document, draw
from tests.quality.records import LOCALES, fake

PACKAGES = [
    "_pytest",
    "anyio",
    "asgiref",
    "attr",
    "click",
    "clickhouse_connect",
    "cryptography",
    "dateutil",
    "docstring_parser",
    "flask",
    "google",
    "h11",
    "h2",
    "hypothesis",
    "httpx",
    "importlinter",
    "jinja2",
    "markdown_it",
    "mitmproxy",
    "msgspec",
    "mypy",
    "numpy",
    "openai",
    "anthropic",
    "opentelemetry",
    "pandas",
    "pip",
    "prometheus_client",
    "pyarrow",
    "pydantic",
    "pygments",
    "pyparsing",
    "requests",
    "rich",
    "ruamel",
    "starlette",
    "tenacity",
    "tornado",
    "tzdata",
    "urllib3",
    "urwid",
    "uvicorn",
    "websockets",
    "werkzeug",
    "wcwidth",
    "charset_normalizer",
    "publicsuffix2",
    "packaging",
    "sortedcontainers",
]
SUFFIXES = frozenset(
    {
        ".py",
        ".pyi",
        ".md",
        ".rst",
        ".txt",
        ".js",
        ".css",
        ".html",
        ".json",
        ".h",
        ".c",
        ".toml",
        ".yaml",
        ".svg",
        ".xml",
    }
)
EXCERPT = 4_000

type Line = Callable[[random.Random], str]


def _uuid(r: random.Random) -> str:
    return str(uuid.UUID(bytes=r.randbytes(16), version=4))


def _time(r: random.Random) -> str:
    return f"2026-{r.randint(1, 12):02}-{r.randint(1, 28):02}T{r.randint(0, 23):02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}Z"


def _ean(r: random.Random) -> str:
    n = draw(r, "978{digit:9}")
    return n + str(-sum(int(c) * (1, 3)[i % 2] for i, c in enumerate(n)) % 10)


WORDS = [
    "cache",
    "retry",
    "worker",
    "invoice",
    "garden",
    "bridge",
    "market",
    "signal",
    "vector",
    "widget",
    "parser",
    "ledger",
    "bucket",
    "socket",
    "planet",
    "harbor",
]

MACHINE: dict[str, Line] = {
    "uuid": lambda r: f"request {_uuid(r)} parent {_uuid(r)} took {r.randint(1, 9999)} ms",
    "git": lambda r: f"commit {draw(r, '{hex:40}')}\n    {' '.join(r.sample(WORDS, 4))} (#{r.randint(1, 9999)})",
    "orders": lambda r: f"Order {draw(r, '{digit:10}')} shipped, tracking 1Z{draw(r, '{upnum:16}')}, invoice INV-{draw(r, '{digit:6}')}, qty {r.randint(1, 90)}",
    "times": lambda r: f"{_time(r)} epoch={1_700_000_000 + r.randrange(10**8)} ms={1_700_000_000_000 + r.randrange(10**11)} ns={r.randrange(10**18)}",
    "integrity": lambda r: f'"integrity": "sha512-{base64.b64encode(r.randbytes(64)).decode()}",',
    "pip lock": lambda r: f"{r.choice(WORDS)}=={r.randint(0, 9)}.{r.randint(0, 30)}.{r.randint(0, 9)} \\\n    --hash=sha256:{draw(r, '{hex:64}')}",
    "yarn lock": lambda r: f'"@{r.choice(WORDS)}/{r.choice(WORDS)}@npm:^{r.randint(1, 9)}.{r.randint(0, 20)}.0":\n  checksum: 10/{draw(r, "{hex:128}")}',
    "go sum": lambda r: f"example.com/{r.choice(WORDS)} v1.{r.randint(0, 40)}.{r.randint(0, 9)} h1:{base64.b64encode(r.randbytes(32)).decode()}",
    "minified": lambda r: f"function {draw(r, '{lower:1}')}(e,t){{var n=e.password,{draw(r, '{lower:2}')}={r.randint(1, 99999)};return n?t.token(n):void 0}}!function(e){{e.id='{draw(r, '{alnum:8}')}'}}({draw(r, '{lower:1}')});",
    "image": lambda r: f"![chart](data:image/png;base64,iVBORw0KGgo{base64.b64encode(r.randbytes(240)).decode()})",
    "hex dump": lambda r: f"{r.randrange(16**8):08x}  {r.randbytes(8).hex(' ')}  {r.randbytes(8).hex(' ')}  |................|",
    "phone-like": lambda r: f"Ticket 2026-{draw(r, '{digit:4}')}-{draw(r, '{digit:4}')}, room 0{draw(r, '{digit:3}')}/{draw(r, '{digit:4}')}, part {draw(r, '{digit:3}')}-{draw(r, '{digit:3}')}-{draw(r, '{digit:4}')}, scale 1:{draw(r, '{digit:5}')}",
    "isbn": lambda r: f"ISBN {_ean(r)}, EAN {_ean(r)}, ISSN {draw(r, '{digit:4}')}-{draw(r, '{digit:4}')}, doi:10.{draw(r, '{digit:4}')}/{draw(r, '{lownum:8}')}",
    "versions": lambda r: f"upgrade {r.choice(WORDS)} {r.randint(0, 20)}.{r.randint(0, 99)}.{r.randint(0, 9999)} -> {r.randint(0, 20)}.{r.randint(0, 99)}.{r.randint(0, 9999)}-rc.{r.randint(1, 9)}+build.{draw(r, '{digit:8}')}",
    "numbers": lambda r: " ".join(f"{r.uniform(-999, 999):.{r.randint(1, 12)}f}" for _ in range(6)),
    "big numbers": lambda r: ", ".join(draw(r, f"{{digit:{r.randint(7, 20)}}}") for _ in range(4)),
    "products": lambda r: f"SKU {draw(r, '{upper:3}-{digit:5}-{upnum:4}')} rev {draw(r, '{upper:1}')} lot {draw(r, '{digit:8}')} serial {draw(r, '{upnum:12}')}",
    "csv": lambda r: f"{r.randint(1, 9999)},{r.choice(WORDS)},{_time(r)[:10]},{r.uniform(0, 999):.2f},{draw(r, '{upnum:6}')},{draw(r, '{digit:9}')},{r.choice(('true', 'false'))}",
    "css": lambda r: f".{r.choice(WORDS)}-{draw(r, '{hex:5}')} {{ color: #{draw(r, '{hex:6}')}; margin: {r.randint(0, 99)}px {r.randint(0, 99)}px; background: url(img/{draw(r, '{hex:20}')}.png) }}",
    "svg": lambda r: f'<path d="M{r.uniform(0, 99):.3f} {r.uniform(0, 99):.3f}L{r.uniform(0, 99):.3f},{r.uniform(0, 99):.3f}z" fill="#{draw(r, "{hex:6}")}"/>',
    "placeholders": lambda r: r.choice((
        "export OPENAI_API_KEY=sk-...", 'api_key = "YOUR_API_KEY"', "password: <your-password>", "AWS_SECRET_ACCESS_KEY=${AWS_SECRET}",
        "postgres://user:password@localhost:5432/db", "Authorization: Bearer <token>", "token = os.environ['TOKEN']",
        "DB_PASSWORD={{ vault.db_password }}", "AKIAIOSFODNN7EXAMPLE is the sample id", "password = getpass.getpass()",
        'headers["X-Api-Key"] = settings.api_key', "GITHUB_TOKEN: ${{ secrets.GITHUB_TOKEN }}", "password=changeme",
        "curl -u user:pass https://example.com", "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "secretKeyRef: {name: db, key: password}",
    )),
    "docs": lambda r: f"`{r.choice(WORDS)}_token` (string, required): the token returned by `/oauth/token`. Default: `null`. See RFC {r.randint(1000, 9999)}, section {r.randint(1, 9)}.{r.randint(1, 9)}.",
    "code": lambda r: f"    def test_{r.choice(WORDS)}_{r.choice(WORDS)}(self, password_field, api_key_header):\n        assert self.client.{r.choice(WORDS)}(token=self.token, secret=config.secret_key)[{r.randint(0, 99)}] == 0x{draw(r, '{HEX:8}')}",
    "math": lambda r: f"\\sum_{{i=1}}^{{{r.randint(2, 99)}}} x_i^{{{r.randint(2, 9)}}} = {r.randrange(10**9)} \\pm {r.uniform(0, 1):.6f}",
    "logs": lambda r: f"{_time(r)} INFO [{r.choice(WORDS)}-{r.randint(1, 64)}] trace_id={draw(r, '{hex:32}')} span_id={draw(r, '{hex:16}')} user_id={r.randint(1, 10**8)} session=s{r.randint(1, 10**6)} bytes={r.randrange(10**9)}",
    "k8s": lambda r: f"pod/{r.choice(WORDS)}-{draw(r, '{hex:9}')}-{draw(r, '{lownum:5}')}  1/1  Running  {r.randint(0, 9)}  {r.randint(1, 99)}d  image: registry.local/{r.choice(WORDS)}@sha256:{draw(r, '{hex:64}')}",
    "json": lambda r: json.dumps({"id": _uuid(r), "etag": hashlib.md5(r.randbytes(8), usedforsecurity=False).hexdigest(), "cursor": base64.urlsafe_b64encode(r.randbytes(24)).decode(), "next_page_token": draw(r, "{url:32}"), "count": r.randrange(10**9)}),
    "tests": lambda r: f"FAILED tests/test_{r.choice(WORDS)}.py::test_{r.choice(WORDS)}_rejects_bad_password[{r.randint(0, 99)}-{draw(r, '{digit:6}')}] - assert {r.randint(0, 999)} == {r.randint(0, 999)}",
    "iban-like": lambda r: f"cell {draw(r, '{upper:2}{digit:2}')} {draw(r, '{digit:4}')} {draw(r, '{digit:4}')} {draw(r, '{digit:4}')} checksum {draw(r, '{digit:16}')}",
    "ids": lambda r: f"account {draw(r, '{hex:24}')} customer cus_{draw(r, '{alnum:14}')} price price_{draw(r, '{alnum:24}')} event evt_{draw(r, '{alnum:24}')} arn:aws:iam::{draw(r, '{digit:12}')}:role/{r.choice(WORDS)}",
    "licence": lambda r: r.choice((
        "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files, to deal in the Software without restriction.",
        "Licensed under the Apache License, Version 2.0 (the \"License\"); you may not use this file except in compliance with the License.",
        "THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY.",
    )),
    "cookies": lambda r: f"Set-Cookie: theme=dark; Max-Age={r.randrange(10**7)}; csrf_token must be sent in X-CSRF-Token; ga=GA1.2.{draw(r, '{digit:9}')}.{draw(r, '{digit:10}')}",
    "coordinates": lambda r: f"bbox [{r.uniform(-90, 90):.2f}, {r.uniform(-90, 90):.2f}] tile {r.randint(0, 18)}/{r.randint(0, 9999)}/{r.randint(0, 9999)} EPSG:{draw(r, '{digit:4}')}",
    "passwords": lambda r: r.choice((
        "The password must have at least 12 characters, one digit and one symbol.", "Forgot your password? Click here to reset it.",
        "Passwords are hashed with bcrypt, cost 12, and never logged.", "Error: invalid password for user admin (attempt 3 of 5)",
        "We rotate the API key every 90 days and the signing secret every quarter.", "password: string, minLength: 8, writeOnly: true",
        'label="Password" type="password" autocomplete="current-password"', "If the token has expired, request a new token with the refresh token grant.",
    )),
}  # fmt: skip

ASKED = (
    "Write a haiku about {w} and {v}.", "Explain the difference between a {w} and a {v} to a ten-year-old.",
    "Draft a polite reply to a customer whose {w} arrived {n} days late.", "Convert {n} miles to kilometres and {m} pounds to kilograms.",
    "What is the time complexity of inserting into a {w}?", "Summarise the causes of the First World War in {n} bullet points.",
    "Give me {n} ideas for a birthday party for a child who loves {w}s.", "How do I centre a div with flexbox?",
    "Plan a {n}-day trip through Portugal in spring, with trains only.", "Translate 'where is the {w}' into French, German and Japanese.",
    "My {w} plant has yellow leaves. What should I do?", "Refactor this function so that it uses a {v} instead of a {w}.",
    "Compare revenue of {n} million in 2024 with {m} million in 2025 and comment on the trend.", "Write unit tests for a {w} class.",
    "What does HTTP status {h} mean, and when should an API return it?", "Create a SQL query that counts orders by month for 2025.",
    "Proofread: 'The meetings was moved to Tuesday because the {w} were late.'", "Suggest a healthy recipe with {n} eggs and {m} g of flour.",
    "Why is the sky blue? Answer in {n} sentences.", "List the planets with their distance from the sun in km.",
    "Who wrote Pride and Prejudice, and when was it published?", "What are the side effects of drinking too much coffee?",
    "Our team of {n} people works in {m} time zones. Propose meeting hours.", "Write a job advert for a senior {w} engineer.",
    "Explain how public-key cryptography works, with an analogy.", "Describe how password hashing differs from encryption.",
    "Calculate the compound interest on {n}000 euros at {m} percent for 12 years.", "What is the capital of Australia, and why is it not Sydney?",
    "Fix the grammar and keep my tone: we has been waiting since {n} weeks for the {w}.", "Outline a talk of {n} minutes about {w} design.",
    "How many calories are in {n} g of rice?", "Tell me a joke about a {w} that walks into a bar.",
    "Write a regular expression that matches dates like 2025-{n}-{m}.", "Explain what an IBAN is and how its check digits work.",
    "What is a social security number used for, and who may ask for it?", "Which vaccines does a child need before school?",
    "Give a short history of the city of Vienna.", "Analyse the poem below for metre and theme.", "Design a database schema for a {w} shop.",
    "What is the best way to store API keys in a Kubernetes cluster?", "Explain OAuth 2.0 refresh tokens to a junior developer.",
    "Write a cover letter for a data analyst who likes {w}s.", "What would Einstein say about social media?", "Build a workout plan with {n} sets of {m} squats.",
)  # fmt: skip


def machine(name: str) -> Document:
    """Lines of one kind of machine output, or of several."""
    r = random.Random(f"clean/machine/{name}")
    kinds = r.sample(sorted(MACHINE), k=1 if r.random() < 0.7 else 3)
    lines = [MACHINE[r.choice(kinds)](r) for _ in range(r.randint(3, 30))]
    return Document(name, kinds[0], "\n".join(lines))


def asked(name: str) -> Document:
    """A prompt as people write them, sometimes with a paragraph in another language behind it."""
    r = random.Random(f"clean/asked/{name}")
    w, v = r.sample(WORDS, 2)
    said = [
        r.choice(ASKED).format(w=w, v=v, n=r.randint(2, 30), m=r.randint(2, 28), h=r.choice((204, 401, 409, 429, 503)))
        for _ in range(r.randint(1, 4))
    ]
    if r.random() < 0.3:
        generator = fake(r.choice(LOCALES))
        generator.seed_instance(r.getrandbits(32))
        said.append("\n".join(generator.paragraphs(2)))
    return Document(name, "prompt", " ".join(said))


def excerpts(count: int) -> Iterator[Document]:
    """Pieces of the listed packages, the same ones for one lock file."""
    files: list[Path] = []
    for package in PACKAGES:
        spec = util.find_spec(package)
        roots = [] if spec is None else list(spec.submodule_search_locations or [])
        for root in roots:
            files += [p for p in sorted(Path(root).rglob("*")) if p.suffix in SUFFIXES and p.is_file()]
    r = random.Random("clean/excerpts")
    r.shuffle(files)
    at = 0
    made = 0
    while made < count and files:
        file = files[at % len(files)]
        at += 1
        text = file.read_text("utf-8", "ignore")
        start = r.randrange(max(len(text) - EXCERPT, 1))
        piece = text[start : start + EXCERPT]
        if len(piece) > 200:
            made += 1
            yield Document(f"{file.name}:{start}", "package", piece)


def documents(count: int) -> Iterator[Document]:
    """So many clean documents: two fifths machine output, a fifth prompts, two fifths packages."""
    for i in range(count * 2 // 5):
        yield machine(str(i))
    for i in range(count // 5):
        yield asked(str(i))
    yield from excerpts(count - count * 2 // 5 - count // 5)
