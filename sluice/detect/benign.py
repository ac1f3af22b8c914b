"""Clean but tempting text for the lint: what a gate must never block.

Half of it is written by hand (`signatures/benign/*.txt`: code that handles passwords, templates, documentation, records
full of numbers). This file makes the other half: identifiers, digests, timestamps, order numbers, lock files, logs,
minified code and images by the hundred kilobyte, the same in every process.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sluice.detect.examples import CLASSES, draw

ROUNDS = 40
"""Documents of each kind."""
LINES = 40
"""Lines of one document."""

WORDS = tuple(
    """
    the of and to a in is it for on that with as this by from be are or an at we not can will has have which you all if
    request response service order customer invoice report meeting project release change review team question answer
    please thank regards about after before because between during under over again summary draft table figure chapter
    server client network latency memory thread queue worker index column schema migration cache timeout retry harbour
    winter garden letter bridge market engine village library journey evening window picture mountain river
    """.split()  # noqa: SIM905 - words read better as words
)


class Source:
    """Numbers and strings in a fixed order: SHA-256 in counter mode, so nothing depends on a random module."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def text(self, alphabet: str, length: int) -> str:
        self._count += 1
        return draw(CLASSES[alphabet], length, f"benign/{self._name}/{self._count}")

    def number(self, low: int, high: int) -> int:
        return low + int(self.text("digit", 9)) % (high - low + 1)

    def uuid(self) -> str:
        h = self.text("hex", 32)
        return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"

    def time(self) -> str:
        return (
            f"2024-{self.number(1, 12):02d}-{self.number(1, 28):02d}T"
            f"{self.number(0, 23):02d}:{self.number(0, 59):02d}:{self.number(0, 59):02d}.{self.number(0, 999):03d}Z"
        )

    def words(self, count: int) -> str:
        return " ".join(WORDS[self.number(0, len(WORDS) - 1)] for _ in range(count))


def documents(written: Path) -> Iterator[tuple[str, str]]:
    """(name, text) of every benign document: the files in `written`, then the generated ones."""
    for file in sorted(written.glob("*.txt")):
        yield file.name, file.read_text("utf-8")
    for round_ in range(ROUNDS):
        for kind, line in LINE.items():
            source = Source(f"{kind}/{round_}")
            yield f"{kind}-{round_}", "\n".join(line(source) for _ in range(LINES))


def prose(size: int, name: str = "prose") -> str:
    """Plain English-looking text of about `size` characters: what the speed goals are measured on."""
    source = Source(name)
    out: list[str] = []
    total = 0
    while total < size:
        sentence = source.words(source.number(6, 18)).capitalize() + ". "
        out.append(sentence)
        total += len(sentence)
    return "".join(out)[:size]


def _log(s: Source) -> str:
    return (
        f"{s.time()} INFO [worker-{s.number(1, 64)}] trace={s.text('hex', 32)} span={s.text('hex', 16)}"
        f" user_id={s.number(1000, 99999999)} took={s.number(1, 9999)}ms bytes={s.number(100, 999999999)}"
        f" GET /api/v{s.number(1, 4)}/orders/{s.uuid()}?page={s.number(1, 99)}"
    )


def _record(s: Source) -> str:
    return (
        f'{{"id":"{s.uuid()}","order":{s.text("digit", s.number(8, 15))},"epoch":17{s.text("digit", 8)},'
        f'"ms":17{s.text("digit", 11)},"score":0.{s.text("digit", 16)},"etag":"{s.text("hex", 40)}",'
        f'"cursor":"{s.text("b64url", 22)}","amount":{s.number(1, 99999)}.{s.number(10, 99)}}}'
    )


def _lock(s: Source) -> str:
    name = "-".join(s.words(2).split())
    return (
        f'"node_modules/{name}": {{"version": "{s.number(0, 30)}.{s.number(0, 30)}.{s.number(0, 30)}",'
        f' "resolved": "https://packages.example.com/{name}/-/{name}-{s.number(1, 9)}.0.{s.number(0, 20)}.tgz",'
        f' "integrity": "sha512-{s.text("b64", 86)}=="}}'
    )


def _commit(s: Source) -> str:
    return f"{s.text('hex', 40)} {s.text('hex', 7)}..{s.text('hex', 7)} {s.words(7)} (#{s.number(1, 9999)})"


def _code(s: Source) -> str:
    a, b, c = s.words(3).split()
    return (
        f"    {a}_{b} = self.{c}_{a}(token={b}_token, password={c}.password, api_key=settings.{a}_api_key,"
        f" timeout={s.number(1, 900)}, mask=0x{s.text('HEX', 8)})  # {s.words(5)}"
    )


def _table(s: Source) -> str:
    return ",".join(
        [
            s.text("digit", s.number(3, 8)),
            s.words(2),
            s.time()[:10],
            f"{s.number(1, 9999)}.{s.number(10, 99)}",
            s.text("uppernum", s.number(4, 9)),
            str(s.number(10000, 99999)),
        ]
    )


def _mail(s: Source) -> str:
    return (
        f"{s.words(12).capitalize()}. Order {s.text('digit', 10)}, ticket #{s.number(10000, 999999)}: {s.words(9)}."
        f" The password {s.words(3)}; the token {s.words(4)}."
        f" Room {s.number(1, 400)}, extension {s.number(1000, 9999)}."
    )


def _minified(s: Source) -> str:
    a, b = s.text("alpha", 2), s.text("alpha", 2)
    return (
        f'function {a}({b}){{var t={b}.password,n="{s.words(1)}",r={s.number(1, 99999)};return t&&t.length>8?'
        f'{{token:n,secret:{b}.secret,id:"{s.text("alnum", 11)}"}}:null}}'
    )


def _image(s: Source) -> str:
    return f"![figure](data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA{s.text('b64', 320)}==)"


LINE = {
    "log": _log,
    "record": _record,
    "lock": _lock,
    "commit": _commit,
    "code": _code,
    "table": _table,
    "mail": _mail,
    "minified": _minified,
    "image": _image,
}
