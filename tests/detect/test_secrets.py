"""What is proven of a credential from its characters: wallets, values of no form, published keys, passwords told."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.detect import passwords, secrets
from sluice.detect.examples import CLASSES, draw
from sluice.detect.seedwords import PLACE, WORDS

# Vectors: BIP-39, BIP-32, BIP-173, NIP-19, SEP-23 and the XRP Ledger's documentation.
PHRASE = "jelly better achieve collect unaware mountain thought cargo oxygen act hood bridge"
WIF = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ"
STELLAR = "SAV76USXIJOBMEQXPANUOQM6F5LIOTLPDIDVRJBFFE2MDJXG24TAPUU7"
RIPPLE = "snoPBrXtMeMyMHUVTgbuqAfg1SUTb"


def test_the_list_is_complete_and_in_order() -> None:
    """A word's place is its eleven bits, so that one word missing would break every phrase behind it."""
    assert len(WORDS) == len(PLACE) == 2048
    assert list(WORDS) == sorted(WORDS)
    assert (WORDS[0], WORDS[2047]) == ("abandon", "zoo")


def test_phrase_ends_where_its_checksum_holds() -> None:
    """What stands behind the twelfth word is not part of the phrase, though it be a word of the list."""
    seed = secrets.seed_phrase(f"{PHRASE} thank you")
    assert seed is not None
    assert (seed.end, seed.checked, seed.published) == (len(PHRASE), True, False)


def test_one_word_changed_is_no_checked_phrase() -> None:
    """The neighbour of a phrase has the words and not the checksum."""
    seed = secrets.seed_phrase(PHRASE.replace("bridge", "brief"))
    assert seed is not None
    assert not seed.checked


@pytest.mark.parametrize("between", ["\n", ", ", " | ", '", "', "\\n"])
def test_phrase_is_found_whatever_stands_between_its_words(between: str) -> None:
    """Lists, JSON arrays and escaped line breaks hold phrases as sentences do."""
    seed = secrets.seed_phrase(between.join(PHRASE.split()))
    assert seed is not None
    assert seed.checked


def test_numbered_phrase() -> None:
    """Wallets print the words with numbers before them."""
    text = "\n".join(f"{i}. {word}" for i, word in enumerate(PHRASE.split(), 1))
    seed = secrets.seed_phrase(text)
    assert seed is not None
    assert seed.checked


def test_words_of_the_list_before_a_phrase_are_no_phrase_of_their_own() -> None:
    """`secret` and `phrase` are words of the list: the phrase begins behind them, and is reported once."""
    assert secrets.seed_phrase(f"secret phrase {PHRASE}") is None


def test_vector_of_one_repeated_byte_is_published() -> None:
    """The vectors of BIP-39 are in every wallet's documentation."""
    seed = secrets.seed_phrase("abandon " * 11 + "about")
    assert seed is not None
    assert seed.published


def test_prose_is_no_phrase() -> None:
    """Eleven words of the list and one that is not."""
    assert secrets.seed_phrase(PHRASE.replace("cargo", "freight")) is None


def test_base58check_and_its_neighbour() -> None:
    """A changed character breaks the checksum; so does the alphabet of another chain."""
    payload = secrets.base58check(WIF)
    assert payload is not None
    assert payload[0] == 0x80
    assert secrets.base58check(WIF[:-1] + "K") is None
    assert secrets.base58check(RIPPLE) is None
    assert secrets.base58check(RIPPLE, secrets.RIPPLE58) is not None
    assert secrets.base58check("") is None


def test_bech32_and_its_neighbour() -> None:
    """BIP-173's and BIP-350's own vectors, and one character off."""
    assert secrets.bech32("A12UEL5L")
    assert secrets.bech32("A1LQFN3A")
    assert not secrets.bech32("A12UEL5Q")
    assert not secrets.bech32("")


def test_strkey_and_its_neighbour() -> None:
    """SEP-23: the CRC covers every byte of the key."""
    raw = base64.b32decode(STELLAR)
    assert secrets.strkey(raw)
    assert not secrets.strkey(raw[:5] + bytes([raw[5] ^ 1]) + raw[6:])


def test_curve_key_lies_below_the_order() -> None:
    """Zero, the order itself and a padded number are no keys; sixty-four random digits are."""
    assert secrets.curve_key(draw(CLASSES["hex"], 64, "key"))
    assert not secrets.curve_key(f"{secrets.CURVE_ORDER:064x}")
    assert not secrets.curve_key("0" * 63 + "1")


@pytest.mark.parametrize(
    "before",
    ["VENDOR_TOKEN=", '"apiKey": "', "vendor secret is ", "Authorization: Bearer ", "[DEBUG] Using Key=", "<secret>"],
)
def test_value_announced_as_a_credential_is_one(before: str) -> None:
    """The word that announces it stands directly before the value."""
    assert secrets.issued(draw(CLASSES["hex"], 40, before), before)


@pytest.mark.parametrize(
    "before",
    [
        "vendor commit ",
        "token sha256:",
        "api key checksum ",
        '"key_id": "',
        "secret, request_id=",
        "https://git.example/vendor/token#",
        '"nextPageToken": "',
        "csrf_token=",
        "vendor sent ",
    ],
)
def test_value_called_something_else_is_none(before: str) -> None:
    """The same digits behind `commit` or `key_id` are a name, not a key."""
    assert not secrets.issued(draw(CLASSES["hex"], 40, before), before)


@pytest.mark.parametrize("value", ["checkout-service-production-v2", "maxRetriesPerRequest20", "1" * 32, "a" * 40])
def test_names_and_runs_are_not_random(value: str) -> None:
    """Neither words with a digit nor one character many times."""
    assert not secrets.random(value)


def test_letters_alone_are_told_by_their_case() -> None:
    """One random key in fifty has no digit; an identifier changes its case at its words only."""
    assert passwords.scrambled("VDxkMWUrentNohdrSomDrD")
    assert not passwords.scrambled("maxRetriesPerRequestOfClient")


def test_letters_that_no_word_has_are_no_word() -> None:
    """Random small letters are pronounceable often enough; their pairs are not those of words."""
    assert not passwords.wordlike("2lnof2uocnoo4755a3ihbwympqa")
    assert passwords.wordlike("learnpreprocessingpipelinetransformers")


def test_published_key_is_a_placeholder_in_every_form() -> None:
    """Azurite's key alone and in its connection string, Hardhat's first account with and without `0x`."""
    azurite = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw" + "=="
    hardhat = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
    for value in (azurite, f"AccountName=devstoreaccount1;AccountKey={azurite}", hardhat, f"0x{hardhat}"):
        assert passwords.placeholder(value)
    assert not passwords.placeholder(hardhat.replace("ac09", "ac08"))


@pytest.mark.parametrize(
    ("value", "strong"),
    [
        ("Tr0ub4dor&3x", True),
        ("h7Kq-29xLm", True),
        ("OAuth2ImplicitGrant", False),
        ("sha256-hashed", False),
        ("db_index=2", False),
        ("required", False),
    ],
)
def test_strong_password_is_no_word_of_a_sentence(value: str, strong: bool) -> None:
    """A password told in prose blocks, so that it must be unlike anything prose holds."""
    assert passwords.strong(value) is strong


def test_short_random_letters_are_a_password() -> None:
    """Twelve random letters have no digit in one case of eight; a variable's name keeps to pairs that words have."""
    assert passwords.password("awMhKZixMtoL")
    assert not passwords.password("dbPwdEnvName")


def test_key_of_a_web_framework_has_signs_in_it() -> None:
    """Django's keys; a sentence in the same place is none."""
    assert passwords.signed("wwf*2#86t64!fgh6yav$aoeuo@u2o@fy&*gg76q!&%6x_wbduad")
    assert not passwords.signed("please set the secret key in section 2 of the file!")


_PIECES = """
    sha sha-256 md5 hash commit etag trace span build tag txn locale nextPageFoo request_uuid order-id uid uuid
    public_key publishable_key csrf xsrfToken next_token page-token sync_token site_key SiteKey /commit/ /blobs/ sha1:
    key_id= keyid key password secret token foo : = ' " ` @ # ( > , | - 7 é \\
    """.split()  # noqa: SIM905 - words read better as words


@given(st.lists(st.sampled_from([*_PIECES, " ", "_", "-", "\n"]), max_size=7).map("".join))
def test_the_quick_look_agrees_with_the_expression(before: str) -> None:
    """What is told without the slow search is what the search would tell."""
    expression = secrets._OTHERWISE
    assert secrets.otherwise(before) == (expression.search(before[-64:]) is not None)
