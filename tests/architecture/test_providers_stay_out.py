"""A provider is one file and its fixtures: the template knows none of them."""

import re

import pytest

from headgate.providers.base import ProviderConfig
from headgate.providers.registry import ProviderRegistry
from headgate.testing.memory import ManualClock, ScriptedTransport


async def _unconfigured(_slug: str) -> ProviderConfig | None:
    return None


_PERMISSIONS = re.compile(r'"[a-z0-9-]+:[A-Z]\w+"|"arn:[^"]*"')
"""Actions and resources are AWS's own names, and one of its services is a provider too."""

SLUGS = ProviderRegistry(
    transport=ScriptedTransport(), clock=ManualClock(), configure=_unconfigured
).known_slugs()


def test_there_are_providers_to_look_for() -> None:
    assert {"openrouter", "requesty"} <= set(SLUGS)


@pytest.mark.parametrize("slug", SLUGS)
def test_adding_a_provider_never_edits_the_template(template_text: str, slug: str) -> None:
    text = template_text.replace("Default: openrouter,requesty", "", 1)
    text = _PERMISSIONS.sub("", text)
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    assert not re.search(rf"\b{re.escape(slug)}\b", "\n".join(lines))
