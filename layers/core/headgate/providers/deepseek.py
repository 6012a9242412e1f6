"""DeepSeek: a handful of models, a list without dates, and a balance that says more than the key check."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import orjson

from headgate.domain.catalog import ModelInfo
from headgate.domain.errors import ProviderRefused
from headgate.ports import WireRequest
from headgate.providers.base import ProviderConfig, ProviderSpec, provider
from headgate.providers.dialects import listing
from headgate.providers.dialects.base import BackDialect
from headgate.providers.dialects.canonical import canonical_id
from headgate.providers.dialects.openai import OpenAICompatible
from headgate.providers.dialects.openai_chat import OpenAIChat
from headgate.providers.dialects.openai_chat_traits import ChatTraits
from headgate.providers.dialects.openai_responses import OpenAIResponses

# https://api-docs.deepseek.com/quick_start/pricing (2026-08): every model on offer has these.
_ABILITIES = frozenset({"streaming", "tools", "json_mode", "prompt_caching"})


# https://api-docs.deepseek.com/guides/thinking_mode (2026-11-20): a switch beside the effort, and thoughts go
# back with tool calls. Content is a string:
# https://api-docs.deepseek.com/api/create-chat-completion (2026-11-20).
_TRAITS = ChatTraits(thinking="thinking", history="reasoning_content", plain_content=True)

# Its `/anthropic/v1/messages` is no back, for what it does in silence: it ignores `top_k`, `container`,
# `mcp_servers`, `service_tier`, cache marks, citations, `is_error`, `budget_tokens`, all of `output_config`
# but the effort, and `disable_parallel_tool_use`; it takes a `tool_choice` of `any` for `auto`, and serves
# names that begin with `claude` by other models (https://api-docs.deepseek.com/guides/anthropic_api and
# …/api/create-message, 2026-11-21). Handing through only what is free of these would break conversations: a
# thought must come back with its tool call, and a thought of one route is none to the other. The clients that
# would gain from it set cache marks anyway.


@provider
class DeepSeek(OpenAICompatible):
    """Ids are moving names (`deepseek-chat`) or versions; neither dates nor prices are told."""

    spec = ProviderSpec(
        slug="deepseek",
        name="DeepSeek",
        description="DeepSeek's chat and reasoning models from their maker.",
        docs_url="https://api-docs.deepseek.com",
        base_url="https://api.deepseek.com",
        key_check_path="/user/balance",
        features=("streaming", "tools", "reasoning", "prompt_caching"),
    )
    backs: ClassVar[tuple[BackDialect, ...]] = (OpenAIChat(_TRAITS), OpenAIResponses())

    def build_key_check(self, config: ProviderConfig) -> WireRequest | None:
        """The balance is at the root, also for those who write the base URL with `/v1`."""
        if config.base_url:
            config = replace(config, base_url=config.base_url.rstrip("/").removesuffix("/v1"))
        return super().build_key_check(config)

    def parse_key_check(self, body: bytes) -> None:
        """A key may be good and its account empty: `is_available` says whether calls would be served."""
        super().parse_key_check(body)
        try:
            balance = orjson.loads(body)
        except orjson.JSONDecodeError:
            return  # a 200 all the same: the key was taken
        if isinstance(balance, dict) and balance.get("is_available") is False:
            raise ProviderRefused("The balance is used up.", code="provider_insufficient_funds")

    def parse_model(self, entry: Mapping[str, Any]) -> ModelInfo | None:
        native_id = listing.read_id(entry)
        reasons = native_id == "deepseek-reasoner" or native_id.startswith("deepseek-v")
        return ModelInfo(
            id=f"deepseek/{native_id}",
            canonical_id=canonical_id("deepseek", native_id),
            provider="deepseek",
            name=native_id,
            capabilities=_ABILITIES | {"reasoning"} if reasons else _ABILITIES,
            created_at=listing.read_moment(entry.get("created")),
        )
