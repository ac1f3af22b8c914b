"""What has the make-up of a secret, and what only speaks of one."""

from __future__ import annotations

import pytest

from sluice.detect import passwords
from sluice.detect.engine import Engine, scan_text


@pytest.mark.parametrize(
    "value", ["hunter2", "Sup3rS3cret!", "tr0ub4dor&3", "Gato.7491", "9dfk2Lq0", "x9Kd02mQ", "P@ssw0rd!", "pg9.Lq27"]
)
def test_passwords_of_people(value: str) -> None:
    """Short and readable, but nothing else."""
    assert passwords.password(value)
    assert not passwords.reference(value)


@pytest.mark.parametrize(
    "value",
    [
        "required",
        "string",
        "password_confirmation",
        "userPassword",
        "hashed",
        "12345678",
        "1.2.3.4",
        "2024-05-01",
        "config.password",
        "os.environ['X']",
        "getenv('X')",
        "${DB_PASSWORD}",
        "{{ password }}",
        "<password>",
        "%(password)s",
        "self.password",
        "/run/secrets/db",
        "x:1000:1000::/home/u:/bin/sh",
        "aaaaaaaa1",
        "$2b$12$abcdefghijklmnopqrstuv",
        "123e4567-e89b-12d3-a456-426614174000",
        "at least eight characters",
        "пароль",
    ],
)
def test_what_is_no_password(value: str) -> None:
    """Words, names, numbers, dates, references, paths, hashes, identifiers."""
    assert not passwords.password(value)


@pytest.mark.parametrize(
    "value",
    ["AKIAIOSFODNN7EXAMPLE", "xxxxxxxx", "your-api-key", "YOUR_TOKEN", "changeme", "<token>", "...", "my-secret-key"],
)
def test_stand_ins(value: str) -> None:
    """What nobody would take for a value is a placeholder or a reference."""
    assert passwords.placeholder(value) or passwords.reference(value)


@pytest.mark.parametrize("value", ["Xk9!vTq2mZ+AKIAIOSFODNN7EXAMPLE", "Xk9!vTq2mZa@example.com"])
def test_a_sample_behind_a_password_makes_no_sample(value: str) -> None:
    """A documented example glued to a real password does not turn it into one."""
    assert not passwords.placeholder(value)


@pytest.mark.parametrize("value", ["sk-ant-api03-" + "A" * 93, "AKIAQWERTYUIOPASDFGH", "hunter2", "0000000000000000"])
def test_plain_repetition_is_no_stand_in(value: str) -> None:
    """Only unmistakable placeholders are: a run of another letter may be somebody's key."""
    assert not passwords.placeholder(value)


@pytest.mark.parametrize("value", ["4f3c2b1a0e9d8c7b6a5f4e3d2c1b0a9f", "Zk3v9Qw7Lm2Xr8Tp", "ya29_Kd0sLq29-xmZpQ3"])
def test_tokens_of_machines(value: str) -> None:
    """Long, mixed, without words."""
    assert passwords.token(value)


@pytest.mark.parametrize(
    "value",
    [
        "checkout-service-v2-production-eu-west-1",
        "TOK_STREAM_HOP2_B64",
        "rust_openssl.hpke.MLKEM768X25519PrivateKey",
        "bert-base-uncased-finetuned-sst2",
        "0123456789",
        "aaaaaaaaaaaaaaaaaaaa1",
        "some_function_name_with_words_2",
    ],
)
def test_what_is_no_token(value: str) -> None:
    """Names of services, constants, types and models; short or even runs."""
    assert not passwords.token(value)


def test_entropy_in_bits() -> None:
    """Two symbols, equally often: one bit a character."""
    assert passwords.entropy("abab") == 1.0
    assert passwords.entropy("aaaa") == 0.0
    assert passwords.entropy("") == 0.0


@pytest.mark.parametrize(
    "text",
    [
        '"pass": "El elemento no tiene un tabindex mayor que 0",',
        "export declare function pbkdf2(password: Uint8Array, salt: Uint8Array): Uint8Array;",
        "The default password hashing algorithm is now Argon2id. The rest stays.",
        "  * Add new upstream signing key 19882D92DDA4C400C22C0D56CC2AF4472167BE03",
        "a.h\nb997517250e6f81c1af28c74e5d7d3a0  usr/include/rollbar/private/token.h\n"
        "0b7517250e6f81c1af28c74e5d7d3a09  usr/include/rollbar/key.h",
        "commonly used MC146818A-compatible clocks",
        "4F9E 4F92 4F82 4F95 4F6B 4F6E\n519E 51BC 51BE 5235 5232 5233 5246 5231 52BC 530A",
    ],
)
def test_text_of_other_people_is_left_alone(engine: Engine, text: str) -> None:
    """What real files on a machine hold, and a gate must not stop: locales, types, change logs, tables, checksums."""
    stops = ("secret.", "financial.", "government.")
    assert not [f for f in scan_text(engine, text).findings if f.data_class.startswith(stops) and not f.example]
