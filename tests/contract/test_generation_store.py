"""What services may rely on of any store of generations."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from headgate.domain.admission import Admission, Claim, Closing, Correction, Counter
from headgate.domain.errors import Conflict, InvalidRequest, LimitReached
from headgate.domain.generation import Attempt, GenerationRecord, GenerationStatus, KeyOpening, Usage
from headgate.ports import AlreadyClaimed, GenerationStore
from headgate.testing.memory import ManualClock
from tests.contract.values import NOON, generation

DONE = GenerationStatus.SUCCEEDED


async def walk(
    store: GenerationStore, filters: Mapping[str, str] | None = None, *, limit: int = 3, owner: str = "ada"
) -> list[list[str]]:
    """The ids of each page."""
    pages, cursor = [], None
    while True:
        records, cursor = await store.list_by_owner(owner, filters=filters or {}, limit=limit, cursor=cursor)
        pages.append([record.id for record in records])
        if cursor is None:
            return pages


def finished(record: GenerationRecord, **fields: object) -> GenerationRecord:
    done = {"status": DONE, "completed_at": record.created_at + timedelta(seconds=1.5), **fields}
    return replace(record, **done)  # type: ignore[arg-type]


async def test_an_unknown_generation_is_none(generations: GenerationStore) -> None:
    assert await generations.get("gen_none") is None
    assert await walk(generations) == [[]]


async def test_what_is_begun_and_finished_is_read_back_as_it_was(generations: GenerationStore) -> None:
    metadata = {"scene_id": "s", "n": [1, None]}
    record = generation(1, requested_model="gpt", project_id="prj_1", metadata=metadata)
    await generations.begin(record)
    assert await generations.get(record.id) == record
    done = finished(
        record,
        model="openai/gpt",
        provider="openai",
        connection_id="con_1",
        started_at=NOON + timedelta(microseconds=1),
        output={"text": "Grüße", "finish_reason": "stop", "parts": [{"a": 1.5}]},
        usage=Usage(input_tokens=10, output_tokens=0, cost_usd=Decimal("0.000012300")),
        cost_estimated_nanousd=0,
        cost_charged_nanousd=12_300,
        attempts=(
            Attempt(
                provider="gemini", model="m", outcome="failed", code="provider_overloaded", latency_ms=12
            ),
            Attempt(provider="openai", model="gpt", outcome="succeeded"),
        ),
        opened=(
            KeyOpening(connection_id="con_2", provider="gemini", at=NOON, outcome="refused"),
            KeyOpening(connection_id="con_1", provider="openai", at=NOON + timedelta(seconds=1)),
        ),
        error={"code": "x", "detail": None},
        expires_at=NOON + timedelta(days=30),
    )
    await generations.finish(done)
    assert await generations.get(record.id) == done


async def test_beginning_the_same_record_again_is_fine(generations: GenerationStore) -> None:
    record = generation(1)
    await generations.begin(record)
    await generations.begin(record)
    assert await walk(generations) == [[record.id]]


async def test_another_record_of_the_same_id_is_a_conflict(generations: GenerationStore) -> None:
    record = generation(1)
    await generations.begin(record)
    with pytest.raises(Conflict):
        await generations.begin(replace(record, requested_model="other"))
    with pytest.raises(Conflict):
        await generations.begin(replace(record, requested_model="other"), window(5))
    assert await generations.get(record.id) == record


async def test_an_outcome_is_written_once_the_same_again_is_fine(generations: GenerationStore) -> None:
    record = generation(1)
    await generations.begin(record)
    one = finished(record, output={"text": "one"})
    await generations.finish(one)
    await generations.finish(one)
    with pytest.raises(Conflict):
        await generations.finish(finished(record, output={"text": "two"}))
    assert await generations.get(record.id) == one


async def test_what_is_told_of_keys_is_no_generation_and_changes_none(generations: GenerationStore) -> None:
    opened = (KeyOpening(connection_id="con_1", provider="openai", at=NOON),)
    await generations.tell_keys(finished(generation(1), opened=opened))
    assert await generations.get(generation(1).id) is None
    await generations.begin(generation(2))
    expired = finished(generation(2), status=GenerationStatus.EXPIRED)
    await generations.finish(expired)
    for _ in range(2):
        await generations.tell_keys(finished(generation(2), opened=opened))
    assert await generations.get(expired.id) == expired
    assert await walk(generations) == [[expired.id]]
    assert await generations.list_overdue(before=NOON + timedelta(days=900), limit=10) == []


@pytest.mark.parametrize("kilobytes", [1, 5, 260, 700])
async def test_no_output_is_too_large_to_be_kept(generations: GenerationStore, kilobytes: int) -> None:
    noise = random.Random(kilobytes).randbytes(kilobytes * 500).hex()
    record = generation(1, metadata={"scene": "s" * 2000})
    await generations.begin(record)
    done = finished(record, output={"text": noise})
    await generations.finish(done)
    assert await generations.get(record.id) == done
    listed, _ = await generations.list_by_owner("ada", filters={}, limit=5, cursor=None)
    assert listed == [done]


async def test_metadata_larger_than_an_item_is_kept(generations: GenerationStore) -> None:
    noise = random.Random(3).randbytes(300_000).hex()
    record = generation(1, metadata={"notes": noise})
    await generations.begin(record)
    assert await generations.get(record.id) == record
    done = finished(record, metadata={"notes": noise + "!"})
    await generations.finish(done)
    assert await generations.get(record.id) == done


async def test_an_expired_record_is_gone(generations: GenerationStore, clock: ManualClock) -> None:
    clock.jump_to(NOON)
    short = generation(1, expires_at=NOON + timedelta(hours=1))
    long = generation(2, expires_at=NOON + timedelta(days=1))
    for record in (short, long, generation(3)):
        await generations.begin(record)
    clock.advance(3600)
    assert await generations.get(short.id) is None
    assert await generations.get(long.id) == long
    assert await walk(generations, limit=1) == [["gen_0003"], ["gen_0002"]]


def window(limit: int, *, minute: int = 0, key: str = "key_1", parts: int = 1) -> Admission:
    ends = NOON + timedelta(minutes=minute + 1)
    counter = Counter(
        name=f"{key}#{minute}", measure="requests", amount=1, limit=limit, expires_at=ends, parts=parts
    )
    return Admission(counters=(counter,))


async def test_a_window_lets_through_as_many_as_its_limit(
    generations: GenerationStore, clock: ManualClock
) -> None:
    clock.jump_to(NOON + timedelta(seconds=12))
    for number in range(3):
        await generations.begin(generation(number), window(3))
    refused = generation(9)
    with pytest.raises(LimitReached) as reached:
        await generations.begin(refused, window(3))
    assert reached.value.code == "rate_limited"
    assert reached.value.retry_after_s == 48
    assert await generations.get(refused.id) is None
    await generations.begin(refused, window(3, minute=1))
    await generations.begin(generation(10), window(3, key="key_2"))
    await generations.begin(generation(11))


async def test_what_is_only_counted_uses_the_window_up_and_leaves_nothing_else(
    generations: GenerationStore, clock: ManualClock
) -> None:
    clock.jump_to(NOON + timedelta(seconds=12))
    await generations.begin(generation(1), window(3))
    await generations.count(window(3).counters)
    await generations.count(window(3).counters)
    with pytest.raises(LimitReached) as reached:
        await generations.count(window(3).counters)
    assert (reached.value.code, reached.value.retry_after_s) == ("rate_limited", 48)
    with pytest.raises(LimitReached):
        await generations.begin(generation(2), window(3))
    await generations.count(window(3, minute=1).counters)
    with pytest.raises(LimitReached):
        await generations.count(window(0, key="key_2").counters)
    assert await walk(generations) == [["gen_0001"]]


async def test_a_limit_of_zero_lets_nothing_through(generations: GenerationStore) -> None:
    with pytest.raises(LimitReached):
        await generations.begin(generation(1), window(0))
    assert await generations.get("gen_0001") is None


async def test_beginning_again_counts_once(generations: GenerationStore) -> None:
    record = generation(1)
    for _ in range(3):
        await generations.begin(record, window(2))
    await generations.begin(generation(2), window(2))
    await generations.begin(record, window(2))
    with pytest.raises(LimitReached):
        await generations.begin(generation(3), window(2))


@pytest.mark.parametrize("parts", [1, 3])
async def test_requests_at_once_never_pass_a_limit_together(generations: GenerationStore, parts: int) -> None:
    async def tried(number: int) -> bool:
        try:
            await generations.begin(generation(number), window(4, parts=parts))
        except LimitReached:
            return False
        return True

    passed = await asyncio.gather(*(tried(number) for number in range(12)))
    assert passed.count(True) == 4
    assert sum(len(page) for page in await walk(generations)) == 4


async def test_a_list_is_newest_first_and_the_owners_own(generations: GenerationStore) -> None:
    for number in (3, 1, 4, 2):
        await generations.begin(generation(number, owner="grace" if number == 4 else "ada"))
    assert await walk(generations) == [["gen_0003", "gen_0002", "gen_0001"]]
    assert await walk(generations, owner="grace") == [["gen_0004"]]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7])
async def test_pages_hold_limit_matching_records_each_once(generations: GenerationStore, limit: int) -> None:
    for number in range(14):
        await generations.begin(
            generation(
                number,
                type="image" if number % 2 else "text",
                project_id="prj_1" if number % 3 else None,
                created_at=NOON,  # of one time the ids decide
            )
        )
    wanted = [number for number in range(13, -1, -1) if number % 2 and number % 3]
    pages = await walk(generations, {"type": "image", "project_id": "prj_1"}, limit=limit)
    assert [one for page in pages for one in page] == [f"gen_{number:04d}" for number in wanted]
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert len(pages) == -(-len(wanted) // limit)


async def test_the_status_filter_follows_the_outcome(generations: GenerationStore) -> None:
    for number in range(6):
        record = generation(number)
        await generations.begin(record)
        if number % 2:
            await generations.finish(finished(record))
    assert await walk(generations, {"status": "succeeded"}) == [["gen_0005", "gen_0003", "gen_0001"]]
    assert await walk(generations, {"status": "running"}) == [["gen_0004", "gen_0002", "gen_0000"]]
    assert await walk(generations, {"status": "failed"}) == [[]]


async def test_a_walk_neither_skips_nor_repeats_when_the_list_changes(generations: GenerationStore) -> None:
    records = [generation(number) for number in range(8)]
    for record in records:
        await generations.begin(record)
    running = {"status": "running"}
    first, cursor = await generations.list_by_owner("ada", filters=running, limit=3, cursor=None)
    await generations.begin(generation(100))
    for record in (records[7], records[5], records[3]):  # the page's last one, too
        await generations.finish(finished(record))
    second, cursor = await generations.list_by_owner("ada", filters=running, limit=3, cursor=cursor)
    third, end = await generations.list_by_owner("ada", filters=running, limit=3, cursor=cursor)
    numbers = [[int(record.id[-1]) for record in page] for page in (first, second, third)]
    assert numbers == [[7, 6, 5], [4, 2, 1], [0]]
    assert end is None


async def test_only_the_known_filters_are_taken(generations: GenerationStore) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await generations.list_by_owner("ada", filters={"model": "x"}, limit=1, cursor=None)
    assert [error.field for error in refused.value.errors] == ["model"]


@pytest.mark.parametrize("cursor", ["", "x", "not a cursor", "AAAA" * 10, "é", "=" * 8])
async def test_what_is_no_cursor_is_refused_by_name(generations: GenerationStore, cursor: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await generations.list_by_owner("ada", filters={}, limit=1, cursor=cursor)
    assert [error.field for error in refused.value.errors] == ["cursor"]


async def test_a_cursor_serves_its_owner_alone(generations: GenerationStore) -> None:
    for number in range(2):
        await generations.begin(generation(number))
    _, cursor = await generations.list_by_owner("ada", filters={}, limit=1, cursor=None)
    with pytest.raises(InvalidRequest):
        await generations.list_by_owner("grace", filters={}, limit=1, cursor=cursor)


# -- several limits -----------------------------------------------------------------------------------------


def counted(name: str, amount: int, limit: int, **fields: object) -> Counter:
    made = {"name": name, "measure": "tokens", "expires_at": NOON + timedelta(minutes=1), **fields}
    return Counter(amount=amount, limit=limit, **made)  # type: ignore[arg-type]


async def test_of_several_counters_all_are_raised_or_none(
    generations: GenerationStore, clock: ManualClock
) -> None:
    clock.jump_to(NOON)
    one, other = counted("a", 3, 10), counted("b", 4, 5, label="tokens_per_minute")
    await generations.begin(generation(1), Admission(counters=(one, other)))
    with pytest.raises(LimitReached, match="tokens_per_minute limit of 5") as reached:
        await generations.begin(generation(2), Admission(counters=(one, other)))
    assert reached.value.retry_after_s == 60
    await generations.count([counted("a", 7, 10), counted("b", 1, 5)])
    with pytest.raises(LimitReached):
        await generations.count([counted("c", 1, 1), counted("a", 1, 10)])
    await generations.count([counted("c", 1, 1)])


async def test_what_adds_nothing_needs_a_limit_that_is_not_reached(generations: GenerationStore) -> None:
    await generations.count([counted("a", 0, 5)])
    await generations.count([counted("a", 5, 5)])
    with pytest.raises(LimitReached):
        await generations.count([counted("a", 0, 5)])


async def test_a_correction_makes_room_or_takes_it(generations: GenerationStore) -> None:
    ends = NOON + timedelta(minutes=1)
    await generations.begin(generation(1), Admission(counters=(counted("a", 8, 10), counted("b", 1, 10))))
    corrections = (
        Correction(name="a", amount=-5, expires_at=ends),
        Correction(name="b", amount=30, expires_at=ends),
    )
    for _ in range(2):
        await generations.finish(finished(generation(1)), Closing(corrections=corrections))
    await generations.count([counted("a", 7, 10)])
    with pytest.raises(LimitReached):
        await generations.count([counted("b", 1, 10)])


async def test_counting_nothing_is_fine(generations: GenerationStore) -> None:
    await generations.count([])


# -- claims -------------------------------------------------------------------------------------------------


def claimed(fingerprint: str = "f", **fields: object) -> Admission:
    made = {"name": "c", "fingerprint": fingerprint, "expires_at": NOON + timedelta(days=1), **fields}
    return Admission(claim=Claim(**made))  # type: ignore[arg-type]


async def test_a_claim_is_taken_by_one_and_tells_the_others_by_whom(
    generations: GenerationStore, clock: ManualClock
) -> None:
    clock.jump_to(NOON)
    await generations.begin(generation(1), claimed())
    await generations.begin(generation(1), claimed())  # sent again
    with pytest.raises(AlreadyClaimed) as taken:
        await generations.begin(generation(2), claimed("other"))
    assert taken.value.generation_id == "gen_0001"
    assert taken.value.claim == claimed().claim
    assert await generations.get("gen_0002") is None
    await generations.begin(generation(3), claimed(name="another"))


async def test_a_claim_is_free_once_it_has_expired(generations: GenerationStore, clock: ManualClock) -> None:
    clock.jump_to(NOON)
    await generations.begin(generation(1), claimed())
    clock.advance(86_400)
    await generations.begin(generation(2), claimed(expires_at=NOON + timedelta(days=2)))
    with pytest.raises(AlreadyClaimed) as taken:
        await generations.begin(generation(3), claimed())
    assert taken.value.generation_id == "gen_0002"


async def test_a_claim_is_handed_over_from_the_generation_that_is_named_and_once(
    generations: GenerationStore, clock: ManualClock
) -> None:
    clock.jump_to(NOON)
    await generations.begin(generation(1), claimed())
    with pytest.raises(AlreadyClaimed):
        await generations.begin(generation(2), claimed(replaces="gen_0009"))
    await generations.begin(generation(2), claimed(replaces="gen_0001"))
    with pytest.raises(AlreadyClaimed) as taken:
        await generations.begin(generation(3), claimed(replaces="gen_0001"))
    assert (taken.value.generation_id, taken.value.claim) == ("gen_0002", claimed().claim)


async def test_of_two_at_once_one_gets_the_claim(generations: GenerationStore, clock: ManualClock) -> None:
    clock.jump_to(NOON)

    async def tried(number: int) -> bool:
        try:
            await generations.begin(generation(number), claimed())
        except AlreadyClaimed:
            return False
        return True

    assert (await asyncio.gather(*(tried(number) for number in range(8)))).count(True) == 1


# -- what is overdue ----------------------------------------------------------------------------------------


async def test_what_is_unfinished_after_its_time_is_found_oldest_first(generations: GenerationStore) -> None:
    for number in range(30):
        due_at = NOON + timedelta(seconds=30 - number) if number % 3 else None
        await generations.begin(generation(number, due_at=due_at))
    await generations.finish(finished(generation(29, due_at=None)))
    await generations.finish(finished(generation(28, due_at=NOON + timedelta(seconds=2))))
    before = NOON + timedelta(seconds=8)
    overdue = await generations.list_overdue(before=before, limit=50)
    assert [record.id for record in overdue] == ["gen_0026", "gen_0025", "gen_0023"]
    assert overdue[0] == generation(26, due_at=NOON + timedelta(seconds=4))
    assert await generations.list_overdue(before=before, limit=2) == overdue[:2]
    assert await generations.list_overdue(before=NOON, limit=5) == []


# -- a limit in parts ---------------------------------------------------------------------------------------


async def test_a_limit_in_parts_lets_through_what_it_would_in_one(
    generations: GenerationStore, clock: ManualClock
) -> None:
    clock.jump_to(NOON)

    def asked(amount: int) -> Admission:
        return Admission(counters=(counted("a", amount, 100, parts=4, label="tokens_per_minute"),))

    for number in range(6):
        await generations.begin(generation(number), asked(15))  # some of them in pieces: 25 for each item
    with pytest.raises(LimitReached, match="tokens_per_minute limit of 100") as reached:
        await generations.begin(generation(6), asked(11))
    assert reached.value.retry_after_s == 60
    assert await generations.get("gen_0006") is None
    await generations.begin(generation(6), asked(9))
    await generations.count(asked(1).counters)
    for amount in (0, 1):
        with pytest.raises(LimitReached):
            await generations.begin(generation(7), asked(amount))


async def test_corrections_of_a_limit_in_parts_make_room_and_take_it_to_the_last(
    generations: GenerationStore,
) -> None:
    def asked(amount: int) -> Admission:
        return Admission(counters=(counted("a", amount, 100, parts=4),))

    def corrected(amount: int) -> Closing:
        (counter,) = asked(1).counters
        return Closing(corrections=(replace(counter.raised, amount=amount),))

    for number in range(4):
        await generations.begin(generation(number), asked(10))
    await generations.finish(finished(generation(0)), corrected(200))
    for number, amount in enumerate((-10, -10, -121), start=1):
        with pytest.raises(LimitReached):
            await generations.count(asked(0).counters)
        for _ in range(2):  # which counts once
            await generations.finish(finished(generation(number)), corrected(amount))
    await generations.count(asked(0).counters)
    for others in (asked(2).counters, (*asked(1).counters, counted("b", 2, 1))):
        with pytest.raises(LimitReached):
            await generations.count(others)
    await generations.count(asked(1).counters)
    with pytest.raises(LimitReached):
        await generations.count(asked(0).counters)
