"""What services may rely on of answers that are kept, and of idempotency keys in the connections table."""

import random
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from headgate.aws.generations import DynamoGenerationStore
from headgate.domain.admission import LARGEST_WITHIN, Admission, Answer, Claim, Closing
from headgate.domain.errors import Conflict
from headgate.domain.generation import GenerationStatus
from headgate.ports import MAX_ANSWER_BYTES, Begun, GenerationStore
from headgate.testing.memory import ManualClock
from tests.contract.conftest import Aws, Connections
from tests.contract.values import NOON, generation

ENDS = NOON + timedelta(hours=24)


def answer(body: bytes = b"{}", ends: datetime = ENDS) -> Answer:
    return Answer(
        status=400, headers=(("content-type", "x/y"), ("a", "1"), ("a", "2")), body=body, expires_at=ends
    )


@pytest.fixture(autouse=True)
def _noon(clock: ManualClock) -> None:
    clock.jump_to(NOON)


@pytest.mark.parametrize("size", [0, 1, 299_999, 300_001, 1_000_000])
async def test_an_answer_is_read_back_byte_for_byte(generations: GenerationStore, size: int) -> None:
    kept = answer(random.Random(size).randbytes(size))
    await generations.put_answer("gen_1", kept)
    assert await generations.get_answer("gen_1") == kept
    assert await generations.get_answer("gen_2") is None


async def test_an_answer_is_kept_with_the_outcome_or_neither_is(generations: GenerationStore) -> None:
    kept = answer(random.Random(1).randbytes(LARGEST_WITHIN))
    running = generation(1)
    ended = replace(running, status=GenerationStatus.SUCCEEDED)
    await generations.begin(running)
    for _ in range(2):  # as when it is sent again
        await generations.finish(ended, Closing(answer=kept))
        assert await generations.get_answer(running.id) == kept
    with pytest.raises(Conflict):
        await generations.finish(
            replace(running, status=GenerationStatus.CANCELLED), Closing(answer=answer(b"late"))
        )
    assert await generations.get_answer(running.id) == kept


async def test_an_answer_is_gone_at_its_end(generations: GenerationStore, clock: ManualClock) -> None:
    await generations.put_answer("gen_1", answer())
    clock.jump_to(ENDS - timedelta(seconds=1))
    assert await generations.get_answer("gen_1") is not None
    clock.jump_to(ENDS)
    assert await generations.get_answer("gen_1") is None


async def test_a_shorter_answer_takes_the_place_of_a_longer_one(generations: GenerationStore) -> None:
    await generations.put_answer("gen_1", answer(random.Random(1).randbytes(700_000)))
    await generations.put_answer("gen_1", answer(b"short"))
    assert await generations.get_answer("gen_1") == answer(b"short")


async def test_an_answer_over_the_bound_is_refused(generations: GenerationStore) -> None:
    with pytest.raises(ValueError, match="too large"):
        await generations.put_answer("gen_1", answer(bytes(MAX_ANSWER_BYTES + 1)))
    await generations.put_answer("gen_1", answer(bytes(MAX_ANSWER_BYTES)))


async def test_an_answer_is_no_generation_and_disturbs_none(generations: GenerationStore) -> None:
    record = generation(1)
    await generations.put_answer(record.id, answer())
    assert await generations.get(record.id) is None
    await generations.begin(record)
    assert await generations.get(record.id) == record
    assert await generations.get_answer(record.id) == answer()


async def test_an_answer_that_has_lost_a_piece_is_none(
    aws: Aws, make_table: object, clock: ManualClock
) -> None:
    assert callable(make_table)
    table = make_table("GenerationsTable")
    store = DynamoGenerationStore(aws.clients, table, clock)
    await store.put_answer("gen_1", answer(random.Random(1).randbytes(700_000)))
    key = {"pk": {"S": "gen_1"}, "sk": {"S": "ANS#0002"}}
    await aws.clients.call("dynamodb", "delete_item", TableName=table, Key=key)
    assert await store.get_answer("gen_1") is None


async def test_a_claim_is_found_until_its_end(generations: GenerationStore, clock: ManualClock) -> None:
    claim = Claim(name="n", fingerprint="f", expires_at=ENDS)
    assert await generations.find_claim("n") is None
    await generations.begin(generation(1), Admission(claim=claim))
    assert await generations.find_claim("n") == (claim, generation(1).id)
    clock.jump_to(ENDS)
    assert await generations.find_claim("n") is None


async def test_connections_keep_the_idempotency_keys_of_what_makes_them(
    connections: Connections, clock: ManualClock
) -> None:
    store = connections.store
    first = Begun(fingerprint="f", seed="aa", expires_at=ENDS, presenter="p")
    assert await store.begin_once("name", first) == first
    assert await store.begin_once("name", Begun(fingerprint="g", seed="bb", expires_at=ENDS)) == first
    done = Begun(fingerprint="f", seed="aa", expires_at=ENDS, presenter="p", answer=answer(b"\x00\xff"))
    await store.finish_once("name", done)
    assert await store.begin_once("name", first) == done
    clock.jump_to(ENDS)
    later = Begun(fingerprint="h", seed="cc", expires_at=ENDS + timedelta(days=1))
    assert await store.begin_once("name", later) == later
    await store.finish_once("name", done)
    assert await store.begin_once("name", later) == later
