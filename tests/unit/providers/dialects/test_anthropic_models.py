"""What each Claude takes, by its name and by what the catalogue tells."""

import pytest

from headgate.providers.dialects.anthropic_models import Claude, claude_of
from tests.unit.providers.dialects.translating import info


def kind(claude: Claude) -> tuple[bool, bool, bool]:
    """Adaptive, by budget, sampled."""
    return claude.adaptive, claude.budget, claude.samples


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("claude-2.1", (False, False, True)),
        ("claude-instant-1.2", (False, False, True)),
        ("claude-3-opus-latest", (False, False, True)),
        ("claude-3-5-haiku-20241022", (False, False, True)),
        ("claude-3-7-sonnet-20250219", (False, True, True)),
        ("claude-3.7-sonnet", (False, True, True)),
        ("claude-sonnet-4-0", (False, True, True)),
        ("claude-sonnet-4-20250514", (False, True, True)),
        ("claude-opus-4-1-20250805", (False, True, True)),
        ("claude-haiku-4-5@20251001", (False, True, True)),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", (False, True, True)),
        ("claude-opus-4-6", (True, True, True)),
        ("anthropic/claude-sonnet-4.6", (True, True, True)),
        ("claude-opus-4-7", (True, False, False)),
        ("claude-opus-4-8", (True, False, False)),
        ("claude-opus-5", (True, False, False)),
        ("claude-fable-5-20260607", (True, False, False)),
        ("claude-sonnet-5-5", (True, False, False)),
        ("claude-next", (True, False, False)),
    ],
)
def test_a_name_tells_its_generation(name: str, expected: tuple[bool, bool, bool]) -> None:
    assert kind(claude_of(name)) == expected


def test_a_model_since_five_may_think_unasked() -> None:
    assert claude_of("claude-opus-5").thinks_unasked
    assert not claude_of("claude-opus-4-8").thinks_unasked


def test_only_models_without_budgets_hide_their_thoughts() -> None:
    assert claude_of("claude-opus-4-7").hides
    assert not claude_of("claude-opus-4-6").hides


def test_the_catalogue_is_believed_where_it_says_anything_about_thinking() -> None:
    told = info(
        capabilities=frozenset({"reasoning", "thinking_budget", "effort_low", "effort_medium", "effort_high"})
    )
    claude = claude_of("claude-opus-5", told)
    assert kind(claude) == (False, True, True)
    assert claude.efforts == {"low", "medium", "high"}
    assert claude_of("claude-opus-5", info(capabilities=frozenset({"tools"}))) == claude_of("claude-opus-5")


@pytest.mark.parametrize(
    ("model", "word", "own"),
    [
        ("claude-opus-5", "none", "low"),
        ("claude-opus-5", "minimal", "low"),
        ("claude-opus-5", "xhigh", "xhigh"),
        ("claude-opus-5", "max", "max"),
        ("claude-opus-4-6", "xhigh", "high"),
        ("claude-opus-4-6", "max", "max"),
        ("claude-haiku-4-5", "max", "high"),
    ],
)
def test_an_effort_is_said_in_the_nearest_word_that_the_model_knows(model: str, word: str, own: str) -> None:
    assert claude_of(model).effort(word) == own
