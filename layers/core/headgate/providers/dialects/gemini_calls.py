"""Function calls within a Gemini answer: whole ones, and those whose arguments come in pieces. Pure.

The pieces (`partialArgs`, recorded) each say where in the arguments a value belongs; they come where a caller
asked for `streamFunctionCallArguments`. The arguments are told when the call is complete: only then are they
JSON text in the order in which they were made.
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from headgate.domain.answers import AnswerEvent, ToolCallDelta, ToolCallStarted
from headgate.providers.dialects.openai_answers import write_json

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d{1,6})\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")
_MAX_GAP = 1000
"""Places that a list may skip; more is no list that a model made."""


class MalformedCall(ValueError):
    """A call that can't be put together."""


class CallReader:
    """Reads the calls of one answer, one after the other."""

    def __init__(self) -> None:
        self.count = 0
        self._ids: set[str] = set()
        self._open: _Arguments | None = None

    def read(self, part: Mapping[str, Any], seed: str) -> list[AnswerEvent]:
        """Events of a part that holds a `functionCall`. seed: the answer's own name, for missing ids.

        Raises MalformedCall.
        """
        call = part["functionCall"]
        if not isinstance(call, Mapping):
            raise MalformedCall("is no object")
        events: list[AnswerEvent] = []
        name = call.get("name")
        if isinstance(name, str) and name:
            events += self.close()
            signature = part.get("thoughtSignature")
            events.append(
                ToolCallStarted(
                    index=self.count,
                    id=self._id_of(call.get("id"), seed),
                    name=name,
                    signature=signature if isinstance(signature, str) and signature else None,
                )
            )
            self._open = _Arguments(self.count)
            self.count += 1
        if self._open is not None:
            self._open.add(call)
            if call.get("willContinue") is not True:
                events += self.close()
        return events

    def close(self) -> list[AnswerEvent]:
        """The arguments of the call that was open: its last piece is not always announced (recorded)."""
        arguments, self._open = self._open, None
        if arguments is None:
            return []
        return [ToolCallDelta(index=arguments.index, arguments=write_json(arguments.value).decode())]

    def _id_of(self, told: Any, seed: str) -> str:
        """The provider's own id, else one that no other answer has."""
        call_id = told if isinstance(told, str) and told and told not in self._ids else None
        call_id = call_id or f"call_{seed}_{self.count}"
        self._ids.add(call_id)
        return call_id


class _Arguments:
    """The arguments of one call, as far as they are known."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.value: dict[str, Any] = {}
        self._unfinished: set[str] = set()

    def add(self, call: Mapping[str, Any]) -> None:
        whole, pieces = call.get("args"), call.get("partialArgs")
        if isinstance(whole, Mapping):
            self.value.update(whole)
        for piece in pieces if isinstance(pieces, list) else ():
            if isinstance(piece, Mapping) and isinstance(piece.get("jsonPath"), str):
                self._put(piece["jsonPath"], piece)

    def _put(self, path: str, piece: Mapping[str, Any]) -> None:
        steps = _steps(path)
        holder: Any = self.value
        for step, following in pairwise(steps):
            holder = _enter(holder, step, [] if isinstance(following, int) else {})
        last, value = steps[-1], _value_of(piece)
        if path in self._unfinished and isinstance(value, str):
            value = str(_look(holder, last) or "") + value
        _enter(holder, last, value, replace=True)
        if piece.get("willContinue") is True:
            self._unfinished.add(path)
        else:
            self._unfinished.discard(path)


def _steps(path: str) -> list[str | int]:
    """`$.a.b[0]` as keys and indexes."""
    steps: list[str | int] = []
    place = 1
    while path.startswith("$") and place < len(path):
        match = _STEP.match(path, place)
        if match is None:
            break
        steps.append(int(match[2]) if match[2] else match[1] or match[3] or match[4] or "")
        place = match.end()
    if place != len(path) or not steps or isinstance(steps[0], int):
        raise MalformedCall("has an unreadable path")
    return steps


def _enter(holder: Any, step: str | int, value: Any, *, replace: bool = False) -> Any:
    """What stands at `step`, put there if nothing did."""
    if isinstance(step, int) and isinstance(holder, list):
        if step > len(holder) + _MAX_GAP:
            raise MalformedCall("has a list with too large a gap")
        holder.extend([None] * (step + 1 - len(holder)))
        if replace or holder[step] is None:
            holder[step] = value
        return holder[step]
    if isinstance(step, str) and isinstance(holder, dict):
        if replace or step not in holder:
            holder[step] = value
        return holder[step]
    raise MalformedCall("has paths that exclude each other")


def _look(holder: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return holder[step] if isinstance(holder, list) and step < len(holder) else None
    return holder.get(step) if isinstance(holder, dict) else None


def _value_of(piece: Mapping[str, Any]) -> Any:
    """None for null, and for what is not known."""
    for name in ("stringValue", "numberValue", "boolValue"):
        if name in piece:
            return piece[name]
    return None
