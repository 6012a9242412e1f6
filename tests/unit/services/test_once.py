"""What makes two requests the same, and whose earlier answer is given."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.domain.admission import LARGEST_WITHIN, Admission, Answer, Claim
from headgate.domain.errors import Conflict, GatewayFault, MalformedRequest, NotFound
from headgate.domain.generation import GenerationRecord, GenerationStatus
from headgate.services.once import KEPT, AnswerKeeper, Ending, Repeats, fingerprint, may_run_again, once_name
from headgate.testing.clock import START
from headgate.testing.memory import ManualClock, MemoryGenerationStore, MemoryLog

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
).filter(lambda value: "\ud800" not in repr(value))


def turned(value: Any) -> Any:
    """Equal JSON, its keys the other way round."""
    if isinstance(value, dict):
        return {name: turned(item) for name, item in reversed(value.items())}
    return [turned(item) for item in value] if isinstance(value, list) else value


@given(body=st.dictionaries(st.text(), JSON, max_size=5))
def test_the_order_of_keys_makes_no_difference(body: dict[str, Any]) -> None:
    assert fingerprint("k", "POST", "/x", turned(body)) == fingerprint("k", "POST", "/x", body)


@pytest.mark.parametrize(
    "other",
    [
        ("k2", "POST", "/x", {"a": [1, 2]}),
        ("k", "PUT", "/x", {"a": [1, 2]}),
        ("k", "POST", "/y", {"a": [1, 2]}),
        ("k", "POST", "/x", {"a": [2, 1]}),
        ("k", "POST", "/x", {"a": ["1", 2]}),
        ("k", "POST", "/x", {"a": [1, 2], "b": None}),
    ],
)
def test_whatever_else_differs_makes_another_request(other: tuple[str, str, str, Any]) -> None:
    assert fingerprint(*other) != fingerprint("k", "POST", "/x", {"a": [1, 2]})


def test_integers_of_more_than_64_bits_are_told_apart() -> None:
    prints = {fingerprint("k", "POST", "/x", {"n": 2**70 + add, "a": 1}) for add in range(3)}
    assert len(prints) == 3
    assert fingerprint("k", "POST", "/x", {"a": 1, "n": 2**70}) in prints


def test_a_body_nested_too_deeply_is_refused() -> None:
    body: list[Any] = []
    for _ in range(100_000):
        body = [body]
    with pytest.raises(MalformedRequest):
        fingerprint("k", "POST", "/x", {"a": body})


@given(one=st.tuples(st.text(), st.text()), other=st.tuples(st.text(), st.text()))
def test_names_are_equal_only_for_one_user_and_key(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (once_name(*one) == once_name(*other)) is (one == other)


@pytest.mark.parametrize(
    ("status", "error", "again"),
    [
        (GenerationStatus.SUCCEEDED, None, False),
        (GenerationStatus.FAILED, {"retryable": False}, False),
        (GenerationStatus.FAILED, {"retryable": True}, True),
        (GenerationStatus.CANCELLED, None, True),
        (GenerationStatus.EXPIRED, {"retryable": False}, True),
    ],
)
def test_what_gave_nothing_leaves_the_key_to_the_next(
    status: GenerationStatus, error: dict[str, Any] | None, again: bool
) -> None:
    assert may_run_again(replace(record(1), status=status, error=error)) is again


# -- whose answer -------------------------------------------------------------------------------------------

CLAIM = Claim(name="n", fingerprint="f", expires_at=START + KEPT)


def record(number: int, **fields: Any) -> GenerationRecord:
    begun = GenerationRecord(
        id=f"gen_{number}",
        owner="ann",
        key_id="k",
        type="text",
        status=GenerationStatus.RUNNING,
        created_at=START,
    )
    return replace(begun, **fields)


def answer(body: bytes = b"{}") -> Answer:
    return Answer(status=200, headers=(), body=body, expires_at=START + KEPT)


class Desk:
    """A store, and requests that begin in it under one idempotency key."""

    def __init__(self) -> None:
        self.store = MemoryGenerationStore(ManualClock())
        self.repeats = Repeats(self.store, wait_s=0.01)
        self.begun = 0

    async def begin(self, claim: Claim) -> None:
        await self.store.begin(record(self.begun + 1), Admission(claim=claim))
        self.begun += 1

    async def end(self, status: GenerationStatus, **fields: Any) -> None:
        await self.store.finish(record(self.begun, status=status, **fields))

    async def settle(self, claim: Claim = CLAIM) -> Answer | None:
        return await self.repeats.settle(claim, self.begin)


async def test_a_success_whose_answer_was_lost_is_never_run_again() -> None:
    desk = Desk()
    assert await desk.settle() is None
    await desk.end(GenerationStatus.SUCCEEDED)
    with pytest.raises(Conflict, match="gen_1") as refused:
        await desk.settle()
    assert refused.value.code == "idempotency_conflict"
    assert not refused.value.retryable
    assert desk.begun == 1


async def test_a_failure_whose_answer_was_lost_is_run_again() -> None:
    desk = Desk()
    await desk.settle()
    await desk.end(GenerationStatus.FAILED, error={"retryable": False})
    assert await desk.settle() is None
    assert desk.begun == 2


async def test_a_late_answer_of_a_run_that_was_given_up_is_not_given() -> None:
    desk = Desk()
    await desk.settle()
    await desk.end(GenerationStatus.EXPIRED)
    await desk.store.put_answer("gen_1", answer(b"late"))
    assert await desk.settle() is None
    await desk.store.put_answer("gen_2", answer(b"good"))
    await desk.end(GenerationStatus.SUCCEEDED)
    assert await desk.settle() == answer(b"good")


async def test_what_stands_in_the_way_of_beginning_again_is_raised() -> None:
    desk = Desk()
    await desk.settle()
    await desk.end(GenerationStatus.CANCELLED)

    async def begin(_claim: Claim) -> None:
        raise NotFound("gone since")

    with pytest.raises(NotFound):
        await desk.repeats.settle(CLAIM, begin)


async def test_an_answer_is_given_though_its_request_could_not_begin_now() -> None:
    desk = Desk()
    await desk.settle()
    await desk.store.put_answer("gen_1", answer())
    await desk.end(GenerationStatus.SUCCEEDED)

    async def begin(_claim: Claim) -> None:
        raise NotFound("gone since")

    assert await desk.repeats.settle(CLAIM, begin) == answer()
    with pytest.raises(NotFound):
        await desk.repeats.settle(replace(CLAIM, name="other"), begin)
    with pytest.raises(Conflict):
        await desk.repeats.settle(replace(CLAIM, fingerprint="g"), begin)


async def test_a_store_that_failed_is_not_asked_whose_the_key_is_and_nobody_waits_for_himself() -> None:
    desk = Desk()
    desk.repeats.wait_s = 3600

    async def begin(claim: Claim) -> None:
        await desk.begin(claim)
        raise GatewayFault.unavailable("The store")

    with pytest.raises(GatewayFault):
        await desk.repeats.settle(CLAIM, begin)


async def test_an_answer_that_cannot_be_kept_is_no_reason_to_fail() -> None:
    store, log = MemoryGenerationStore(ManualClock()), MemoryLog()
    store.fault = GatewayFault.unavailable("The store")
    keeper = AnswerKeeper(store, log, lambda ending: answer(ending.given))
    await keeper.keep(record(1, status=GenerationStatus.SUCCEEDED), bytes(LARGEST_WITHIN + 1), None)
    store.fault = None
    assert await store.get_answer("gen_1") is None
    assert [entry.fields["code"] for entry in log.named("answer.not_kept")] == ["gateway_unavailable"]


async def test_what_a_client_was_sent_in_pieces_is_told_as_one() -> None:
    ends: list[Ending] = []

    def tell(ending: Ending) -> Answer:
        ends.append(ending)
        return answer(ending.given)

    store = MemoryGenerationStore(ManualClock())
    keeper = AnswerKeeper(store, MemoryLog(), tell)
    keeper.give(b"a")
    keeper.give(b"b")
    kept = await keeper.keep(record(1, status=GenerationStatus.SUCCEEDED), b"c", None)
    assert [ending.given for ending in ends] == [b"abc"]
    assert kept == answer(b"abc")


@pytest.mark.parametrize("over", [0, 1])
async def test_what_is_small_is_left_to_be_kept_with_the_outcome(over: int) -> None:
    store = MemoryGenerationStore(ManualClock())
    keeper = AnswerKeeper(store, MemoryLog(), lambda ending: answer(ending.given))
    body = bytes(LARGEST_WITHIN + over)
    kept = await keeper.keep(record(1, status=GenerationStatus.SUCCEEDED), body, None)
    stored = await store.get_answer("gen_1")
    assert [kept, stored] == ([None, answer(body)] if over else [answer(body), None])
