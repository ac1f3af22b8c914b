"""Secrets by the form that their vendor publishes, with right checksums, and the passwords that people choose."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import zlib
from collections.abc import Callable
from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from sluice.detect.seedwords import PLACE
from tests.quality.corpus import ALPHABETS, Value, draw

PREFIXED = {
    # kind, label and form of keys that name their vendor themselves
    "openai project": ("OPENAI_API_KEY", "sk-proj-{url:74}T3BlbkFJ{url:74}"),
    "openai service": ("OPENAI_API_KEY", "sk-svcacct-{url:74}T3BlbkFJ{url:74}"),
    "openai admin": ("OPENAI_ADMIN_KEY", "sk-admin-{url:74}T3BlbkFJ{url:74}"),
    "openai legacy": ("OPENAI_API_KEY", "sk-{alnum:20}T3BlbkFJ{alnum:20}"),
    "anthropic": ("ANTHROPIC_API_KEY", "sk-ant-api03-{url:93}AA"),
    "anthropic admin": ("ANTHROPIC_ADMIN_KEY", "sk-ant-admin01-{url:93}AA"),
    "google api": ("GEMINI_API_KEY", "AIzaSy{url:33}"),
    "hugging face": ("HF_TOKEN", "hf_{alpha:34}"),
    "replicate": ("REPLICATE_API_TOKEN", "r8_{alnum:37}"),
    "groq": ("GROQ_API_KEY", "gsk_{alnum:52}"),
    "xai": ("XAI_API_KEY", "xai-{alnum:80}"),
    "openrouter": ("OPENROUTER_API_KEY", "sk-or-v1-{hex:64}"),
    "perplexity": ("PPLX_API_KEY", "pplx-{alnum:48}"),
    "langsmith": ("LANGSMITH_API_KEY", "lsv2_pt_{hex:32}_{hex:10}"),
    "langfuse": ("LANGFUSE_SECRET_KEY", "sk-lf-{hex:8}-{hex:4}-4{hex:3}-a{hex:3}-{hex:12}"),
    "pinecone": ("PINECONE_API_KEY", "pcsk_{alnum:5}_{alnum:63}"),
    "nvidia": ("NVIDIA_API_KEY", "nvapi-{url:64}"),
    "aws key id": ("AWS_ACCESS_KEY_ID", "AKIA{base32:16}"),
    "aws session id": ("AWS_ACCESS_KEY_ID", "ASIA{base32:16}"),
    "google oauth secret": ("GOOGLE_CLIENT_SECRET", "GOCSPX-{url:28}"),
    "google oauth token": ("ACCESS_TOKEN", "ya29.{url:120}"),
    "azure entra secret": ("AZURE_CLIENT_SECRET", "{alnum:3}8Q~{url:34}"),
    "digitalocean": ("DO_TOKEN", "dop_v1_{hex:64}"),
    "alibaba": ("ALIBABA_ACCESS_KEY_ID", "LTAI{alnum:20}"),
    "fly.io": ("FLY_API_TOKEN", "FlyV1 fm2_{b64:150}="),
    "github fine-grained": ("GITHUB_TOKEN", "github_pat_{alnum:22}_{alnum:59}"),
    "gitlab": ("GITLAB_TOKEN", "glpat-{url:20}"),
    "gitlab runner": ("RUNNER_TOKEN", "glrt-{url:20}"),
    "pypi": ("PYPI_TOKEN", "pypi-AgEIcHlwaS5vcmc{url:100}"),
    "rubygems": ("GEM_HOST_API_KEY", "rubygems_{hex:48}"),
    "docker hub": ("DOCKER_TOKEN", "dckr_pat_{url:27}"),
    "postman": ("POSTMAN_API_KEY", "PMAK-{hex:24}-{hex:34}"),
    "sentry user": ("SENTRY_AUTH_TOKEN", "sntryu_{hex:64}"),
    "slack bot": ("SLACK_BOT_TOKEN", "xoxb-{digit:12}-{digit:13}-{alnum:24}"),
    "slack user": ("SLACK_TOKEN", "xoxp-{digit:12}-{digit:12}-{digit:12}-{hex:32}"),
    "slack app": ("SLACK_APP_TOKEN", "xapp-1-A{upnum:10}-{digit:13}-{hex:64}"),
    "slack webhook": ("SLACK_URL", "https://hooks.slack.com/services/T{upnum:8}/B{upnum:10}/{alnum:24}"),
    "discord webhook": ("DISCORD_URL", "https://discord.com/api/webhooks/{digit:18}/{url:68}"),
    "discord bot": ("DISCORD_TOKEN", "MT{alnum:24}.G{url:5}.{url:38}"),
    "telegram bot": ("TELEGRAM_TOKEN", "7{digit:9}:AA{url:33}"),
    "sendgrid": ("SENDGRID_API_KEY", "SG.{url:22}.{url:43}"),
    "mailgun": ("MAILGUN_API_KEY", "key-{hex:32}"),
    "mailchimp": ("MAILCHIMP_KEY", "{hex:32}-us14"),
    "twilio key": ("TWILIO_API_KEY", "SK{hex:32}"),
    "stripe live": ("STRIPE_SECRET_KEY", "sk_live_{alnum:24}"),
    "stripe long": ("STRIPE_SECRET_KEY", "sk_live_51{alnum:97}"),
    "stripe restricted": ("STRIPE_KEY", "rk_live_{alnum:99}"),
    "stripe webhook": ("STRIPE_WEBHOOK_SECRET", "whsec_{alnum:32}"),
    "square": ("SQUARE_TOKEN", "EAAA{url:60}"),
    "shopify": ("SHOPIFY_TOKEN", "shpat_{hex:32}"),
    "braintree": ("BT_TOKEN", "access_token$production${lownum:16}${hex:32}"),
    "razorpay": ("RAZORPAY_KEY", "rzp_live_{alnum:14}"),
    "new relic": ("NEW_RELIC_API_KEY", "NRAK-{upnum:27}"),
    "grafana": ("GRAFANA_TOKEN", "glsa_{alnum:32}_{hex:8}"),
    "dynatrace": ("DT_TOKEN", "dt0c01.{base32:24}.{base32:64}"),
    "notion": ("NOTION_TOKEN", "ntn_{digit:11}{alnum:35}"),
    "airtable": ("AIRTABLE_TOKEN", "pat{alnum:14}.{hex:64}"),
    "asana": ("ASANA_TOKEN", "2/{digit:16}/{digit:16}:{hex:32}"),
    "linear": ("LINEAR_API_KEY", "lin_api_{alnum:40}"),
    "figma": ("FIGMA_TOKEN", "figd_{url:40}"),
    "hubspot": ("HUBSPOT_TOKEN", "pat-na1-{hex:8}-{hex:4}-{hex:4}-{hex:4}-{hex:12}"),
    "databricks": ("DATABRICKS_TOKEN", "dapi{hex:32}"),
    "atlassian": ("JIRA_TOKEN", "ATATT3xFfGF0{url:171}={HEX:8}"),
    "vault": ("VAULT_TOKEN", "hvs.CAESI{url:90}"),
    "terraform cloud": ("TFC_TOKEN", "{alnum:14}.atlasv1.{alnum:67}"),
    "doppler": ("DOPPLER_TOKEN", "dp.pt.{alnum:43}"),
    "tailscale": ("TS_AUTHKEY", "tskey-auth-k{alnum:11}CNTRL-{alnum:32}"),
    "pulumi": ("PULUMI_ACCESS_TOKEN", "pul-{hex:40}"),
    "1password": ("OP_SERVICE_ACCOUNT_TOKEN", "ops_eyJ{b64:250}"),
    "supabase": ("SUPABASE_ACCESS_TOKEN", "sbp_{hex:40}"),
    "planetscale": ("PS_TOKEN", "pscale_tkn_{url:43}"),
    "okta ssws": ("OKTA_TOKEN", "00{url:40}"),
    "brevo": ("BREVO_KEY", "xkeysib-{hex:64}-{alnum:16}"),
    "facebook": ("FB_TOKEN", "EAACEdEose0cBA{alnum:90}"),
    "contentful": ("CONTENTFUL_TOKEN", "CFPAT-{url:43}"),
    "elevenlabs": ("ELEVENLABS_API_KEY", "sk_{hex:48}"),
    "deepseek": ("DEEPSEEK_API_KEY", "sk-{hex:32}"),
    "tavily": ("TAVILY_API_KEY", "tvly-{alnum:32}"),
    "firecrawl": ("FIRECRAWL_API_KEY", "fc-{hex:32}"),
    "wandb": ("WANDB_API_KEY", "{hex:40}"),
    "azure devops": ("AZDO_PAT", "{alnum:76}AZDO{alnum:4}"),
    "azure storage": (
        "AZURE_STORAGE",
        "DefaultEndpointsProtocol=https;AccountName=prod{lownum:6};AccountKey={b64:86}==;EndpointSuffix=core.windows.net",
    ),
    "age": ("AGE_KEY", "AGE-SECRET-KEY-1{bech:58}"),
    "teams webhook": (
        "TEAMS_URL",
        "https://acme.webhook.office.com/webhookb2/{hex:8}-{hex:4}-4{hex:3}-a{hex:3}-{hex:12}@{hex:8}-{hex:4}-4{hex:3}-a{hex:3}-{hex:12}/IncomingWebhook/{hex:32}/{hex:8}-{hex:4}-4{hex:3}-a{hex:3}-{hex:12}",
    ),
    "vercel": ("VERCEL_TOKEN", "vcp_{alnum:56}"),
    "netlify": ("NETLIFY_AUTH_TOKEN", "nfp_{alnum:36}"),
    "heroku": ("HEROKU_API_KEY", "HRKU-AA{url:58}"),
    "cerebras": ("CEREBRAS_API_KEY", "csk-{lownum:48}"),
    "fireworks": ("FIREWORKS_API_KEY", "fw_{alnum:22}"),
    "together": ("TOGETHER_API_KEY", "tgp_v1_{url:43}"),
    "sonarqube": ("SONAR_TOKEN", "squ_{hex:40}"),
    "artifactory": ("ARTIFACTORY_API_KEY", "AKCp8{alnum:68}"),
    "duffel": ("DUFFEL_TOKEN", "duffel_live_{url:43}"),
    "plaid": ("PLAID_TOKEN", "access-production-{hex:8}-{hex:4}-4{hex:3}-a{hex:3}-{hex:12}"),
    "typeform": ("TYPEFORM_TOKEN", "tfp_{url:44}_{url:14}"),
    "readme": ("README_KEY", "rdme_{lownum:70}"),
    "prefect": ("PREFECT_API_KEY", "pnu_{lownum:36}"),
    "clojars": ("CLOJARS_TOKEN", "CLOJARS_{hex:60}"),
    "launchdarkly": ("LD_SDK_KEY", "sdk-{hex:8}-{hex:4}-4{hex:3}-a{hex:3}-{hex:12}"),
}

NAMED = {
    # keys without a form: the name before them is all there is
    "datadog": ("DATADOG_API_KEY", "{hex:32}"),
    "datadog app": ("DD_APP_KEY", "{hex:40}"),
    "cloudflare": ("CLOUDFLARE_API_TOKEN", "{url:40}"),
    "mistral": ("MISTRAL_API_KEY", "{alnum:32}"),
    "cohere": ("COHERE_API_KEY", "{alnum:40}"),
    "azure openai": ("AZURE_OPENAI_API_KEY", "{hex:32}"),
    "aws secret": ("AWS_SECRET_ACCESS_KEY", "{b64:40}"),
    "twilio auth": ("TWILIO_AUTH_TOKEN", "{hex:32}"),
    "algolia admin": ("ALGOLIA_ADMIN_KEY", "{hex:32}"),
    "circleci": ("CIRCLECI_TOKEN", "{hex:40}"),
    "travis": ("TRAVIS_TOKEN", "{alnum:22}"),
    "pagerduty": ("PAGERDUTY_API_KEY", "{alnum:20}"),
    "snyk": ("SNYK_TOKEN", "{hex:8}-{hex:4}-4{hex:3}-a{hex:3}-{hex:12}"),
    "zendesk": ("ZENDESK_API_TOKEN", "{alnum:40}"),
    "okta client": ("OKTA_CLIENT_SECRET", "{alnum:40}"),
    "deepgram": ("DEEPGRAM_API_KEY", "{hex:40}"),
    "assemblyai": ("ASSEMBLYAI_API_KEY", "{hex:32}"),
    "linode": ("LINODE_TOKEN", "{hex:64}"),
    "spotify": ("SPOTIFY_CLIENT_SECRET", "{hex:32}"),
    "facebook app": ("FACEBOOK_APP_SECRET", "{hex:32}"),
}

GENERIC = {
    "secret assignment": (
        ("API_KEY", "secret_key", "client_secret", "access_token", "auth_token", "apiKey", "clientSecret", "jwt_secret"),
        ("{alnum:24-40}", "{hex:32-64}", "{url:24-48}", "{lownum:32}", "{b64:44}"),
    ),
}  # fmt: skip

_WORDS = [
    "summer",
    "winter",
    "Berlin",
    "dragon",
    "Falcon",
    "coffee",
    "Monkey",
    "purple",
    "rocket",
    "Hunter",
    "orange",
    "silver",
    "Tiger",
    "sunny",
    "garden",
]
_SIGNS = "!@#$%&*?-_.+"


def chosen_password(rng: random.Random) -> str:
    """A password as people and password managers make them."""
    kind = rng.randrange(5)
    if kind == 0:
        word = rng.choice(_WORDS).capitalize()
        return f"{word}{rng.randint(1, 2099)}{rng.choice('!#$?*')}"
    if kind == 1:
        word = rng.choice(_WORDS)
        return "".join({"a": "@", "e": "3", "o": "0", "i": "1", "s": "5"}.get(c, c) for c in word) + draw(
            rng, "{digit:3}"
        )
    if kind == 2:
        return "-".join(rng.choice(_WORDS) for _ in range(3)) + str(rng.randint(2, 99))
    if kind == 3:
        return "".join(rng.choices(ALPHABETS["alnum"], k=rng.randint(11, 20))) + str(rng.randint(0, 9))
    return "".join(rng.choices(ALPHABETS["alnum"] + _SIGNS.replace("$", "").replace("%", ""), k=14)) + "a7"


def _base62(number: int) -> str:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    out = ""
    while number:
        number, rest = divmod(number, 62)
        out = digits[rest] + out
    return out.rjust(6, "0")


def checked_token(rng: random.Random, prefix: str) -> str:
    """GitHub's and npm's form: thirty random characters and their CRC-32 in base 62."""
    body = draw(rng, "{alnum:30}")
    return f"{prefix}_{body}{_base62(zlib.crc32(body.encode()))}"


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def jwt(rng: random.Random) -> str:
    """A signed JSON web token (RFC 7519, HS256)."""
    claims = {
        "sub": draw(rng, "{digit:8}"),
        "role": rng.choice(("admin", "user")),
        "exp": 1_900_000_000 + rng.randrange(10**7),
    }
    head = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
    mac = hmac.new(draw(rng, "{alnum:32}").encode(), head.encode(), "sha256").digest()
    return f"{head}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base58check(data: bytes) -> str:
    """Base58 with four bytes of a double SHA-256 behind the data (Bitcoin)."""
    data += hashlib.sha256(hashlib.sha256(data).digest()).digest()[:4]
    number, out = int.from_bytes(data), ""
    while number:
        number, rest = divmod(number, 58)
        out = _BASE58[rest] + out
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + out


def seed_phrase(rng: random.Random, words: int = 12) -> str:
    """A BIP-39 recovery phrase with its checksum."""
    names = [""] * 2048
    for word, place in PLACE.items():
        names[place] = word
    entropy = rng.randbytes(words * 4 // 3)
    bits = int.from_bytes(entropy) << (words // 3) | hashlib.sha256(entropy).digest()[0] >> (8 - words // 3)
    return " ".join(names[bits >> 11 * i & 2047] for i in reversed(range(words)))


@cache
def _pem(which: str) -> str:
    """One real key of each kind: making them takes time, and their bytes do not matter."""
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    if which == "rsa":
        key = rsa.generate_private_key(65537, 2048)
        return key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain).decode()
    if which == "ec":
        return (
            ec.generate_private_key(ec.SECP256R1())
            .private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain)
            .decode()
        )
    if which == "pkcs8":
        return (
            ed25519.Ed25519PrivateKey.generate().private_bytes(pem, serialization.PrivateFormat.PKCS8, plain).decode()
        )
    return ed25519.Ed25519PrivateKey.generate().private_bytes(pem, serialization.PrivateFormat.OpenSSH, plain).decode()


def database_url(rng: random.Random) -> str:
    """A database address with a password in it."""
    scheme, port = rng.choice(
        (
            ("postgres", 5432),
            ("postgresql", 5432),
            ("mysql", 3306),
            ("mongodb+srv", 0),
            ("redis", 6379),
            ("amqp", 5672),
            ("mysql+pymysql", 3306),
            ("rediss", 6380),
            ("clickhouse", 9000),
        )
    )
    password = chosen_password(rng)
    for sign, code in (("%", "%25"), ("@", "%40"), ("#", "%23"), ("?", "%3F"), ("/", "%2F"), ("&", "%26")):
        password = password.replace(sign, code)
    user = rng.choice(("app", "svc_orders", "admin", "root", "reporting"))
    host = rng.choice(("db.internal", "10.2.3.4", "prod-db.acme.net", "cluster0.x1y2z.mongodb.net"))
    return f"{scheme}://{user}:{password}@{host}{f':{port}' if port else ''}/{rng.choice(('orders', 'app', 'crm'))}"


_CLASSES = ("secret.",)


def _specials() -> dict[str, tuple[str, str, Callable[[random.Random], str]]]:
    return {
        "github token": ("checked", "GITHUB_TOKEN", lambda r: checked_token(r, r.choice(("ghp", "gho", "ghs", "ghu")))),
        "npm token": ("checked", "NPM_TOKEN", lambda r: checked_token(r, "npm")),
        "jwt": ("checked", "ID_TOKEN", jwt),
        "wif": ("checked", "wallet private key", lambda r: base58check(b"\x80" + r.randbytes(32) + b"\x01")),
        "extended key": ("checked", "xprv", lambda r: base58check(bytes.fromhex("0488ade4") + b"\0" * 9 + r.randbytes(32) + b"\0" + r.randbytes(32))),
        "ethereum key": ("checked", "ETH_PRIVATE_KEY", lambda r: "0x" + r.randbytes(32).hex()),
        "seed phrase": ("checked", "seed phrase", lambda r: seed_phrase(r, r.choice((12, 24)))),
        "database url": ("prefixed", "DATABASE_URL", database_url),
        "basic-auth url": ("prefixed", "REMOTE", lambda r: f"https://deploy:{draw(r, '{alnum:16}')}7@git.acme.net/shop.git"),
        "private key": ("prefixed", "PRIVATE_KEY", lambda r: _pem(r.choice(("rsa", "ec", "pkcs8", "openssh")))),
        "password": ("generic", "", chosen_password),
    }  # fmt: skip


_PASSWORD_LABELS = (
    "password",
    "DB_PASSWORD",
    "passwd",
    "db_pass",
    "POSTGRES_PASSWORD",
    "adminPassword",
    "smtp_password",
)


def secrets(rng: random.Random) -> list[Value]:
    """One value of every kind. `bech` of age keys is Bech32 without a right checksum: no tool looks at it."""
    out = []
    for family, table in (("prefixed", PREFIXED), ("named", NAMED)):
        for kind, (label, form) in table.items():
            text = form.replace("{bech:58}", "".join(rng.choices("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", k=58)))
            out.append(Value(kind, family, draw(rng, text), label, _CLASSES))
    for kind, (family, label, make) in _specials().items():
        for _ in range(4 if kind == "password" else 1):
            name = label or rng.choice(_PASSWORD_LABELS)
            out.append(Value(kind, family, make(rng), name, _CLASSES))
    for kind, (labels, forms) in GENERIC.items():
        out += [Value(kind, "generic", draw(rng, rng.choice(forms)), rng.choice(labels), _CLASSES) for _ in range(4)]
    return out
