"""Long JSON cut down to what is wanted, within its bounds."""

from __future__ import annotations

import pytest

from sluice.answers.prune import MOST_DOCUMENTS, Pruner, Unreadable


def test_documents_without_end_are_not_read_on() -> None:
    """A few kB of compressed `{}` do not keep whoever reads them for seconds."""
    seen: list[bytes] = []
    pruner = Pruner({b"a": {}}, seen.append)
    with pytest.raises(Unreadable, match="documents"):
        pruner.feed(b"{}" * (MOST_DOCUMENTS + 1))
    assert len(seen) == MOST_DOCUMENTS
