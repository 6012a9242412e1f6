"""How much a Gemini model is told to think: words since Gemini 3, tokens before, nothing where it can't."""

from typing import Any

import pytest

from headgate.domain.catalog import ModelInfo
from headgate.domain.conversation import Thinking
from tests.unit.providers.dialects.gemini_saying import asking, call_of, write

PRO, FLASH, LITE = "gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite"


def config(model: str, **told: Any) -> Any:
    body = write(asking(thinking=Thinking(**told)), call_of(model))
    return body.get("generationConfig", {}).get("thinkingConfig")


@pytest.mark.parametrize(
    ("model", "effort", "level"),
    [
        ("gemini-3.5-flash", "minimal", "minimal"),
        ("gemini-3.5-flash", "low", "low"),
        ("gemini-3.5-flash", "medium", "medium"),
        ("gemini-3.5-flash", "high", "high"),
        ("gemini-3.5-flash", "xhigh", "high"),
        ("gemini-flash-latest", "max", "high"),
        ("models/gemini-3.1-pro-preview", "minimal", "low"),
        ("gemini-3.1-pro-preview", "medium", "medium"),
        ("gemini-3-pro-preview", "medium", "high"),
        ("gemma-4-31b-it", "minimal", "minimal"),
        ("gemma-4-31b-it", "low", "high"),
    ],
)
def test_an_effort_is_a_level_since_gemini_3(model: str, effort: str, level: str) -> None:
    assert config(model, effort=effort) == {"thinkingLevel": level, "includeThoughts": True}


@pytest.mark.parametrize(
    ("model", "effort", "budget"),
    [
        (FLASH, "minimal", 1024),
        (FLASH, "low", 1024),
        (FLASH, "medium", 8192),
        (FLASH, "high", 24_576),
        (FLASH, "max", 24_576),
        (PRO, "xhigh", 32_768),
        (LITE, "low", 1024),
        ("gemini-robotics-er-1.5-preview", "medium", 8192),
    ],
)
def test_an_effort_is_a_budget_before(model: str, effort: str, budget: int) -> None:
    assert config(model, effort=effort) == {"thinkingBudget": budget, "includeThoughts": True}


@pytest.mark.parametrize(
    ("model", "tokens", "budget"),
    [
        (FLASH, 2000, 2000),
        (FLASH, 32_000, 24_576),
        (PRO, 32_000, 32_000),
        (PRO, 64_000, 32_768),
        (PRO, 1, 128),
        (LITE, 100, 512),
    ],
)
def test_a_budget_is_kept_within_what_the_model_takes(model: str, tokens: int, budget: int) -> None:
    assert config(model, budget_tokens=tokens)["thinkingBudget"] == budget


@pytest.mark.parametrize(("tokens", "level"), [(1024, "low"), (8000, "medium"), (60_000, "high")])
def test_a_budget_is_a_level_where_budgets_are_no_more(tokens: int, level: str) -> None:
    assert config("gemini-3.5-flash", budget_tokens=tokens) == {
        "thinkingLevel": level,
        "includeThoughts": True,
    }


@pytest.mark.parametrize("told", [{"effort": "none"}, {"budget_tokens": 0}])
@pytest.mark.parametrize(
    ("model", "least"),
    [
        (FLASH, {"thinkingBudget": 0}),
        (LITE, {"thinkingBudget": 0}),
        (PRO, {"thinkingBudget": 128}),
        ("gemini-3.5-flash", {"thinkingLevel": "minimal"}),
        ("gemini-3.1-pro-preview", {"thinkingLevel": "low"}),
        ("gemini-2.0-flash", None),
    ],
)
def test_no_thought_is_the_least_that_there_is(model: str, least: Any, told: dict[str, Any]) -> None:
    assert config(model, **told) == least


def test_the_model_decides_where_it_is_to() -> None:
    assert config("gemini-3.5-flash", adaptive=True) == {"includeThoughts": True}
    assert config(FLASH, adaptive=True) == {"thinkingBudget": -1, "includeThoughts": True}


def test_thoughts_are_shown_unless_the_caller_does_not_want_them() -> None:
    assert config(FLASH, effort="low", visible=False) == {"thinkingBudget": 1024}
    assert config(FLASH, visible=True) == {"includeThoughts": True}
    assert config(FLASH, visible=False) is None


@pytest.mark.parametrize(
    "model",
    [
        "gemini-2.0-flash",
        "gemini-1.5-pro",
        "gemini-2.5-flash-image",
        "gemini-2.5-pro-preview-tts",
        "gemma-3-27b-it",
    ],
)
def test_a_model_that_does_not_think_is_not_told_to(model: str) -> None:
    call = call_of(model)
    body = write(asking(thinking=Thinking(effort="high")), call)
    assert "generationConfig" not in body
    assert call.dropped == ["thinking"]


@pytest.mark.parametrize(
    ("capabilities", "dropped"), [(frozenset({"reasoning"}), []), (frozenset({"tools"}), ["thinking"])]
)
def test_the_catalogue_knows_better_than_the_name(capabilities: frozenset[str], dropped: list[str]) -> None:
    info = ModelInfo(
        id="gemini/gemini-4-pro",
        canonical_id="google/gemini-4-pro",
        provider="gemini",
        name="x",
        capabilities=capabilities,
    )
    call = call_of("gemini-4-pro", info=info)
    write(asking(thinking=Thinking(effort="high")), call)
    assert call.dropped == dropped
