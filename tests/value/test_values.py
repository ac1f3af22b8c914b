"""Values cannot be changed, and what may hold plaintext prints as nothing."""

from __future__ import annotations

import pickle
from copy import replace

import pytest

from sluice import model
from sluice.model import Client, Exchange, Finding, Part, PartKind, Provenance, RawCredential, Role
from sluice.value import Value

SECRET = "canary-5512"
PART = Part("/messages/0", Role.USER, PartKind.TEXT, Provenance.REQUEST, SECRET)
EXCHANGE = Exchange(
    id="1",
    at=0,
    client=Client("127.0.0.1", 1),
    method="POST",
    scheme="https",
    host="api.openai.com",
    port=443,
    path="/" + SECRET,
    query=SECRET,
    headers=(("x", SECRET),),
    trailers=(("x", SECRET),),
    body=SECRET.encode(),
)


@pytest.mark.parametrize("value", [PART, EXCHANGE, RawCredential("header:x", SECRET)], ids=["part", "exchange", "key"])
def test_plaintext_is_not_printed(value: Value) -> None:
    """`repr`, `str` and a containing tuple show the other fields and not the plaintext."""
    for text in (repr(value), str(value), f"{(value,)}"):
        assert SECRET not in text
        assert type(value).__name__ in text


def test_a_value_cannot_be_changed() -> None:
    """Assignment fails; `replace` makes another one, and the first is as it was."""
    with pytest.raises(AttributeError):
        PART.text = "other"  # type: ignore[misc]
    other = replace(PART, text="other")
    assert (PART.text, other.text, other.pointer) == (SECRET, "other", PART.pointer)


def test_values_are_compared_by_content() -> None:
    """Two values of one content are equal, also after a way through another process."""
    assert pickle.loads(pickle.dumps(PART)) == PART == replace(PART)  # noqa: S301 - our own bytes
    assert hash(PART) == hash(replace(PART))
    assert replace(PART, pointer="/x") != PART


def test_hidden_fields_exist() -> None:
    """A name in `HIDDEN` that is no field would hide nothing; a finding has nothing to hide."""
    kinds = [k for k in vars(model).values() if isinstance(k, type) and issubclass(k, Value) and k is not Value]
    assert len(kinds) > 20
    for kind in kinds:
        assert set(kind.__struct_fields__) >= kind.HIDDEN, kind
    assert not Finding.HIDDEN
