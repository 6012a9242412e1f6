"""A provider is one file and its fixtures: the template knows none of them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROVIDERS = ROOT / "layers/core/headgate/providers"
MACHINERY = {"__init__", "base", "registry"}
SLUGS = sorted(
    path.stem for path in PROVIDERS.glob("*.py") if path.stem not in MACHINERY and path.stem[0] != "_"
)


def test_there_are_providers_to_look_for() -> None:
    assert {"openrouter", "requesty"} <= set(SLUGS)


@pytest.mark.parametrize("slug", SLUGS)
def test_adding_a_provider_never_edits_the_template(template_text: str, slug: str) -> None:
    text = template_text.replace("Default: openrouter,requesty", "", 1)
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    assert not re.search(rf"\b{re.escape(slug)}\b", "\n".join(lines))
