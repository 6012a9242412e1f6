"""Four providers on one loopback port, each in its own wire format; what they answer goes by the model."""

import re
from collections.abc import Sequence

from tests.e2e.clients import wires
from tests.e2e.clients.wires import Json, Said
from tests.e2e.upstream import Call, End, Step, Upstream, listed, piece, stream, whole

SAYS = "The gate is open."
SIGNATURE = "c2lnbmVkIGJ5IHRoZSBsb29wYmFjaw=="
COUNTED = 42
WEATHERS = (("call_oslo", "weather", {"city": "Oslo"}), ("call_rome", "weather", {"city": "Rome"}))
SCENES = {
    "says-text": Said(text=SAYS),
    "says-tools": Said(calls=WEATHERS),
    "says-both": Said(text="Let me look.", calls=WEATHERS),
    "says-thoughts": Said(thought="Gates open at dawn.", signature=SIGNATURE, text=SAYS),
    "says-json": Said(text='{"open": true, "since": 1850}'),
}
"""What each model answers, whoever has it."""

PROVIDERS = ("anthropic", "openai", "gemini", "deepseek")
_GEMINI = re.compile(r"/models/([^:?]+):(\w+)")


class Polyglot(Upstream):
    """`fails-429` and the like fail with that status, as their provider words it; `breaks` ends too early."""

    def asked_for(self, provider: str, model: str) -> list[Call]:
        """What this provider was asked of this model, in order."""
        mine = [call for call in self.asked if call.path.startswith(f"/{provider}/")]
        return [call for call in mine if call.method == "POST" and model_of(call) == model]

    def _script(self, call: Call) -> Sequence[Step]:
        provider = call.path.split("/")[1]
        if call.method == "GET":
            return _lists(provider) if "/models" in call.path else super()._script(call)
        model = model_of(call)
        if model.startswith("fails-"):
            status = int(model.removeprefix("fails-"))
            return whole(_error(provider, status), status)
        if model == "breaks":
            return _cut(_answer(call, SCENES["says-text"], model))
        if "embed" in call.path.lower():
            return whole(_embeddings(call))
        if call.path.endswith(("/count_tokens", ":countTokens")):
            return whole({"input_tokens": COUNTED, "totalTokens": COUNTED})
        return _answer(call, SCENES[model], model)


def model_of(call: Call) -> str:
    """Its name in the body, or in Gemini's paths."""
    in_path = _GEMINI.search(call.path)
    return in_path[1] if in_path else str(call.json["model"])


def _answer(call: Call, said: Said, model: str) -> Sequence[Step]:
    path = call.path.partition("?")[0]
    if path.endswith(":streamGenerateContent"):
        return stream(wires.gemini_bytes(said, model))
    if path.endswith(":generateContent"):
        return whole(wires.gemini_answer(said, model))
    streamed = bool(call.json.get("stream"))
    if path.endswith("/messages"):
        if streamed:
            return stream(wires.anthropic_bytes(said, model))
        return whole(wires.anthropic_message(said, model))
    if path.endswith("/responses"):
        return stream(wires.response_bytes(said, model)) if streamed else whole(wires.response(said, model))
    return stream(wires.chat_bytes(said, model)) if streamed else whole(wires.chat_completion(said, model))


def _cut(script: Sequence[Step]) -> Sequence[Step]:
    """A stream whose connection ends between its two pieces of text and its end."""
    head, events, *_ = script
    assert isinstance(events, bytes)
    body = events.partition(b"\r\n")[2]
    end = body.index(b"open.")
    separator = b"\r\n\r\n" if b"\r\n\r\n" in body else b"\n\n"
    cut = body[: body.index(separator, end) + len(separator)]
    return (head, piece(cut), End.CLOSE)


def _lists(provider: str) -> Sequence[Step]:
    names = list(SCENES)
    if provider == "gemini":
        methods = ["generateContent", "countTokens"]
        rows = [{"name": f"models/{name}", "supportedGenerationMethods": methods} for name in names]
        return whole({"models": rows})
    if provider == "anthropic":
        known = [_anthropic_model(name) for name in names]
        return whole({"data": known, "has_more": False, "first_id": names[0], "last_id": names[-1]})
    return listed(*names)


def _anthropic_model(name: str) -> Json:
    return {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}


def _error(provider: str, status: int) -> Json:
    if provider == "anthropic":
        kinds = {400: "invalid_request_error", 404: "not_found_error", 429: "rate_limit_error"}
        error = {"type": kinds.get(status, "api_error"), "message": f"model: fails-{status}"}
        return {"type": "error", "error": error, "request_id": "req_loopback"}
    if provider == "gemini":
        return {"error": {"code": status, "message": "as told", "status": "UNKNOWN"}}
    return {"error": {"message": "as told", "type": "loopback"}}


def _embeddings(call: Call) -> Json:
    if "/gemini/" in call.path:
        asked = call.json.get("requests", [call.json])
        return {"embeddings": [{"values": [0.25, -0.5, n]} for n in range(len(asked))]}
    given = call.json["input"]
    texts = given if isinstance(given, list) else [given]
    rows = [
        {"object": "embedding", "index": n, "embedding": [0.25, -0.5, float(n)]} for n in range(len(texts))
    ]
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    return {"object": "list", "data": rows, "model": call.json["model"], "usage": usage}
