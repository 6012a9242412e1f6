"""What is known of Bedrock's models by their ids: who made them, and what they take. Pure.

An id is `anthropic.claude-sonnet-4-20250514-v1:0`, that of an inference profile the same behind a part of the
world (`us.`, `eu.`, `apac.`, `global.`), or the ARN of one of them:
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html (2026-11-20).
"""

import re

from headgate.providers.dialects.canonical import canonical_id

_REGIONS = re.compile(r"(us|us-gov|eu|apac|ap|au|jp|ca|sa|af|me|il|global|amer|emea)\.(?=[a-z0-9-]+\.)")
_SIZE = re.compile(r":\d+k$|:mm$")
_REVISION = re.compile(r"(-\d)?:\d+$")
_VERSION = re.compile(r"-v\d+$")
_LLAMA = re.compile(r"llama(\d)(?:-(\d))?-(?!\d{4})(?P<rest>.+)")
_LLAMA_NAMED = re.compile(r"(llama-4-(?:scout|maverick)).*")
_CLAUDE = re.compile(r"claude-(?:[a-z]+)-(\d+)(?:-(\d{1,2}))?(?!\d)")

_AS_OPENROUTER = {
    "deepseek.r1": "deepseek-r1",
    "deepseek.v3": "deepseek-chat-v3.1",
    "deepseek.v3.2": "deepseek-v3.2",
}
"""Names that only their maker makes whole: https://openrouter.ai/deepseek (2026-11-20)."""

_MAKERS = {"moonshot": "moonshotai", "zai": "z-ai"}

# Of Claude the ones named there, and what came after them; of the others every model of these families:
# https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html (2026-11-20).
_SCHEMA_FAMILIES = re.compile(
    r"qwen\.qwen3|openai\.gpt-oss|deepseek\.v3|google\.gemma-3|minimax\.minimax-m2|moonshot(ai)?\.kimi-k2"
    r"|nvidia\.nemotron|mistral\.(magistral|ministral|mistral-large-3|voxtral)"
)


def base_name(model: str) -> str:
    """`anthropic.claude-…` of any id of a model: without the ARN around it, and the part of the world."""
    name = model.rsplit("/", 1)[-1].lower()
    return _REGIONS.sub("", name, count=1)


def is_claude(model: str) -> bool:
    return base_name(model).startswith("anthropic.")


def is_nova(model: str) -> bool:
    return base_name(model).startswith("amazon.nova")


def claude_version(model: str) -> tuple[int, int]:
    """Of Claude 4 and later, whose names begin with the family; (0, 0) for older ones and other models."""
    match = _CLAUDE.search(base_name(model))
    return (int(match[1]), int(match[2] or 0)) if match else (0, 0)


def caches_prompts(model: str) -> bool:
    """Who takes cache points: https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
    (2026-11-20)."""
    name = base_name(model)
    return is_nova(model) or (
        is_claude(model) and (claude_version(model) >= (4, 0) or "3-7" in name or "3-5" in name)
    )


def keeps_to_schemas(model: str) -> bool:
    return claude_version(model) >= (4, 5) or _SCHEMA_FAMILIES.match(base_name(model)) is not None


def canonical_of(model: str) -> str:
    """`author/model` as everywhere: `anthropic/claude-sonnet-4`, `meta-llama/llama-3-8b-instruct`."""
    maker, dot, name = base_name(model).partition(".")
    if not dot:
        return canonical_id("bedrock", maker)
    name = _REVISION.sub("", _SIZE.sub("", name))
    if maker != "amazon":  # whose models have the version in their name everywhere
        name = _VERSION.sub("", name)
    name = _AS_OPENROUTER.get(f"{maker}.{name}", name)
    if maker == "meta" and (match := _LLAMA.fullmatch(name)):
        version = f"{match[1]}.{match[2]}" if match[2] else match[1]
        name = _LLAMA_NAMED.sub(r"\1", f"llama-{version}-{match['rest']}")
    return canonical_id("bedrock", name, author=_MAKERS.get(maker, maker))
