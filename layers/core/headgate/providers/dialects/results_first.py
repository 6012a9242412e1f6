"""Results of tool calls right behind the calls, as providers want them. Pure."""

from collections.abc import Iterable

from headgate.domain.conversation import Message, Role, ToolCall


def results_first(messages: Iterable[Message]) -> list[Message]:
    """The messages, with what was said between a tool's call and its result put behind the result.

    Responses allow it there; chat completions, Bedrock and Gemini refuse it. It stays within the same turn,
    before the assistant speaks again, so nothing is lost by it.
    """
    ordered: list[Message] = []
    said: list[Message] = []
    answering = False
    for message in messages:
        if message.role is Role.ASSISTANT:
            ordered += [*said, message]
            said, answering = [], any(isinstance(part, ToolCall) for part in message.parts)
        elif answering and message.role is not Role.TOOL:
            said.append(message)
        else:
            ordered.append(message)
    return [*ordered, *said]
