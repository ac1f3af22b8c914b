"""Values of a seed that look like what must not leave: well-formed, with their checksums, and belonging to nobody."""

from __future__ import annotations

import string
from random import Random

from tests.clients import planted

__all__ = [
    "ai_key",
    "api_key",
    "card",
    "cloud_key",
    "cloud_secret",
    "code_token",
    "email",
    "iban",
    "record_number",
    "ssn",
]

_LETTERS = string.ascii_letters + string.digits
card, ssn = planted.card_number, planted.ssn
cloud_key, cloud_secret, code_token = planted.aws_access_key, planted.aws_secret_key, planted.github_token


def api_key(prefix: str, rng: Random, length: int = 48) -> str:
    """A key of this day's clients: enough for a credential position, where the gate reads the prefix alone."""
    return prefix + "".join(rng.choices(_LETTERS, k=length))


def ai_key(rng: Random) -> str:
    """A project key as OpenAI makes them: two halves around its mark."""
    return f"sk-proj-{''.join(rng.choices(_LETTERS, k=74))}T3BlbkFJ{''.join(rng.choices(_LETTERS, k=74))}"


def iban(rng: Random) -> str:
    """A German account number whose check digits fit (ISO 13616: the remainder by 97 is 1)."""
    account = f"{rng.randrange(10**17, 10**18)}"
    return f"DE{98 - int(f'{account}131400') % 97:02}{account}"


def record_number(rng: Random) -> str:
    """A medical record number of eight digits."""
    return str(rng.randrange(10_000_000, 99_999_999))


def email(name: str) -> str:
    """The address of a made-up person at a made-up post office."""
    return f"{name.lower().replace(' ', '.')}@fernwick-post.net"
