"""A conversation written as a request for a message.

What can't be said, by the field it came from; the rest is in `carrying.py`:

- seed, frequency_penalty, presence_penalty: dropped. There is no such thing, and the answer is of its kind.
- temperature, top_p, top_k: dropped for models since 4.7 and while one thinks, where they are refused.
- top_p beside temperature: dropped, since Claude takes one of the two. temperature above 1: said as 1, where
  its scale ends.
- response_format json_object: told in words and named as dropped, since there is only JSON by a schema.
- stop of white space alone: refused. It can't be said, and without it the answer would go on.
- user above 256 characters: dropped, since it is refused.
- thinking: dropped for models that don't think, with too few tokens of output, with a forced tool call, and
  amid a tool call whose thought was not given back; all of them are refused.
"""

from collections.abc import Mapping
from typing import Any

from headgate.domain.conversation import Conversation, OutputFormat, Thinking, Tool
from headgate.providers.base import ChatCall
from headgate.providers.dialects.anthropic_models import Claude, claude_of
from headgate.providers.dialects.anthropic_turns import TurnWriter, cache_control
from headgate.providers.dialects.base import CannotCarry
from headgate.providers.dialects.carrying import carry, drop, drop_sampling, note_idle_choice
from headgate.providers.dialects.thinking import budget_of, effort_of, is_off

DEFAULT_MAX_TOKENS = 4096
"""Where the caller said nothing and the catalogue knows no limit: the dialect demands a number."""

LEAST_BUDGET = 1024
_MEDIUM_BUDGET = 12_288
_MAX_USER = 256
_JSON_WORDS = "Answer with one JSON object and nothing else."


def write_request(conversation: Conversation, call: ChatCall) -> dict[str, Any]:
    """Raises CannotCarry; what is left out is named in `call.dropped`."""
    claude = claude_of(call.model, call.info)
    system, turns = TurnWriter(call).write(conversation.messages)
    body: dict[str, Any] = {"model": call.model, "max_tokens": _max_tokens(conversation, call)}
    if conversation.output is not None:
        system += _json_words(conversation.output, call)
    if system:
        plain = len(system) == 1 and "cache_control" not in system[0]
        body["system"] = system[0]["text"] if plain else system
    body["messages"] = [_shortened(turn) for turn in turns]
    if conversation.tools:
        body["tools"] = [_write_tool(tool) for tool in conversation.tools]
        body |= _write_choice(conversation)
    note_idle_choice(conversation, call)
    body |= _write_thinking(conversation, call, claude, body)
    body |= _write_sampling(conversation, call, claude, thinks=_thinks(body))
    if conversation.output is not None and conversation.output.schema is not None:
        schema = {"type": "json_schema", "schema": dict(conversation.output.schema)}
        body["output_config"] = {**body.get("output_config", {}), "format": schema}
    body |= carry(conversation.extras, call)
    if call.stream:
        body["stream"] = True
    return body


def _max_tokens(conversation: Conversation, call: ChatCall) -> int:
    """What the caller said; else what the model can, as far as a quarter of its window."""
    limit = call.info.max_output_tokens if call.info is not None else None
    if conversation.max_tokens is not None:
        return conversation.max_tokens
    if limit is None:
        return DEFAULT_MAX_TOKENS
    window = call.info.context_window if call.info is not None else None
    return limit if window is None else max(1, min(limit, window // 4))


def _shortened(turn: dict[str, Any]) -> dict[str, Any]:
    """A turn of one plain text as a string."""
    content = turn["content"]
    if len(content) == 1 and content[0].keys() == {"type", "text"}:
        return {**turn, "content": content[0]["text"]}
    return turn


# -- tools ------------------------------------------------------------------------------------------------


def _write_tool(tool: Tool) -> dict[str, Any]:
    written: dict[str, Any] = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    written["input_schema"] = {"type": "object", **tool.parameters}
    if "properties" not in tool.parameters and not tool.parameters:
        written["input_schema"]["properties"] = {}
    if tool.strict is not None:
        written["strict"] = tool.strict
    if tool.cache is not None:
        written["cache_control"] = cache_control(tool.cache)
    return written


def _write_choice(conversation: Conversation) -> dict[str, Any]:
    choice = conversation.tool_choice
    if choice is None:
        return {}
    written: dict[str, Any] = {"type": {"required": "any"}.get(choice.mode, choice.mode)}
    if choice.mode == "tool":
        written["name"] = choice.name
    if choice.parallel is not None and choice.mode != "none":
        written["disable_parallel_tool_use"] = not choice.parallel
    return {"tool_choice": written}


# -- thinking ---------------------------------------------------------------------------------------------


def _write_thinking(
    conversation: Conversation, call: ChatCall, claude: Claude, body: Mapping[str, Any]
) -> dict[str, Any]:
    """How much to think, as this model is told it; see `thinking.py` for efforts and budgets."""
    thinking = conversation.thinking
    if thinking is None:
        return {}
    if is_off(thinking):
        return {"thinking": {"type": "disabled"}} if claude.thinks_unasked else {}
    exact = thinking.budget_tokens is not None and claude.budget
    if claude.adaptive and not exact:
        return _adaptive(thinking, claude)
    budget = _budget(thinking, int(body["max_tokens"])) if claude.budget else None
    forced = body.get("tool_choice", {}).get("type") in ("any", "tool")
    if budget is None or forced or _lacks_thought(body["messages"]):
        drop(call, "thinking")
        return {}
    written: dict[str, Any] = {"type": "enabled", "budget_tokens": budget}
    if thinking.visible is False:
        written["display"] = "omitted"
    return {"thinking": written}


def _adaptive(thinking: Thinking, claude: Claude) -> dict[str, Any]:
    """Models that hide their thoughts are asked for a summary, as others show theirs unasked."""
    written: dict[str, Any] = {"thinking": {"type": "adaptive"}}
    if thinking.visible is False:
        written["thinking"]["display"] = "omitted"
    elif claude.hides:
        written["thinking"]["display"] = "summarized"
    effort = effort_of(thinking)
    if effort is not None:
        written["output_config"] = {"effort": claude.effort(effort)}
    return written


def _budget(thinking: Thinking, max_tokens: int) -> int | None:
    """A budget that leaves a fifth of the limit to the answer; None where too little is left to think."""
    wanted = budget_of(thinking) or _MEDIUM_BUDGET
    budget = max(LEAST_BUDGET, min(wanted, max_tokens * 4 // 5))
    return budget if budget < max_tokens else None


def _lacks_thought(turns: list[dict[str, Any]]) -> bool:
    """Whether tool results answer calls whose thought did not come back: that is refused while thinking."""
    if len(turns) < 2 or turns[-1]["role"] != "user" or isinstance(turns[-1]["content"], str):
        return False
    answered = any(block["type"] == "tool_result" for block in turns[-1]["content"])
    before = turns[-2]["content"]
    thought = not isinstance(before, str) and before[0]["type"] in ("thinking", "redacted_thinking")
    return answered and not thought


def _thinks(body: Mapping[str, Any]) -> bool:
    return bool(body.get("thinking", {}).get("type") in ("enabled", "adaptive"))


# -- sampling ---------------------------------------------------------------------------------------------


def _write_sampling(
    conversation: Conversation, call: ChatCall, claude: Claude, *, thinks: bool
) -> dict[str, Any]:
    written: dict[str, Any] = {}
    told = {
        "temperature": conversation.temperature,
        "top_p": conversation.top_p,
        "top_k": conversation.top_k,
    }
    for name, value in told.items():
        default = value is None or (name != "top_k" and value == 1)
        if value is None or (default and (thinks or not claude.samples)):
            continue
        second = name == "top_p" and conversation.temperature is not None
        if thinks or second or not claude.samples:
            drop(call, name)
        else:
            written[name] = min(value, 1) if name == "temperature" else value
    drop_sampling(conversation, call, "seed", "frequency_penalty", "presence_penalty")
    if any(not stop.strip() for stop in conversation.stop):
        raise CannotCarry.field("stop", "this provider stops at no white space.")
    if conversation.stop:
        written["stop_sequences"] = list(conversation.stop)
    if conversation.user and len(conversation.user) > _MAX_USER:
        drop(call, "user")
    elif conversation.user:
        written["metadata"] = {"user_id": conversation.user}
    return written


def _json_words(output: OutputFormat, call: ChatCall) -> list[dict[str, Any]]:
    """Some JSON object can be asked for in words alone; that it is one is then not assured."""
    if output.kind == "text" or output.schema is not None:
        return []
    drop(call, "response_format")
    return [{"type": "text", "text": _JSON_WORDS}]
