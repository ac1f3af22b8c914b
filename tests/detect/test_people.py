"""Names of people: gazetteers, labels, and what is no name."""

from __future__ import annotations

import pytest

from sluice.detect import people
from sluice.detect.engine import Engine, scan_text


@pytest.mark.parametrize(
    "name", ["John Smith", "María García López", "Jean-Pierre Dupont", "Priya Sharma", "Sofie de Vries"]
)
def test_full_names(name: str) -> None:
    """A known given name and a family name are a person."""
    assert people.full_name(name, " said")


@pytest.mark.parametrize(
    ("value", "behind"),
    [("Michael", ""), ("Santa Barbara", ""), ("John Hancock", " Building"), ("Daniel Street", ""), ("Table Four", "")],
)
def test_what_is_no_person(value: str, behind: str) -> None:
    """One word, a place, a building or a heading are none."""
    assert not people.full_name(value, behind)


@pytest.mark.parametrize("value", ["unknown", "User Admin", "Customer Support", "n/a", "Order 12"])
def test_labels_with_no_name_behind_them(value: str) -> None:
    """What a field of a form holds when it holds no name."""
    assert not people.labelled_name(value)


def test_names_are_observed_in_every_form(engine: Engine) -> None:
    """Title, label, greeting, signature, header, JSON key, column, prose: each gives `pii.name`, not blocked."""
    for text in (
        "Dear Mr. Anderson,",
        "Name: John Smith",
        "My name is Anna Schmidt",
        "Best regards,\nJohn Carter",
        "From: Jane Doe <jane.doe@example.com>",
        '{"lastName": "García"}',
        "name,city\nJohn Smith,Oslo\n",
        "Please invite Michael O'Brien to the call",
    ):
        found = [f for f in scan_text(engine, text).findings if f.data_class == "pii.name"]
        assert found, text
        assert all(f.severity == "low" and f.validated is None for f in found)


def test_gazetteers_hold_no_common_words() -> None:
    """Words that prose is full of are no given names there."""
    assert not people.names("given-names") & {"will", "may", "mark", "april", "hope", "case", "page", "server"}
