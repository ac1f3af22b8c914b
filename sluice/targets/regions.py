"""The cloud region of an endpoint, where its host name says it.

Only shapes of region names come out, never a part of a name that a client could choose freely.
Sources: AWS, Google Cloud, Azure, OCI, IBM and OpenAI endpoint lists of November 2026.
"""

from __future__ import annotations

import re
from functools import lru_cache

_AWS = r"[a-z]{2}(?:-[a-z]{3,4})?-(?:north|south|east|west|central|northeast|southeast|northwest|southwest)-\d"
_REGIONS = re.compile(
    rf"""(?:[a-z0-9-]{{1,80}}\.){{1,3}}(?P<aws>{_AWS})\.(?:(?:vpce\.)?amazonaws\.com(?:\.cn)?|api\.aws|on\.aws)
    |(?P<vertex>[a-z]{{2,14}}-[a-z]{{4,12}}\d{{1,2}})-aiplatform\.googleapis\.com
    |(?:[a-z]{{2,20}}\.)(?P<rep>us|eu)\.rep\.googleapis\.com
    |[a-z0-9-]{{1,80}}\.(?P<azure>[a-z]{{2,10}}(?:east|west|north|south|central)[a-z]{{0,10}}\d?|[a-z]{{4,12}}\d?)
        \.(?:models\.ai\.azure\.com|inference\.ml\.azure\.com)
    |(?P<cognitive>[a-z]{{4,20}}\d?)\.api\.cognitive\.microsoft\.com
    |(?:[a-z-]{{1,40}}\.){{1,3}}(?P<oci>[a-z]{{2}}-[a-z]{{4,14}}-\d)\.oci\.(?:oraclecloud|customer-oci)\.com
    |(?P<ibm>[a-z]{{2}}-[a-z]{{2,6}})\.ml\.cloud\.ibm\.com
    |(?P<openai>us|eu|au|ca|jp|in|sg|kr|ae|gb)\.api\.openai\.com
    """,
    re.VERBOSE,
)
_GLOBAL = {"aiplatform.googleapis.com": "global", "api.openai.com": None}


@lru_cache(maxsize=512)
def region(host: str) -> str | None:
    """`us-east-1` of `bedrock-runtime.us-east-1.amazonaws.com`, or None. `host` is normalised (lower case)."""
    found = _REGIONS.fullmatch(host)
    if found is None:
        return _GLOBAL.get(host)
    return found[found.lastgroup] if found.lastgroup else None
