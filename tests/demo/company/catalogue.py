"""The 25 AI products that are in use, with what the organisation has agreed about each, and has not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

type Wire = Literal["openai", "responses", "anthropic", "google", "embeddings", "web"]
"""How its requests are written; `web` is the JSON of a chat page, which no dialect knows."""

SANCTIONED, TOLERATED, PROHIBITED, UNREVIEWED = "sanctioned", "tolerated", "prohibited", "unreviewed"


@dataclass(frozen=True, slots=True)
class Product:
    """One product. `name` and `provider` are those of the destination table; `key` is what its API keys begin with."""

    id: str
    provider: str
    name: str
    host: str
    wire: Wire
    path: str
    status: str
    models: tuple[str, ...] = ()
    key: str = ""
    title: str = ""

    @property
    def is_web(self) -> bool:
        return self.wire == "web"


def _api(id: str, provider: str, name: str, host: str, status: str, models: str, key: str, title: str,
         wire: Wire = "openai", path: str = "/v1/chat/completions") -> Product:  # fmt: skip
    return Product(id, provider, name, host, wire, path, status, tuple(models.split()), key, title)


def _web(id: str, provider: str, name: str, host: str, path: str, status: str, title: str) -> Product:
    return Product(id, provider, name, host, "web", path, status, title=title)


PRODUCTS = (
    _api("openai", "openai", "openai-api", "api.openai.com", SANCTIONED, "gpt-6.1 gpt-6.1-mini gpt-5", "sk-proj-",
         "OpenAI API"),
    _api("anthropic", "anthropic", "claude-api", "api.anthropic.com", SANCTIONED,
         "claude-sonnet-5 claude-haiku-5", "sk-ant-api03-", "Claude API", "anthropic", "/v1/messages"),
    _api("google", "google", "gemini-api", "generativelanguage.googleapis.com", SANCTIONED,
         "gemini-3-flash gemini-3-pro", "AIza", "Gemini API", "google", "/v1beta/models"),
    _api("azure", "azure-openai", "azure-openai", "nordhaven.openai.azure.com", SANCTIONED, "gpt-6.1", "",
         "Azure OpenAI", path="/openai/v1/chat/completions"),
    _api("bedrock", "aws", "bedrock", "bedrock-mantle.us-east-1.api.aws", SANCTIONED, "openai.gpt-oss-120b", "ABSK",
         "Amazon Bedrock"),
    _api("copilot", "github-copilot", "github-copilot", "api.githubcopilot.com", SANCTIONED, "gpt-6.1-copilot", "",
         "GitHub Copilot", path="/chat/completions"),
    _api("mistral", "mistral", "mistral-api", "api.mistral.ai", TOLERATED, "mistral-large-3", "", "Mistral API"),
    _api("cohere", "cohere", "cohere-api", "api.cohere.com", TOLERATED, "command-b-plus", "", "Cohere API",
         path="/compatibility/v1/chat/completions"),
    _api("voyage", "voyage", "voyage-embeddings", "api.voyageai.com", TOLERATED, "voyage-4", "", "Voyage embeddings",
         "embeddings", "/v1/embeddings"),
    _api("openrouter", "openrouter", "openrouter-gateway", "openrouter.ai", TOLERATED, "qwen/qwen4-coder", "sk-or-v1-",
         "OpenRouter", path="/api/v1/chat/completions"),
    _api("groq", "groq", "groq-api", "api.groq.com", UNREVIEWED, "llama-5-70b", "gsk_", "Groq API",
         path="/openai/v1/chat/completions"),
    _api("together", "together", "together-api", "api.together.ai", UNREVIEWED, "deepseek-ai/DeepSeek-V4", "tgp_v1_",
         "Together AI"),
    _api("xai", "xai", "xai-api", "api.x.ai", UNREVIEWED, "grok-5", "xai-", "xAI API"),
    _api("huggingface", "huggingface", "hf-inference", "router.huggingface.co", UNREVIEWED, "meta-llama/Llama-5-8B",
         "hf_", "Hugging Face"),
    _api("deepseek", "deepseek", "deepseek-api", "api.deepseek.com", PROHIBITED, "deepseek-chat", "", "DeepSeek API"),
    _web("chatgpt", "openai", "chatgpt", "chatgpt.com", "/backend-api/conversation", SANCTIONED, "ChatGPT Enterprise"),
    _web("claude", "anthropic", "claude", "claude.ai", "/api/append_message", SANCTIONED, "Claude"),
    _web("ms-copilot", "microsoft-copilot", "microsoft-copilot", "copilot.microsoft.com", "/c/api/chat", TOLERATED,
         "Microsoft Copilot"),
    _web("perplexity", "perplexity", "perplexity", "www.perplexity.ai", "/rest/sse/perplexity_ask", UNREVIEWED,
         "Perplexity"),
    _web("deepseek-chat", "deepseek", "deepseek-chat", "chat.deepseek.com", "/api/v0/chat/completion", PROHIBITED,
         "DeepSeek chat"),
    _web("grammarly", "grammarly", "grammarly-app", "capi.grammarly.com", "/api/check", TOLERATED, "Grammarly"),
    _web("elevenlabs", "elevenlabs", "elevenlabs-speech", "api.elevenlabs.io", "/v1/text-to-speech/voice",
         UNREVIEWED, "ElevenLabs"),
    _web("midjourney", "midjourney", "midjourney-media", "www.midjourney.com", "/api/imagine", UNREVIEWED,
         "Midjourney"),
    _web("otter", "otter", "otter-meetings", "otter.ai", "/forward/api/v1/summary", PROHIBITED, "Otter"),
    _web("cursor", "cursor", "cursor", "api2.cursor.sh", "/", UNREVIEWED, "Cursor"),
)  # fmt: skip
BY_ID = {p.id: p for p in PRODUCTS}
EMBEDDINGS = _api("openai-embeddings", "openai", "openai-api", "api.openai.com", SANCTIONED, "text-embedding-3-large",
                  "sk-proj-", "OpenAI API", "embeddings", "/v1/embeddings")  # fmt: skip
RESPONSES = _api("openai-responses", "openai", "openai-api", "api.openai.com", SANCTIONED, "gpt-6.1", "sk-proj-",
                 "OpenAI API", "responses", "/v1/responses")  # fmt: skip
"""Two more uses of the first product."""

UNREAD = BY_ID["cursor"]
"""Its editor refuses our CA, so the site lets it pass unread: tunnels, and a finding."""
BESIDE = ("registry.ollama.ai", "intranet.nordhaven.example")
"""Hosts that are reached through the proxy and are no AI service; the first hands out local models."""
HOSTS = (*dict.fromkeys(p.host for p in PRODUCTS), *BESIDE)

APPROVED_MODELS = {
    "openai": ("gpt-6.1", "gpt-6.1-mini", "text-embedding-3-large"),
    "anthropic": ("claude-*",),
    "google": ("gemini-3-*",),
    "azure-openai": ("gpt-6.1",),
    "aws": ("openai.gpt-oss-120b",),
    "github-copilot": ("gpt-6.1-copilot",),
    "mistral": ("mistral-large-3",),
    "voyage": ("voyage-4",),
}
"""What the board for AI has approved; the rest is used all the same."""
SERVED = {"gpt-6.1": "gpt-6.1-2026-09-15", "claude-sonnet-5": "claude-sonnet-5-20260814"}
"""Models that answer under their full name."""
