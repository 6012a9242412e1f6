"""A conversation, and how its next turn is asked for, as every dialect can say it.

Pure. The turn that comes back is in `answers`. Used only across dialects: what goes in and comes out in one
dialect is handed through untouched. A dialect reads its own JSON into these values and writes them back; what
a value can't hold is kept in `extras` under the dialect's own field name, so that it is refused or dropped by
name, never silently.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


# -- parts of a message ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Plain text. cache: the caller marked the prompt up to here as worth caching (`5m`, `1h`)."""

    text: str
    cache: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """An image, a document or sound: by `url`, or as base64 `data` with its `mime_type`, or by `file_id`.

    kind: `image`, `file` (PDF, text…), `audio`, `video`. detail: `low`, `high`, `auto` for images.
    """

    kind: Literal["image", "file", "audio", "video"]
    url: str | None = None
    data: str | None = None
    mime_type: str | None = None
    file_id: str | None = None
    name: str | None = None
    detail: str | None = None
    cache: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """The model asks for a tool. arguments: JSON text, as produced. signature: opaque, to be given back."""

    id: str
    name: str
    arguments: str
    signature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What the tool said. `name` is known where the dialect tells it, or the call was seen before."""

    call_id: str
    parts: "tuple[Text | Media, ...]"
    name: str | None = None
    is_error: bool = False
    cache: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """What the model thought. signature: opaque, must be given back with the text. redacted: opaque in place
    of a text. origin: the dialect that signed it; another one can't check it. id: a reasoning item's name."""

    text: str = ""
    signature: str | None = None
    redacted: str | None = None
    origin: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The model says why it won't."""

    text: str


type Part = Text | Media | ToolCall | ToolResult | Reasoning | Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message; a tool's results are a message of role `tool`."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None


# -- the request ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function the model may call. parameters: its JSON schema. strict None: the dialect's default."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    strict: bool | None = None
    cache: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolChoice:
    """`auto`, `none`, `required`, or `tool`: the one of that `name`. parallel None: the dialect's default."""

    mode: Literal["auto", "none", "required", "tool"] = "auto"
    name: str | None = None
    parallel: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """`text`, `json_object`, or `json_schema` with its schema."""

    kind: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: Mapping[str, Any] | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """How much to think: `effort` (`none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`), or a budget
    in tokens; adaptive: the model decides. visible: whether the caller wants to see it; None: the default."""

    effort: str | None = None
    budget_tokens: int | None = None
    adaptive: bool = False
    visible: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A request for the next turn. None is «not said». `system` messages are among `messages`, in place.

    extras: fields of the caller's dialect that have no place here, by name. A path with an index
    (`messages[2].content[0]`) is a part that no back can say: it is refused. A path without
    (`messages[].content[].citations`) is a detail that every back leaves out, by that name.
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    output: OutputFormat | None = None
    thinking: Thinking | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    user: str | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
