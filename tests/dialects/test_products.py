"""What is kept of a User-Agent: known products and bounded versions, nothing of anybody's text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.dialects import agents, products

GRAMMAR = re.compile(
    r"(?:other|[A-Za-z][\w.-]*?(?:/(?:v?\d{1,3}(?:\.\d{1,3}){0,2}(?:[-.]?[a-z]+(?:[-.]?\d{1,3})?)?"
    r"|[A-Z]\w+(?: v?\d{1,3}(?:\.\d{1,3}){0,2}(?:[-.]?[a-z]+(?:[-.]?\d{1,3})?)?)?))?)"
)
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.6778.86 Safari/537.36"


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ("AsyncOpenAI/Python 3.54.0", "AsyncOpenAI/Python 3.54.0"),
        ("Anthropic/JS 1.12.0", "Anthropic/JS 1.12.0"),
        (f"{CHROME} Edg/131.0.0.0", "Mozilla/5.0 AppleWebKit/537.36 Chrome/131 Safari/537.36 Edg/131"),
        ("Mozilla/5.0 (X11; rv:145.0) Gecko/20100101 Firefox/145.0", "Mozilla/5.0 Gecko Firefox/145.0"),
        ("claude-cli/2.1.197 (external, cli)", "claude-cli/2.1.197"),
        ("codex_cli_rs/0.169.0 (Debian 12.0.0; x86_64) xterm", "codex_cli_rs/0.169.0 other"),
        ("GeminiCLI/0.61.0/gemini-3-pro (linux; x64)", "GeminiCLI/0.61.0"),
        ("google-genai-sdk/3.4.0 gl-python/3.12", "google-genai-sdk/3.4.0 gl-python/3.12"),
        ("unknown/None; hf_hub/0.20.0; python/3.12", "other hf_hub/0.20.0 Python/3.12"),
        ("litellm/1.80.0-rc.1", "litellm/1.80.0-rc.1"),
        ("CURL/8.5.0", "curl/8.5.0"),
        ("support-desk/2.1 python-httpx/0.28.1", "other python-httpx/0.28.1"),
    ],
)
def test_known_programs_are_named(header: str, kept: str) -> None:
    """Products of the list with their versions, as the clients send them."""
    assert products.products(header) == kept


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ("zqx7 is my password", "other"),
        ("curl/8 (zqx7 (is) my\\) password", "curl/8"),
        ("curl/zqx7", "curl"),
        ("curl/8.zqx7", "curl"),
        ("curl/8-zqx7", "curl"),
        ("curl/4111.1111.1111.1111", "curl"),
        ("curl/123.45.6789", "curl"),
        ("Chrome/4111.1111.1111.1111", "Chrome"),
        ("OpenAI/Python zqx7", "OpenAI/Python other"),
        ("OpenAI/zqx7 1.2", "OpenAI other"),
        ("1.2.3 curl 4.5.6", "other curl"),
        ("curl/1 curl/2 curl/3", "curl/1"),
        ("curl\N{FULLWIDTH SOLIDUS}8", "other"),
        ("curl/\N{ARABIC-INDIC DIGIT EIGHT}", "curl"),
        ("cUrL/8", "curl/8"),
        ("x" * 10_000 + " curl/8", "other"),
        ("", None),
        ("(zqx7)", None),
    ],
)
def test_nothing_of_another_text_is_kept(header: str, kept: str | None) -> None:
    """Prose, comments, numbers that are no version and capitals of one's own choice leave nothing behind."""
    assert products.products(header) == kept


def test_a_sites_own_programs_are_named() -> None:
    """`evidence.programs` adds names to the list, and nothing but names."""
    header = "support-desk/2.1 python-httpx/0.28.1 zqx7/1"
    assert products.products(header, ("Support-Desk",)) == "Support-Desk/2.1 python-httpx/0.28.1 other"


WORD = st.sampled_from([*sorted(products.PROGRAMS)[:40], *sorted(products.VENDORS)[:6], "zqx7", "Python", "JS"])
PIECE = st.one_of(
    WORD,
    st.builds("{}/{}".format, WORD, st.from_regex(r"v?\d{1,5}(\.\w{1,5}){0,4}", fullmatch=True)),
    st.builds("{}/{}".format, WORD, WORD),
    st.text(max_size=20),
)


@given(st.lists(PIECE, max_size=12).map(" ".join))
def test_the_grammar_is_closed(header: str) -> None:
    """Whatever is sent, each word that is kept is `other`, or a product of the list with a bounded version."""
    kept = products.products.__wrapped__(header) or ""
    assert len(kept) <= 400
    assert "zqx7" not in kept
    names = products.BROWSERS | products.AGENTS | products.VENDORS | products.SDKS | products.PROGRAMS
    for word in re.split(r" (?=[A-Za-z])(?!v\d)", kept) if kept else ():
        assert GRAMMAR.fullmatch(word), word
        assert word == "other" or word.partition("/")[0].partition(" ")[0] in names, word


def test_every_name_of_the_recogniser_is_on_the_list() -> None:
    """Clients that are recognised by their User-Agent can be named in a record too."""
    plain = re.findall(r"\|?(?:\(\?P<\w+>)?([A-Za-z][A-Za-z0-9_-]{2,})/(?:\)|\\)", agents._USER_AGENTS.pattern)
    plain += re.search(r"\(\?P<name>([^)]*)\)", agents._SDKS.pattern)[1].split("|")  # type: ignore[index]
    assert len(plain) > 40
    for name in {p.strip() for p in plain}:
        assert products.products(f"{name}/1.0") == f"{name}/1.0", name
    lists = (products.BROWSERS, products.AGENTS, products.VENDORS, products.SDKS, products.PROGRAMS)
    assert len({name.lower() for names in lists for name in names}) == sum(map(len, lists)), "one spelling, one list"
