"""Which client sent a request: a closed list of names, so that no free text of a client reaches a record.

Headers that a client sets on purpose outrank its user agent, since many tools use a provider's SDK underneath.
Source: the clients' own sources and measured requests of November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_USER_AGENTS = re.compile(
    r"""(?P<claude_code>claude-(?:cli|code)/)
    |(?P<codex_cli>codex[-_][a-z_-]{2,20}/|codex/)
    |(?P<gemini_cli>GeminiCLI)
    |(?P<gemini_code_assist>CloudCodeVSCode/)
    |(?P<qwen_code>QwenCode/)
    |(?P<github_copilot_chat>GitHubCopilotChat/)
    |(?P<github_copilot>GithubCopilot/|copilot-language-server)
    |(?P<cline>Cline/)
    |(?P<roo_code>RooCode/)
    |(?P<kiro>aws-sdk-js/.{0,200}KiroIDE)
    |(?P<amazon_q>.{0,200}AmazonQ-For-)
    |(?P<continue>Continue/)
    |(?P<opencode>opencode/)
    |(?P<openai_python>(?:Async)?(?:Azure)?OpenAI/Python)
    |(?P<openai_node>(?:Azure)?OpenAI/JS)
    |(?P<anthropic_python>(?:Async)?Anthropic(?:Bedrock|Vertex|Foundry)?/Python)
    |(?P<anthropic_node>Anthropic(?:Bedrock|Vertex|Foundry)?/JS)
    |(?P<google_genai_python>google-genai-sdk/\S+\ gl-python)
    |(?P<google_genai_node>google-genai-sdk/\S+\ gl-node)
    |(?P<groq_python>(?:Async)?Groq/Python)
    |(?P<groq_node>Groq/JS)
    |(?P<boto3>Boto3/|Botocore/)
    |(?P<aws_sdk_js>aws-sdk-js/)
    |(?P<aws_cli>aws-cli/)
    |(?P<cohere_python>cohere/)
    |(?P<mistral_python>mistral-client-python/)
    |(?P<mistral_node>mistral-client-typescript/)
    |(?P<openrouter_python>speakeasy-sdk/python\ .{0,100}openrouter)
    |(?P<xai_python>XaiSdk/)
    |(?P<huggingface_hub_python>.{0,100};\ hf_hub/)
    |(?P<replicate_python>replicate-python/)
    |(?P<ollama_python>ollama-python/)
    |(?P<ollama_node>ollama-js/)
    |(?P<litellm>litellm/)
    |(?P<vercel_ai_sdk>ai/\d|ai-sdk/)
    |(?P<windsurf>connect-go/)
    |(?P<jetbrains_ai>ktor-client)
    |(?P<curl>curl/)
    |(?P<browser>Mozilla/)
    |(?P<python_requests>python-requests/)
    |(?P<httpx>python-httpx/)
    """,
    re.VERBOSE,
)
_VERSION = r"v?(?P<version>\d{1,2}(?:\.\d{1,3}){0,2}+)(?![\d.]*\d)"
"""Three short numbers and no more: nothing that anyone would hide fits in."""
_SDKS = re.compile(
    rf"""(?:Async)?(?:Azure)?(?P<vendor>OpenAI|Anthropic|Groq|Cerebras|Together|Fireworks|LlamaAPI|Stainless)
         (?:Bedrock|Vertex|Foundry)?/(?P<language>Python|JS|Go|Java|Ruby|Kotlin|PHP|CSharp)[ ]{_VERSION}.*
    |(?:.{{0,100}}[ ])?(?P<genai>google-genai-sdk)/{_VERSION.replace("version", "genai_version")}[ ]
         (?P<gl>gl-python|gl-node|gl-go|gl-java).*
    |(?P<name>Boto3|Botocore|aws-sdk-js|aws-cli|litellm|cohere|mistral-client-python|mistral-client-typescript
         |ollama-python|ollama-js|replicate-python|python-requests|python-httpx|axios|node-fetch|curl|GeminiCLI
         |claude-cli|claude-code|codex_cli_rs|codex|ai-sdk|openai-go|okhttp|Go-http-client|langchain)
         /{_VERSION.replace("version", "name_version")}.*
    """,
    re.VERBOSE,
)
_TITLES = {"cline": "cline", "roo code": "roo-code", "aider": "aider", "kilo code": "kilo-code", "zed": "zed"}
"""`X-Title`, as OpenRouter asks of its clients."""
_REFERERS = {"https://cline.bot": "cline", "https://aider.chat": "aider"}
_SYSTEM_TEXTS = (
    ("You are Claude Code", "claude-code"),
    ("You are Cline", "cline"),
    ("You are Roo", "roo-code"),
    ("You are Gemini CLI", "gemini-cli"),
    ("You are Codex", "codex-cli"),
    ("You are a coding agent running in the Codex CLI", "codex-cli"),
)
"""First words of a system prompt: what is left when a gateway has replaced the headers."""


def from_headers(headers: Mapping[str, str]) -> str | None:
    """The client's name by its headers (lower-case names); None when nothing tells."""
    title = _TITLES.get(headers.get("x-title", "").strip().lower())
    if title is not None:
        return title
    if "originator" in headers and headers["originator"].startswith("codex"):
        return "codex-cli"
    if "x-cursor-client-version" in headers:
        return "cursor-cli" if headers.get("x-cursor-client-type") == "cli" else "cursor"
    if "grazie-agent" in headers:
        return "jetbrains-ai"
    if "x-opencode-session" in headers:
        return "opencode"
    referer = headers.get("http-referer") or headers.get("referer", "")
    if referer.rstrip("/") in _REFERERS:
        return _REFERERS[referer.rstrip("/")]
    for name in ("user-agent", "x-goog-api-client"):
        found = _USER_AGENTS.match(headers.get(name, ""))
        if found is not None and found.lastgroup is not None:
            return found.lastgroup.replace("_", "-")
    if "origin" in headers or "sec-fetch-mode" in headers:
        return "browser"
    return None


def sdk(headers: Mapping[str, str]) -> str | None:
    """The client library and its version (`openai-python/1.99.1`), by its user agent; None when it says neither."""
    for name in ("user-agent", "x-goog-api-client"):
        found = _SDKS.fullmatch(headers.get(name, ""))
        if found is None:
            continue
        if vendor := found["vendor"]:
            return f"{vendor.lower()}-{found['language'].lower()}/{found['version']}"
        if found["genai"]:
            return f"google-genai-{found['gl'].removeprefix('gl-')}/{found['genai_version']}"
        return f"{found['name'].lower()}/{found['name_version']}"
    return None


def from_system_text(text: str) -> str | None:
    """The agent whose system prompt begins like this."""
    return next((name for start, name in _SYSTEM_TEXTS if text.startswith(start)), None)
