"""One name for one model: `author/model`, the same whichever provider offers it.

The spelling is OpenRouter's, because its list is the widest: `anthropic/claude-sonnet-4.5`, `x-ai/grok-4`,
`meta-llama/llama-3.3-70b-instruct`. What stays distinct: variants after a colon (`:free`, `:flex`, `:high`),
which cost or behave differently, and dated snapshots other than Anthropic's.
"""

import re

AUTHORS = {
    "ai21labs": "ai21",
    "cohereforai": "cohere",
    "coherelabs": "cohere",
    "deepseek-ai": "deepseek",
    "gemini": "google",
    "google-ai-studio": "google",
    "ibm": "ibm-granite",
    "llama": "meta-llama",
    "meta": "meta-llama",
    "minimaxai": "minimax",
    "minimaxi": "minimax",
    "mistral": "mistralai",
    "mistral-ai": "mistralai",
    "moonshot": "moonshotai",
    "moonshot-ai": "moonshotai",
    "nous": "nousresearch",
    "thudm": "z-ai",
    "x.ai": "x-ai",
    "xai": "x-ai",
    "z.ai": "z-ai",
    "zai": "z-ai",
    "zai-org": "z-ai",
    "zhipuai": "z-ai",
}
"""Other spellings of an author, as seen in the lists of Requesty, Hugging Face and LM Studio (2026-11)."""

HOSTS = frozenset({
    "azure", "bedrock", "cerebras", "cline", "coding", "deepinfra", "doubleword", "fireworks",
    "groq", "hyperbolic", "inceptron", "nebius", "netmind", "novita", "openai-responses",
    "parasail", "sambanova", "sference", "tensorx", "together", "vertex",
})  # fmt: skip
"""First parts of Requesty's ids that say who runs a model, not who made it (lists of 2025-07, 2026-09)."""

HOMES = {"openai": "openai", "anthropic": "anthropic", "deepseek": "deepseek", "gemini": "google"}
"""Providers that are authors themselves: their ids come without one."""

_FAMILIES = tuple(
    (re.compile(pattern), author)
    for pattern, author in (
        (r"claude-", "anthropic"),
        (r"gemini-|gemma-|imagen-|veo-|lyria-", "google"),
        (r"gpt-|chatgpt-|o[134](-|$)|codex-|dall-e-|text-embedding-(3|ada)|sora-", "openai"),
        (r"deepseek-", "deepseek"),
        (r"grok-", "x-ai"),
        (r"(meta-)?llama-", "meta-llama"),
        (r"qwen|qwq-|qvq-", "qwen"),
        (r"(open-)?(mi[sx]tral|codestral|devstral|ministral|magistral|pixtral|voxtral)-", "mistralai"),
        (r"kimi-", "moonshotai"),
        (r"glm-", "z-ai"),
        (r"minimax-", "minimax"),
        (r"command-", "cohere"),
        (r"nova-", "amazon"),
        (r"phi-", "microsoft"),
        (r"sonar(-|$)", "perplexity"),
    )
)

_CLAUDE_OLD = re.compile(r"claude-(\d)(?:[-.](\d))?-(haiku|sonnet|opus)(?P<rest>.*)")
_CLAUDE_NEW = re.compile(r"claude-([a-z]+)-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)(?P<rest>.*)")
_CLAUDE_TAIL = re.compile(r"(-latest|-20\d{6})?(-v\d)?")


def canonical_id(slug: str, native_id: str, *, author: str | None = None) -> str:
    """`author/model` of a provider's own id; of a name that a caller wrote when `slug` is empty.

    author: who made it, where the provider says so apart from the id. Without any author in sight the family
    decides (`coding/claude-4-sonnet` is Anthropic's), else the first part of the id, else the provider.
    """
    if native_id.startswith("ft:"):
        return f"{HOMES.get(slug, slug)}/{native_id}"
    base, _, variant = native_id.lower().lstrip("~").partition(":")
    parts = [part for part in base.split("/") if part] or [native_id.lower()]
    host = parts.pop(0) if len(parts) > 1 and parts[0] in HOSTS else None
    name = _without_region(parts[-1] if author or len(parts) == 1 else "/".join(parts[1:]))
    who = author.lower().replace(" ", "-") if author else (parts[0] if len(parts) > 1 else HOMES.get(slug))
    if who is None:
        who = _author_of_family(name) if slug != "custom" else None
    who = who or host or slug
    who = "qwen" if who == "alibaba" and name.startswith(("qwen", "qwq")) else AUTHORS.get(who, who)
    name = _model_name(who, name)
    return "/".join(part for part in (who, f"{name}:{variant}" if variant else name) if part)


def _without_region(name: str) -> str:
    """Requesty's `@region` says where it runs (and may cost a tenth more), not what it is."""
    head, at, _ = name.rpartition("@")
    return head if at and head else name


def _author_of_family(name: str) -> str | None:
    for pattern, author in _FAMILIES:
        if pattern.match(name):
            return author
    return None


def _model_name(author: str, name: str) -> str:
    if author == "anthropic":
        return _claude_name(name)
    if author == "meta-llama":
        return name.removeprefix("meta-")
    if author == "openai" and name.endswith("-chat-latest"):
        return name.removesuffix("-latest")
    return name


def _claude_name(name: str) -> str:
    """`claude-sonnet-4-5-20250929`, `claude-sonnet-4.5` and Bedrock's `claude-4-5-sonnet` are one model.

    From Claude 3 on each name had one dated snapshot, but for `claude-3-5-sonnet`: `20240620` is the first,
    `20241022` took over the name (https://docs.anthropic.com/en/docs/about-claude/models, 2025-11).
    """
    if "3-5-sonnet-20240620" in name or "3.5-sonnet-20240620" in name:
        return "claude-3.5-sonnet-20240620"
    if match := _CLAUDE_OLD.fullmatch(name):
        major, minor, family = match[1], match[2], match[3]
        version = f"{major}.{minor}" if minor and minor != "0" else major
        stem = f"claude-{version}-{family}" if major < "4" else f"claude-{family}-{version}"
    elif match := _CLAUDE_NEW.fullmatch(name):
        family, major, minor = match[1], match[2], match[3]
        stem = f"claude-{family}-{major}" + (f".{minor}" if minor and minor != "0" else "")
    else:
        return name
    return stem + _CLAUDE_TAIL.sub("", match["rest"], count=1)
