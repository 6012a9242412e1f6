"""The mock provider's models, as its list shows them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from headgate.domain.catalog import Modality

_CREATED = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True, kw_only=True)
class MockModel:
    """A model of the list. Prices are USD per million tokens; expires_at is a date."""

    id: str
    name: str
    description: str
    capabilities: tuple[str, ...]
    inputs: tuple[str, ...] = ("text",)
    context: int = 128_000
    max_output: int = 4_096
    price: tuple[str, str] = ("0", "0")
    expires_at: str | None = None
    modality: Modality = Modality.TEXT

    def entry(self) -> dict[str, Any]:
        """As the list shows it."""
        return {
            "id": self.id,
            "object": "model",
            "created": _CREATED,
            "owned_by": "mock",
            "name": self.name,
            "description": self.description,
            "context_length": self.context,
            "max_output_tokens": self.max_output,
            "input_modalities": self.inputs,
            "capabilities": self.capabilities,
            "pricing": {"input": self.price[0], "output": self.price[1]},
            "expires_at": self.expires_at,
            "modality": self.modality.value,
        }


MODELS = (
    MockModel(
        id="echo",
        name="Mock Echo",
        description="Says the last message again. Free.",
        capabilities=("streaming", "json_mode", "vision"),
        inputs=("text", "image"),
    ),
    MockModel(
        id="chat",
        name="Mock Chat",
        description="Says what it was asked, and what it sees. Costs as much as a small real model.",
        capabilities=("streaming", "tools", "vision", "structured_output", "json_mode"),
        inputs=("text", "image"),
        price=("0.15", "0.6"),
    ),
    MockModel(
        id="reasoner",
        name="Mock Reasoner",
        description="Thinks before it answers.",
        capabilities=("streaming", "reasoning", "tools", "structured_output"),
        context=200_000,
        max_output=32_000,
        price=("2", "8"),
    ),
    MockModel(
        id="agent",
        name="Mock Agent",
        description="Calls the first tool it is given, with arguments that satisfy its schema.",
        capabilities=("streaming", "tools"),
        context=32_000,
        price=("0.5", "1.5"),
    ),
    MockModel(
        id="retiring",
        name="Mock Retiring",
        description="Will be gone one day, as its list entry says.",
        capabilities=("streaming",),
        context=8_192,
        price=("1", "2"),
        expires_at="2099-12-31",
    ),
    MockModel(
        id="embed",
        name="Mock Embed",
        description="Embeddings in which texts with words in common are near each other.",
        capabilities=(),
        context=8_192,
        price=("0.02", "0"),
        modality=Modality.EMBEDDING,
    ),
)
