"""What a person reads: what happened, why, what to do, which decision."""

from __future__ import annotations

import tomllib
from copy import replace
from pathlib import Path

import pytest

from sluice.errors import Reason
from sluice.model import Action, Decision
from sluice.refusals.words import message, spoken

VOCABULARY = Path(__file__).parents[2] / "signatures" / "vocabulary.toml"
ID = "01936f2e-0000-7000-8000-00000000abcd"
BLOCK = Decision(action=Action.BLOCK, reason=Reason.CLASS_BLOCKED, rule="r", classes=("financial.card",))
REFUSE = Decision(action=Action.REFUSE, reason=Reason.OVERLOAD, rule="r")


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        (
            replace(BLOCK, blocked=("financial.card",), message="Use a test number."),
            "Sluice blocked this request: it contains a payment card number. Nothing was sent. Use a test number.",
        ),
        (
            replace(BLOCK, reason=Reason.PROVIDER_PROHIBITED),
            "Sluice blocked this request: this AI service is not allowed here. Nothing was sent.",
        ),
        (
            replace(BLOCK, reason=Reason.POLICY_RULE),
            "Sluice blocked this request: policy does not allow it. Nothing was sent.",
        ),
        (
            REFUSE,
            "Sluice did not send this request: too many requests are being checked; try again in a moment.",
        ),
        (
            replace(REFUSE, reason=Reason.UNKNOWN_ENCODING),
            "Sluice did not send this request: its compression is not one that can be read "
            "(use gzip, deflate, br, zstd or none).",
        ),
        (replace(REFUSE, reason=Reason.SCAN_ERROR), "Sluice did not send this request: it could not be checked."),
        (replace(REFUSE, reason="SOMETHING_NEW"), "Sluice did not send this request: it could not be checked."),
        (
            replace(REFUSE, reason=Reason.UPSTREAM_TLS),
            "Sluice could not pass this request on: the certificate of the AI service could not be verified.",
        ),
    ],
)
def test_messages(decision: Decision, text: str) -> None:
    """The text says whether policy said no or nobody could tell, and ends with the decision to ask about."""
    assert message(decision, ID) == f"{text} Decision {ID}."


@pytest.mark.parametrize(
    ("classes", "text"),
    [
        (("secret.cloud-key",), "a cloud access key"),
        (("secret.house-key",), "a secret (house key)"),
        (("financial.card", "contact.email"), "a payment card number and an e-mail address"),
        (
            ("government.us_ssn", "secret", "custom.thing"),
            "a government identity number (us ssn), a secret and data of the class custom.thing",
        ),
        (
            tuple(f"secret.k{n}" for n in range(7)),
            "a secret (k0), a secret (k1), a secret (k2), a secret (k3) and 3 more kinds of data",
        ),
        (("secret.<b>", "WEIRD\n.x"), "a secret (b) and data of the class weird .x"),
    ],
)
def test_classes_in_words(classes: tuple[str, ...], text: str) -> None:
    """Data classes are told in words, each once, at most five."""
    assert spoken(classes) == text


def test_every_shipped_class_has_words_of_its_own() -> None:
    """A class of the shipped vocabulary is told in words, not by its name."""
    for name in tomllib.loads(VOCABULARY.read_text("utf-8"))["classes"]:
        assert spoken((name,)).split()[0] in ("a", "an"), name
        assert name.partition(".")[2] not in spoken((name,)).split("("), name


def test_every_reason_is_told_in_one_line() -> None:
    """No reason is without words, and no text is more than one printable line of a length that clients show."""
    for reason in Reason:
        for decision in (replace(BLOCK, reason=reason), replace(REFUSE, reason=reason)):
            text = message(replace(decision, message="m" * 500), ID)
            assert text.isprintable()
            assert len(text) <= 1200
            assert text.endswith(f"Decision {ID}.")


def test_a_forbidden_port_is_told_as_a_port() -> None:
    """A port that is not forwarded to is not called an internal address; an address is."""
    forbidden = replace(REFUSE, reason=Reason.DESTINATION_FORBIDDEN)
    port = message(replace(forbidden, detail="port"), ID)
    assert "its port is not one that the gateway forwards to" in port and "internal address" not in port
    assert "internal address" in message(replace(forbidden, detail="loopback"), ID)


def test_an_id_that_is_not_ours_is_not_repeated() -> None:
    """A decision id is ours; something else in its place would be somebody's text."""
    assert message(BLOCK, "sk-live <b>").endswith("Decision unknown.")
