"""The region of an endpoint is told by its name, and nothing that a client could write there."""

from __future__ import annotations

import pytest

from sluice.targets.regions import region

KNOWN = {
    "bedrock-runtime.us-east-1.amazonaws.com": "us-east-1",
    "bedrock-runtime-fips.us-gov-west-1.amazonaws.com": "us-gov-west-1",
    "bedrock-mantle.eu-central-1.api.aws": "eu-central-1",
    "vpce-0a1b.bedrock-runtime.us-east-1.vpce.amazonaws.com": "us-east-1",
    "bedrock.cn-north-1.amazonaws.com.cn": "cn-north-1",
    "europe-west1-aiplatform.googleapis.com": "europe-west1",
    "northamerica-northeast1-aiplatform.googleapis.com": "northamerica-northeast1",
    "aiplatform.eu.rep.googleapis.com": "eu",
    "aiplatform.googleapis.com": "global",
    "eastus2.api.cognitive.microsoft.com": "eastus2",
    "mine.eastus2.models.ai.azure.com": "eastus2",
    "inference.generativeai.us-chicago-1.oci.oraclecloud.com": "us-chicago-1",
    "us-south.ml.cloud.ibm.com": "us-south",
    "eu.api.openai.com": "eu",
}
UNKNOWN = (
    "api.openai.com",
    "api.anthropic.com",
    "x.openai.azure.com",
    "4111111111111111.amazonaws.com",
    "bedrock.us-east-4111111111111111.amazonaws.com",
    "AKIA2E0A8F3B244C9986-aiplatform.googleapis.com",
    "us-east-1.amazonaws.com.example.org",
    "",
)


@pytest.mark.parametrize("host", KNOWN)
def test_regions_of_the_clouds(host: str) -> None:
    """AWS, Google Cloud, Azure, Oracle, IBM and OpenAI."""
    assert region(host) == KNOWN[host]


@pytest.mark.parametrize("host", UNKNOWN)
def test_other_names_have_none(host: str) -> None:
    """No region is made up."""
    assert region(host) is None
