"""What a record keeps of a User-Agent: the products on the list of this page, and their versions.

The header is the client's to fill: a sentence, a password or a customer's name fits in as well as a program. So it is
read as RFC 9110 (section 10.1.5) has it, products with versions and comments, and what is kept of it is

    product     a name of the list, spelled as the list has it; any other is `other`, said once
    /version    up to three numbers of at most three digits, and a short tag of a release (`1.2.0-beta.3`); of the four
                numbers of Chromium the first; a language of the list where SDKs write one (`OpenAI/Python 3.54.0`)
    (comment)   nothing

and nothing else. Names of a site's own programs are a setting (`evidence.programs`). Detectors and the recognition of
agents and SDKs (`agents`) see the whole header; this is for the record alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from sluice.dialects.names import OTHER
from sluice.dialects.words import listed

MOST = 8
"""Products of one header; a browser's has six."""
LOOKED_AT = 512
"""Characters of a header."""

BROWSERS = listed(
    """
    AppleWebKit Brave Chrome Chromium CriOS DuckDuckGo Edg EdgA EdgiOS Edge Electron Epiphany Firefox FxiOS Gecko
    HeadlessChrome Mobile Mozilla OPR Opera QtWebEngine SamsungBrowser Safari Thunderbird Trident UCBrowser Version
    Vivaldi YaBrowser
    """
)
AGENTS = listed(
    """
    AmazonQ-For-CLI AmazonQ-For-JetBrains AmazonQ-For-VSCode ChatGPT ChatGPT-User Claude Claude-User ClaudeBot Cline
    CloudCodeVSCode Code Code-Insiders Continue Cursor GPTBot GeminiCLI GitHubCopilotChat GithubCopilot JetBrains
    JetBrainsMCP KiloCode Kilo-Code KiroIDE OpenHands PerplexityBot QwenCode RooCode VSCodium Windsurf Zed aider amp
    claude-cli claude-code claude-desktop codex codex-mcp-client codex-tui codex_cli_rs codex_exec codex_sdk_py
    codex_sdk_ts codex_vscode copilot copilot-cli copilot-language-server cursor-agent goose opencode vscode warp
    """
)
VENDORS = listed(
    """
    Anthropic AnthropicAWS AnthropicBedrock AnthropicFoundry AnthropicVertex AsyncAnthropic AsyncAnthropicAWS
    AsyncAnthropicBedrock AsyncAnthropicFoundry AsyncAnthropicVertex AsyncAzureOpenAI AsyncCerebras AsyncFireworks
    AsyncGroq AsyncLlamaAPIClient AsyncOpenAI AsyncTogether AzureOpenAI Cerebras Fireworks Groq LlamaAPI LlamaAPIClient
    OpenAI OpenAIClient Stainless Together
    """
)
"""SDKs that write their language as version and their version behind it."""
SDKS = listed(
    """
    Boto3 Botocore MistralAI XaiSdk ai ai-sdk autogen aws-cli
    aws-sdk-cpp aws-sdk-dotnet aws-sdk-go aws-sdk-go-v2 aws-sdk-java aws-sdk-js aws-sdk-kotlin aws-sdk-nodejs
    aws-sdk-php aws-sdk-ruby2 aws-sdk-ruby3 aws-sdk-rust aws-sdk-swift azsdk-js-ai-inference-rest azsdk-net-AI.OpenAI
    azsdk-python-ai-agents azsdk-python-ai-inference azsdk-python-ai-projects azsdk-python-identity cohere
    cohere-python crewai deepgram-sdk dspy elevenlabs exec-env gapic gax gcloud gcloud-golang gccl gdcl gl-dotnet gl-go
    gl-java gl-js gl-node gl-php gl-python gl-ruby google-adk google-api-go-client google-api-nodejs-client
    google-api-python-client google-cloud-sdk google-genai-sdk grpc grpc-dotnet grpc-go grpc-java-netty grpc-node
    grpc-node-js grpc-python haystack hf_hub huggingface_hub instructor langchain langchain-anthropic
    langchain-google-genai langchain-openai langfuse langgraph langsmith-js langsmith-py litellm llama-index llamaindex
    lm-studio mcp mcp-python mcp-remote mistral-client-python mistral-client-typescript modelcontextprotocol n8n ollama
    ollama-js ollama-python openai-dotnet openai-go openai-java openai-node openai-python opentelemetry
    openrouter-python pinecone-python pydantic-ai replicate-javascript replicate-python semantic-kernel
    sentence-transformers smolagents speakeasy-sdk transformers vercel vllm
    """
)
PROGRAMS = listed(
    """
    Alamofire Apache-HttpClient Bun CFNetwork Dalvik Dart Darwin Deno Docker Docker-Client Faraday Go-http-client Guzzle
    GuzzleHttp HTTPie Insomnia Java Java-http-client Jersey Jetty Microsoft.NET Node.js PHP Postman PostmanRuntime
    PowerShell Python Python-urllib ReactorNetty Ruby WindowsPowerShell Wget Zapier aiohttp axios bruno-runtime
    connect-es connect-go connect-python containerd curl dotnet fasthttp fetch git got grpcurl helm httpcore httpx
    hyper isahc k6 ktor-client kubectl libcurl libwww-perl lua-resty-http node node-fetch okhttp
    provider-utils python-httpx python-requests python-urllib3 requests req reqwest rest-client restsharp runtime
    rust sluice superagent terraform undici unirest-java ureq urllib3
    """
)
LANGUAGES = listed("C CSharp Go JS Java Kotlin PHP Python Ruby Rust Swift TypeScript node python")

_LANGUAGES = {word.lower(): word for word in sorted(LANGUAGES, reverse=True)}
_NAMES = {name.lower(): name for name in sorted(BROWSERS | AGENTS | VENDORS | SDKS | PROGRAMS, reverse=True)}
"""By lower case: a client that spells a name in capitals of its choice does not get them recorded."""
_TAG = r"(?:a|alpha|b|beta|canary|dev|insider|insiders|next|nightly|post|pre|preview|rc|snapshot)"
_VERSION = re.compile(rf"v?(?:\d{{1,3}}\.){{0,2}}\d{{1,3}}(?:[-.]?{_TAG}(?:[-.]?\d{{1,3}})?)?", re.ASCII)
_CHROMIUM = re.compile(r"(\d{1,3})\.0\.\d{1,5}\.\d{1,3}", re.ASCII)


@lru_cache(maxsize=1024)
def products(header: str, own: tuple[str, ...] = ()) -> str | None:
    """What is kept of a User-Agent: `claude-cli/2.1.197`, `other python-httpx/0.28.1`; None of an empty one.

    `own` are names of the site's own programs. At most 400 characters.
    """
    names = _NAMES if not own else _NAMES | {name.lower(): name for name in own}
    kept: dict[str, str] = {}  # a product said again adds nothing
    spoken = ""  # `OpenAI/Python`, behind which its version stands as a word of its own
    for word in _words(header[:LOOKED_AT]):
        if spoken and _VERSION.fullmatch(word):
            kept[spoken] += f" {word}"
            spoken = ""
            continue
        name, _, version = word.rstrip(";,").partition("/")
        spoken = ""
        if (known := names.get(name.lower())) is None:
            kept[OTHER] = OTHER
        elif known not in kept:
            if known in VENDORS and (language := _LANGUAGES.get(version.lower())):
                kept[spoken := known] = f"{known}/{language}"
            else:
                kept[known] = known + _version(version.partition("/")[0])
        if len(kept) >= MOST and not spoken:
            break
    return " ".join(kept.values()) or None


def _version(text: str) -> str:
    if _VERSION.fullmatch(text):
        return f"/{text}"
    chromium = _CHROMIUM.fullmatch(text)
    return f"/{chromium[1]}" if chromium else ""


def _words(text: str) -> Iterable[str]:
    """The header without its comments, which may hold comments, in words."""
    if "(" not in text:
        return text.split()
    kept, depth, quoted = [], 0, False
    for c in text:
        if quoted:
            quoted = False
        elif c == "\\" and depth:
            quoted = True
        elif c == "(":
            depth += 1
            kept.append(" ")
        elif c == ")" and depth:
            depth -= 1
        elif not depth:
            kept.append(c)
    return "".join(kept).split()
