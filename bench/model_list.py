"""A made-up model list in the shape and size of OpenRouter's. Pure, and the same every time.

The shape: https://openrouter.ai/docs/guides/overview/models (2026-08-22); about 1.4 KB a model.
"""

import random
from typing import Any

_MAKERS = ("alder", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo", "hazel", "ironwood", "juniper")
_SIZES = ("mini", "small", "medium", "large", "instruct")
_CONTEXTS = (8_192, 32_768, 65_536, 131_072, 200_000, 1_000_000)
_PARAMETERS = (
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_tokens",
    "min_p",
    "presence_penalty",
    "reasoning",
    "response_format",
    "seed",
    "stop",
    "structured_outputs",
    "temperature",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
)
_WORD_TEXT = (
    "model answers questions writes code reads long documents follows instructions calls functions and keeps "
    "to a given format in many languages at low latency it was tuned for dialogue with images and tables"
)
_WORDS = _WORD_TEXT.split()


def openrouter_list(count: int) -> dict[str, Any]:
    """`{"data": [...]}` with that many models, each with an id of its own."""
    dice = random.Random(count)
    return {"data": [_model(number, dice) for number in range(count)]}


def _model(number: int, dice: random.Random) -> dict[str, Any]:
    maker, size = _MAKERS[number % len(_MAKERS)], dice.choice(_SIZES)
    name = f"{maker}-{number}-{size}"
    inputs = ["text", *(["image"] if dice.random() < 0.4 else []), *(["file"] if dice.random() < 0.1 else [])]
    context = dice.choice(_CONTEXTS)
    price = dice.randint(50, 15_000)  # of 10^-9 USD a token
    return {
        "id": f"{maker}/{name}",
        "canonical_slug": f"{maker}/{name}-2026-01-01",
        "hugging_face_id": "",
        "name": f"{maker.title()}: {name.replace('-', ' ').title()}",
        "created": 1_700_000_000 + number * 3_600,
        "description": " ".join(dice.choices(_WORDS, k=dice.randint(40, 100))),
        "context_length": context,
        "architecture": {
            "modality": "+".join(inputs) + "->text",
            "input_modalities": inputs,
            "output_modalities": ["text"],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": {
            "prompt": f"{price / 1e9:.9f}",
            "completion": f"{price * 4 / 1e9:.9f}",
            "request": "0",
            "image": "0",
            "web_search": "0",
            "internal_reasoning": "0",
            "input_cache_read": f"{price / 1e10:.10f}",
        },
        "top_provider": {
            "context_length": context,
            "max_completion_tokens": dice.choice((None, 4_096, 16_384, 65_536)),
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": sorted(dice.sample(_PARAMETERS, dice.randint(6, len(_PARAMETERS)))),
    }
