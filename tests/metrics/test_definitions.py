"""The definitions of the metrics are an interface: names, units and labels that a site's own rules can rely on."""

from __future__ import annotations

import re

import pytest

from addons.clientkind import KINDS, kind_of
from sluice import metrics
from sluice.tally import DEFINITIONS, counter

PRIVATE = ("subject", "user", "key", "host", "path", "model", "address", "client_ip", "content", "prompt")


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_a_metric_is_named_and_told_as_an_interface(name: str) -> None:
    """Its own prefix, lower case, no unit twice, a sentence as help, and no label that could name a person or a key."""
    made = DEFINITIONS[name]
    assert re.fullmatch(r"sluice(_[a-z]+)+", name)
    assert not name.endswith(("_total", "_count", "_sum", "_bucket"))
    assert made.help.endswith(".")
    assert made.help[0].isupper() or made.help[0].isdigit()
    assert not set(made.labels) & set(PRIVATE)
    if made.kind == "histogram":
        assert made.unit


def test_a_name_is_given_once() -> None:
    """Two definitions of one name would be two truths."""
    with pytest.raises(ValueError, match="defined twice"):
        counter("sluice_decisions", "Once more.")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (None, "none"),
        ("", "none"),
        ("curl/8.5.0", "curl"),
        ("python-httpx/0.28.1", "python"),
        ("Go-http-client/1.1", "go"),
        ("claude-cli/2.1.197 (external, cli)", "agent"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36", "browser"),
        ("Mozilla/5.0 (Macintosh) AppleWebKit/537.36 Code/1.99 Chrome/132 Electron/34.2 Safari/537.36", "electron"),
        ("x" * 5000 + "curl/8", "other"),
    ],
)
def test_what_a_client_calls_itself_becomes_one_of_a_few_words(said: str | None, kind: str) -> None:
    """A label never repeats what a client said."""
    assert kind_of(said) == kind


def test_the_kinds_of_clients_are_those_of_the_label() -> None:
    """The closed list of the definition is the one that the proxy uses."""
    assert set(KINDS) == set(metrics.CLIENTS)
