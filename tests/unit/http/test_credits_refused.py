"""Who lacks credits, or has used a limit up, is told by how much or until when, in each dialect's shape."""

from typing import Any

from headgate.domain.audit import AuditEvent
from headgate.domain.callers import KeyLimits, Scope
from headgate.domain.credits import EntryKind, LedgerEntry
from headgate.domain.ids import new_id
from headgate.testing.clock import START
from tests.support.gate import Gate, open_gate
from tests.support.models import model, priced
from tests.support.provider import said

M = model("alpha/m", pricing=priced("1", "10"))
CHAT: dict[str, Any] = {
    "model": "alpha/m",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "hi"}],
}


async def poor(granted: int = 0) -> Gate:
    gate = await open_gate(models=[M], environ={"HEADGATE_CREDITS": "enforced"})
    gate.transport.on("https://alpha.example/chat", said("x", tokens=(10, 20)))
    if granted:
        entry = LedgerEntry(id="led_1", user_id="ann", at=START, kind=EntryKind.GRANT, amount_nanousd=granted)
        event = AuditEvent(id=new_id("evt"), at=START, actor="root", action="credits.grant", target="ann")
        await gate.ledger.add_entry(entry, event)
    return gate


async def test_the_gateways_own_shape_has_both_figures() -> None:
    gate = await poor()
    config = {"prompt": "hi", "max_tokens": 100}
    answer = await gate.post("/v2/generations", json={"type": "text", "model": "alpha/m", "config": config})
    assert answer.status_code == 402
    problem = answer.json()
    assert (problem["code"], problem["retryable"], problem["origin"]) == (
        "insufficient_credits",
        False,
        "caller",
    )
    assert problem["available"] == {"amount": "0", "currency": "USD"}
    assert problem["needed"]["currency"] == "USD"
    assert answer.headers["x-should-retry"] == "false"
    assert gate.transport.requests == []


async def test_openais_and_anthropics_clients_get_their_shapes() -> None:
    gate = await poor()
    openai = await gate.post("/v1/chat/completions", json=CHAT)
    assert (openai.status_code, openai.json()["error"]["code"]) == (402, "insufficient_credits")
    anthropic = await gate.post("/v1/messages", json=CHAT)
    assert (anthropic.status_code, anthropic.json()["type"]) == (402, "error")
    streamed = await gate.post("/v1/chat/completions", json=CHAT | {"stream": True})
    assert streamed.status_code == 402


async def test_credits_come_back_as_soon_as_a_call_is_over_and_run_out_in_the_end() -> None:
    gate = await poor(granted=1_500_000)
    statuses = [(await gate.post("/v1/chat/completions", json=CHAT)).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 402, 402]  # 0.21 of a thousandth each; one must be available


async def test_a_keys_own_limit_on_spending_says_when_to_come_back() -> None:
    gate = await open_gate(models=[M])
    gate.transport.on("https://alpha.example/chat", said("x", tokens=(10, 20)))
    limits = KeyLimits(spend_per_day_nanousd=1_100_000)
    key = await gate.key(Scope.GENERATE, limits=limits)
    assert (await gate.post("/v1/chat/completions", json=CHAT, key=key)).status_code == 200
    refused = await gate.post("/v1/chat/completions", json=CHAT, key=key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
    assert int(refused.headers["retry-after"]) == 15 * 3600
    assert "credits_per_day" in refused.json()["error"]["message"]


async def test_what_no_window_has_room_for_is_refused_for_good_in_each_dialect() -> None:
    gate = await open_gate(models=[M])
    gate.transport.on("https://alpha.example/chat", said("x", tokens=(10, 20)))
    config = {"prompt": "hi", "max_tokens": 100}
    for limits, name in (
        (KeyLimits(tokens_per_minute=1), "tokens_per_minute"),
        (KeyLimits(spend_per_day_nanousd=10**5), "credits_per_day"),
        (KeyLimits(spend_per_month_nanousd=10**5), "credits_per_month"),
    ):
        key = await gate.key(Scope.GENERATE, limits=limits)
        asked = {"type": "text", "model": "alpha/m", "config": config}
        own = await gate.post("/v2/generations", json=asked, key=key)
        openai = await gate.post("/v1/chat/completions", json=CHAT, key=key)
        streamed = await gate.post("/v1/chat/completions", json=CHAT | {"stream": True}, key=key)
        anthropic = await gate.post("/v1/messages", json=CHAT, key=key)
        told = [own.json()["detail"], *(each.json()["error"]["message"] for each in (openai, anthropic))]
        for answer in (own, openai, streamed, anthropic):
            assert answer.status_code == 429
            assert answer.headers["x-should-retry"] == "false"
            assert "retry-after" not in answer.headers
        assert (own.json()["code"], own.json()["retryable"]) == ("rate_limited", False)
        assert openai.json()["error"]["code"] == anthropic.json()["error"]["code"] == "rate_limited"
        assert anthropic.json()["error"]["type"] == openai.json()["error"]["type"] == "rate_limit_error"
        assert all(name in each and "administrator" in each for each in told)
    assert gate.transport.requests == []
