"""What Gemini's models can do, as far as a request depends on it: told by the family in the name. Pure.

Facts: https://ai.google.dev/gemini-api/docs/models, /docs/thinking and /docs/gemini-3 (2026-11-20).
"""

import re
from typing import Literal

_VERSION = re.compile(r"(gemini|gemma)-(\d+)(?:\.(\d+))?")
_NEWEST = (99, 0)
"""Of names without a number (`gemini-flash-latest`): they stand for the newest."""

_WITHOUT_THOUGHT = re.compile(r"-image|-tts|-audio|-live|embedding")


def bare_name(model: str) -> str:
    """A model's name in lower case, without the collection it is in."""
    return model.lower().rpartition("/")[2]


def is_gemma(model: str) -> bool:
    return bare_name(model).startswith("gemma")


def generation_of(model: str) -> tuple[int, int]:
    """`gemini-2.5-flash` is of generation (2, 5). Robotics 1.5 was built upon that one."""
    name = bare_name(model)
    if "robotics-er-1.5" in name:
        return (2, 5)
    match = _VERSION.match(name)
    return (int(match[2]), int(match[3] or 0)) if match else _NEWEST


def thinks_by(model: str) -> Literal["level", "budget"] | None:
    """How it is told how much to think: a word since Gemini 3, tokens before, nothing before 2.5.

    https://ai.google.dev/gemini-api/docs/thinking (2026-11-20).
    """
    generation = generation_of(model)
    if is_gemma(model):
        return "level" if generation >= (4, 0) else None
    if generation < (2, 5):
        return None
    if generation >= (3, 0):
        return "level"
    return None if _WITHOUT_THOUGHT.search(bare_name(model)) else "budget"


def checks_signatures(model: str) -> bool:
    """Whether a function call must come back with a signature.

    https://ai.google.dev/gemini-api/docs/thought-signatures (2026-11-20).
    """
    return not is_gemma(model) and generation_of(model) >= (3, 0)


def takes_tool_media(model: str) -> bool:
    """Whether images and PDF may stand within a function's response (recorded with Gemini 3)."""
    return not is_gemma(model) and generation_of(model) >= (3, 0)


def fetches_urls(model: str) -> bool:
    """Whether it fetches files from any https address; older ones know Google's own and YouTube's.

    https://ai.google.dev/gemini-api/docs/file-input-methods (2026-11-20).
    """
    return not is_gemma(model) and generation_of(model) >= (2, 5)
