"""Everything that is configured, read in one place. Nothing else reads the environment."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Literal

from headgate.domain.errors import GatewayFault

MODELS_DEV_URL = "https://models.dev/api.json"
GENAI_PRICES_URL = (
    "https://raw.githubusercontent.com/pydantic/genai-prices/refs/heads/main/prices/new_data/v2/data.json"
)
"""Where its own client fetches it (2026-11); the older `prices/data.json` has the same shape."""


_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {"gemini": ("google",)}
"""Other names of the same vendor, in variables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One function's configuration. Names of variables are in `from_environ`; times are seconds.

    by_role: slugs of the providers that the function's own role is to be the key of. kms_key_id: id, ARN or
    alias of the key that connections' keys are sealed with. default_hold_tokens: answer tokens to hold
    credits for where a request names no maximum. gateway_fee_percent: of the provider's price, charged where
    the caller's own key pays. oidc_issuer None: no tokens are taken, only API keys.
    """

    function: str
    store: Literal["aws", "memory"] = "aws"
    catalog_table: str = ""
    accounts_table: str = ""
    generations_table: str = ""
    connections_table: str = ""
    ledger_table: str = ""
    kms_key_id: str = ""
    refresh_function: str = ""
    aws_endpoint_url: str | None = None
    aws_lambda_endpoint_url: str | None = None
    aws_region: str = "us-east-1"
    secret_prefix: str = "headgate/"  # noqa: S105 - a name, not a secret
    mock: Literal["auto", "on", "off"] = "off"
    local: bool = False
    log_level: str = "INFO"
    allow_unlisted_models: bool = False
    cors_origins: tuple[str, ...] = ("*",)
    stage_prefix: str = ""
    list_ttl_s: float = 600.0
    detail_ttl_s: float = 3600.0
    health_ttl_s: float = 30.0
    stale_ttl_s: float = 86_400.0
    head_check_s: float = 60.0
    key_cache_s: float = 55.0
    secret_cache_s: float = 300.0
    first_byte_timeout_s: float = 300.0
    idle_timeout_s: float = 120.0
    request_timeout_s: float = 840.0
    ping_s: float = 15.0
    max_body_bytes: int = 10_000_000
    read_requests_per_minute: int = 6_000
    private_hosts: tuple[str, ...] = ()
    by_role: frozenset[str] = frozenset()
    default_providers: tuple[str, ...] = ("openrouter", "requesty")
    default_text_model: str | None = None
    credits: Literal["off", "enforced"] = "off"
    default_hold_tokens: int = 4_096
    gateway_fee_percent: Decimal = Decimal(0)
    oidc_issuer: str | None = None
    oidc_audience: str | None = None
    oidc_scopes_claim: str = "scope"
    models_dev_url: str = MODELS_DEV_URL
    genai_prices_url: str = GENAI_PRICES_URL
    provider_environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    def base_url_of(self, slug: str) -> str | None:
        """Where the environment puts a provider, for a function that reads no secrets; None says nothing."""
        names = (slug, *_OTHER_NAMES.get(slug, ()))
        found = (self.provider_environ.get(f"{name.upper()}_BASE_URL") for name in names)
        return next((url for url in found if url), None)


BUFFERED_BODY_BYTES = 4_500_000
"""Largest body on a route that Lambda buffers: 6 MB after base64."""


_ROLE_SWITCHES: Mapping[str, str] = {"bedrock": "HEADGATE_BEDROCK"}
"""What turns on each provider that the function's own role can be the key of."""


def from_environ(function: str, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings of one function. Raises GatewayFault naming a variable whose value can't be read."""
    env = os.environ if environ is None else environ
    return Settings(
        function=function,
        store="memory" if env.get("HEADGATE_STORE") == "memory" else "aws",
        catalog_table=env.get("HEADGATE_CATALOG_TABLE", ""),
        accounts_table=env.get("HEADGATE_ACCOUNTS_TABLE", ""),
        generations_table=env.get("HEADGATE_GENERATIONS_TABLE", ""),
        connections_table=env.get("HEADGATE_CONNECTIONS_TABLE", ""),
        ledger_table=env.get("HEADGATE_LEDGER_TABLE", ""),
        kms_key_id=env.get("HEADGATE_KMS_KEY", ""),
        refresh_function=env.get("HEADGATE_REFRESH_FUNCTION", ""),
        aws_endpoint_url=env.get("AWS_ENDPOINT_URL"),
        aws_lambda_endpoint_url=env.get("AWS_ENDPOINT_URL_LAMBDA") or env.get("AWS_ENDPOINT_URL"),
        aws_region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1",
        secret_prefix=env.get("HEADGATE_SECRET_PREFIX", "headgate/"),
        mock=_mock(env.get("HEADGATE_MOCK", "")),
        local=env.get("HEADGATE_LOCAL") == "1",
        log_level=env.get("HEADGATE_LOG_LEVEL", "INFO").upper(),
        allow_unlisted_models=_flag(env, "HEADGATE_ALLOW_UNLISTED_MODELS"),
        cors_origins=_words(env, "HEADGATE_CORS_ORIGINS") or ("*",),
        stage_prefix=env.get("HEADGATE_STAGE_PREFIX", "").rstrip("/"),
        list_ttl_s=_number(env, "HEADGATE_LIST_TTL_S", 600.0),
        detail_ttl_s=_number(env, "HEADGATE_DETAIL_TTL_S", 3600.0),
        health_ttl_s=_number(env, "HEADGATE_HEALTH_TTL_S", 30.0),
        stale_ttl_s=_number(env, "HEADGATE_STALE_TTL_S", 86_400.0),
        head_check_s=_number(env, "HEADGATE_HEAD_CHECK_S", 60.0),
        key_cache_s=min(55.0, _number(env, "HEADGATE_KEY_CACHE_S", 55.0)),
        first_byte_timeout_s=_number(env, "HEADGATE_FIRST_BYTE_TIMEOUT_S", 300.0),
        idle_timeout_s=_number(env, "HEADGATE_IDLE_TIMEOUT_S", 120.0),
        request_timeout_s=_number(env, "HEADGATE_REQUEST_TIMEOUT_S", 840.0),
        ping_s=min(15.0, _number(env, "HEADGATE_PING_S", 15.0)),
        max_body_bytes=int(_number(env, "HEADGATE_MAX_BODY_BYTES", 10_000_000)),
        read_requests_per_minute=int(_number(env, "HEADGATE_READ_REQUESTS_PER_MINUTE", 6_000)),
        private_hosts=_words(env, "HEADGATE_PRIVATE_HOSTS"),
        by_role=frozenset(slug for slug, name in _ROLE_SWITCHES.items() if _flag(env, name)),
        default_providers=_words(env, "HEADGATE_DEFAULT_PROVIDERS") or ("openrouter", "requesty"),
        default_text_model=env.get("HEADGATE_DEFAULT_TEXT_MODEL") or None,
        credits=_credits(env.get("HEADGATE_CREDITS", "")),
        default_hold_tokens=int(_number(env, "HEADGATE_DEFAULT_HOLD_TOKENS", 4_096)),
        gateway_fee_percent=_percent(env, "HEADGATE_GATEWAY_FEE_PERCENT"),
        oidc_issuer=env.get("HEADGATE_OIDC_ISSUER") or None,
        oidc_audience=env.get("HEADGATE_OIDC_AUDIENCE") or None,
        oidc_scopes_claim=env.get("HEADGATE_OIDC_SCOPES_CLAIM") or "scope",
        models_dev_url=env.get("HEADGATE_MODELS_DEV_URL", MODELS_DEV_URL).strip(),
        genai_prices_url=env.get("HEADGATE_GENAI_PRICES_URL", GENAI_PRICES_URL).strip(),
        provider_environ={k: v for k, v in env.items() if k.endswith(("_API_KEY", "_BASE_URL")) and v},
    )


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        raise GatewayFault(f"{name} is not a number") from None
    if not 0 <= number < math.inf:
        raise GatewayFault(f"{name} must be a number from 0 up")
    return number


def _percent(env: Mapping[str, str], name: str) -> Decimal:
    try:
        number = Decimal(env.get(name, "").strip() or 0)
    except InvalidOperation:
        raise GatewayFault(f"{name} is not a number") from None
    if not number.is_finite() or not 0 <= number < 1_000:
        raise GatewayFault(f"{name} must be a percentage, from 0 to below 1000")
    return number


def _credits(text: str) -> Literal["off", "enforced"]:
    """Refused rather than guessed: a stack that means to charge must not serve for nothing."""
    match text.strip().lower():
        case "" | "off":
            return "off"
        case "enforced":
            return "enforced"
    raise GatewayFault("HEADGATE_CREDITS must be off or enforced")


def _flag(env: Mapping[str, str], name: str) -> bool:
    return env.get(name, "").lower() in ("1", "true", "on", "yes")


def _words(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in env.get(name, "").split(",") if word.strip())


def _mock(text: str) -> Literal["auto", "on", "off"]:
    if text == "auto":
        return "auto"
    return "on" if text.lower() in ("1", "true", "on", "yes") else "off"
