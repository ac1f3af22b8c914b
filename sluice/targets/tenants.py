"""Tenant restriction: which rows of the destination table get which headers of `[[upstream.tenant]]`.

A provider that knows such a header refuses an account or key of any other tenant, on a network where a proxy adds it.
Names go out in lower case: HTTP/1 does not care (RFC 9110 section 5.1), HTTP/2 wants it (RFC 9113 section 8.2.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sluice.config import TenantHeader
from sluice.errors import Misconfigured, Problem
from sluice.model import Bound
from sluice.targets.table import Row


def by_row(headers: Sequence[TenantHeader], rows: Iterable[Row], source: str) -> dict[str, Bound]:
    """What is sent to each row; rows without a header are not in it. Raises `Misconfigured` for a header that no row
    gets: it would bind nothing, and nobody would see that."""
    out: dict[str, Bound] = {}
    used: set[int] = set()
    for row in rows:
        found = [
            (at, header)
            for at, header in enumerate(headers)
            if header.provider == row.provider and (not header.products or row.product in header.products)
        ]
        if found:
            used |= {at for at, _ in found}
            fields = tuple((h.header.lower().encode(), h.value.encode()) for _, h in found)
            out[row.id] = Bound(", ".join(name.decode() for name, _ in fields), fields, frozenset(n for n, _ in fields))
    lacking = [header for at, header in enumerate(headers) if at not in used]
    if lacking:
        raise Misconfigured(
            [
                Problem(source, None, f"upstream.tenant: no row of the destinations has provider `{header.provider}`"
                        + (f" with a product of {', '.join(header.products)}" if header.products else ""))
                for header in lacking
            ]
        )  # fmt: skip
    return out
