"""One model has one name, whoever offers it; and two models never share one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.providers.dialects.canonical import canonical_id

SAME = {
    "openai/gpt-4o-mini": [
        ("openrouter", "openai/gpt-4o-mini"),
        ("requesty", "openai/gpt-4o-mini"),
        ("requesty", "azure/openai/gpt-4o-mini@swedencentral"),
        ("openai", "gpt-4o-mini"),
    ],
    "openai/gpt-5-chat": [("openrouter", "openai/gpt-5-chat"), ("openai", "gpt-5-chat-latest")],
    "openai/o3-mini": [("requesty", "cline/o3-mini"), ("openai", "o3-mini")],
    "anthropic/claude-sonnet-4.5": [
        ("openrouter", "anthropic/claude-sonnet-4.5"),
        ("requesty", "anthropic/claude-sonnet-4-5"),
        ("requesty", "vertex/claude-sonnet-4-5@us-east5"),
        ("requesty", "claude-sonnet-4.5@eu"),
        ("anthropic", "claude-sonnet-4-5-20250929"),
        ("anthropic", "claude-sonnet-4-5"),
        ("", "anthropic/claude-sonnet-4-5"),
    ],
    "anthropic/claude-sonnet-4": [
        ("openrouter", "anthropic/claude-sonnet-4"),
        ("anthropic", "claude-sonnet-4-20250514"),
        ("anthropic", "claude-sonnet-4-0"),
        ("requesty", "bedrock/anthropic/claude-4-sonnet@eu-west-3"),
        ("requesty", "bedrock/anthropic/claude-4-sonnet-20250514"),
        ("requesty", "coding/claude-4-sonnet"),
    ],
    "anthropic/claude-3.5-haiku": [
        ("openrouter", "anthropic/claude-3.5-haiku"),
        ("anthropic", "claude-3-5-haiku-20241022"),
        ("requesty", "anthropic/claude-3-5-haiku-latest"),
    ],
    "anthropic/claude-3.5-sonnet": [("anthropic", "claude-3-5-sonnet-20241022")],
    "anthropic/claude-3.5-sonnet-20240620": [
        ("anthropic", "claude-3-5-sonnet-20240620"),
        ("openrouter", "anthropic/claude-3.5-sonnet-20240620"),
    ],
    "anthropic/claude-3-haiku": [
        ("openrouter", "anthropic/claude-3-haiku"),
        ("anthropic", "claude-3-haiku-20240307"),
    ],
    "anthropic/claude-opus-4.7-fast": [("openrouter", "anthropic/claude-opus-4.7-fast")],
    "anthropic/claude-sonnet-latest": [("openrouter", "~anthropic/claude-sonnet-latest")],
    "x-ai/grok-4": [("openrouter", "x-ai/grok-4"), ("requesty", "xai/grok-4")],
    "qwen/qwen3-32b": [
        ("openrouter", "qwen/qwen3-32b"),
        ("requesty", "deepinfra/Qwen/Qwen3-32B"),
        ("custom", "Qwen/Qwen3-32B"),
        ("requesty", "alibaba/qwen3-32b"),
    ],
    "alibaba/tongyi-deepresearch-30b-a3b": [("openrouter", "alibaba/tongyi-deepresearch-30b-a3b")],
    "mistralai/mistral-nemo": [
        ("openrouter", "mistralai/mistral-nemo"),
        ("requesty", "mistral/mistral-nemo"),
        ("requesty", "novita/mistralai/mistral-nemo"),
    ],
    "meta-llama/llama-3.1-8b-instruct": [
        ("openrouter", "meta-llama/llama-3.1-8b-instruct"),
        ("requesty", "deepinfra/meta-llama/Meta-Llama-3.1-8B-Instruct"),
    ],
    "deepseek/deepseek-r1": [
        ("openrouter", "deepseek/deepseek-r1"),
        ("requesty", "nebius/deepseek-ai/DeepSeek-R1"),
        ("requesty", "novita/deepseek/deepseek-r1"),
        ("deepseek", "deepseek-r1"),
    ],
    "google/gemini-2.5-pro": [
        ("openrouter", "google/gemini-2.5-pro"),
        ("requesty", "coding/gemini-2.5-pro@europe-west1"),
        ("requesty", "vertex/google/gemini-2.5-pro"),
        ("gemini", "gemini-2.5-pro"),
    ],
    "moonshotai/kimi-k2.6": [("openrouter", "moonshotai/kimi-k2.6"), ("requesty", "moonshot/kimi-k2.6")],
    "z-ai/glm-5": [
        ("openrouter", "z-ai/glm-5"),
        ("requesty", "zai/glm-5"),
        ("requesty", "novita/zai-org/glm-5"),
    ],
    "openrouter/auto": [("openrouter", "openrouter/auto")],
    "parasail/parasail-anubis-pro": [("requesty", "parasail/parasail-anubis-pro")],
}


@pytest.mark.parametrize(
    ("slug", "native_id", "name"),
    [(slug, native_id, name) for name, offers in SAME.items() for slug, native_id in offers],
)
def test_a_model_has_one_name_at_every_provider(slug: str, native_id: str, name: str) -> None:
    assert canonical_id(slug, native_id) == name


@pytest.mark.parametrize(
    "native_id",
    [
        "openai/gpt-oss-120b:free",
        "openai/o3:flex",
        "openai/o3-mini:high",
        "openai/gpt-4o-2024-05-13",
        "qwen/qwen-plus-2025-07-28:thinking",
    ],
)
def test_variants_and_dated_snapshots_keep_a_name_of_their_own(native_id: str) -> None:
    assert canonical_id("openrouter", native_id) == native_id


def test_a_region_goes_and_the_tier_beside_it_stays() -> None:
    assert (
        canonical_id("requesty", "bedrock/anthropic/claude-4-sonnet@eu-west-1") == "anthropic/claude-sonnet-4"
    )
    assert canonical_id("requesty", "openai/gpt-5.4:flex") == "openai/gpt-5.4:flex"


def test_the_author_told_apart_goes_before_the_one_in_the_id() -> None:
    assert canonical_id("requesty", "claude-sonnet-5", author="Anthropic") == "anthropic/claude-sonnet-5"
    assert canonical_id("requesty", "glm-5.2", author="Z.ai") == "z-ai/glm-5.2"
    assert canonical_id("requesty", "kimi-k2.6:flex", author="Moonshot AI") == "moonshotai/kimi-k2.6:flex"


def test_fine_tunes_belong_to_their_account_in_their_own_spelling() -> None:
    native_id = "ft:gpt-4o-mini-2024-07-18:acme:support:AbC123"
    assert canonical_id("openai", native_id) == f"openai/{native_id}"


@pytest.mark.parametrize("slug", ["openrouter", "requesty", "openai", "custom", ""])
@given(native_id=st.text(st.sampled_from("aZ0./:@~-_ é"), min_size=1, max_size=20))
def test_any_id_has_a_name(slug: str, native_id: str) -> None:
    name = canonical_id(slug, native_id)
    assert name
    assert name == canonical_id(slug, native_id)
    if slug:
        author, slash, model = name.partition("/")
        assert author
        assert slash
        assert model


@pytest.mark.parametrize("names", [SAME])
def test_a_name_is_its_own_name(names: dict[str, list[tuple[str, str]]]) -> None:
    assert {name: canonical_id("", name) for name in names} == {name: name for name in names}
