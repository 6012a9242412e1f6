"""What administrators say of one model at once: none of it is lost, whoever waits for the store when."""

import asyncio
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.domain.accounts import ModelOverride
from headgate.domain.audit import AuditEvent
from headgate.domain.catalog import Modality, Pricing
from headgate.domain.errors import Conflict
from headgate.services.acts import Act
from headgate.services.override_models import OverrideChange, OverrideManager
from headgate.testing.memory import ManualClock, MemoryAccountStore

M = "alpha/m"
ONE_EACH = (
    OverrideChange(said=frozenset({"enabled"}), enabled=False),
    OverrideChange(said=frozenset({"modality"}), modality=Modality.IMAGE),
    OverrideChange(said=frozenset({"price"}), price=Pricing(input=Decimal(3))),
    OverrideChange(said=frozenset({"note"}), note="dear"),
)
NOTES = tuple(OverrideChange(said=frozenset({"note"}), note=f"note {number}") for number in range(3))


class WaitingStore(MemoryAccountStore):
    """Each call of the overrides' lets others go first, for as many turns of the loop as `waits` says."""

    def __init__(self, waits: Iterator[int]) -> None:
        super().__init__(ManualClock())
        self._waits = waits

    async def read_overrides(self) -> Mapping[str, ModelOverride]:
        await self._wait()
        return await super().read_overrides()

    async def put_override(
        self, override: ModelOverride, audit: AuditEvent, *, was: ModelOverride | None
    ) -> None:
        await self._wait()
        await super().put_override(override, audit, was=was)

    async def _wait(self) -> None:
        for _ in range(next(self._waits)):
            await asyncio.sleep(0)


class RestlessStore(MemoryAccountStore):
    """Someone else says something between each read and the write that follows, for so many `turns`."""

    def __init__(self, turns: int) -> None:
        super().__init__(ManualClock())
        self._turns = turns

    async def read_overrides(self) -> Mapping[str, ModelOverride]:
        found = await super().read_overrides()
        if self._turns > 0:
            self._turns -= 1
            was = found.get(M)
            other = was or ModelOverride(model_id=M, updated_at=self._clock.now(), updated_by="key_2")
            event = act("key_2").event("override.set", M)
            await self.put_override(replace(other, note=f"turn {self._turns}"), event, was=was)
        return found


def act(actor: str = "key_1") -> Act:
    return Act(actor=actor, at=ManualClock().now())


async def changed_at_once(
    store: MemoryAccountStore, changes: Sequence[OverrideChange]
) -> tuple[list[ModelOverride], ModelOverride]:
    """What each was given, and what is stored in the end."""
    manager = OverrideManager(store)
    given_back = await asyncio.gather(
        *(manager.change(act(f"key_{number}"), M, change) for number, change in enumerate(changes))
    )
    return given_back, (await MemoryAccountStore.read_overrides(store))[M]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.permutations(ONE_EACH), st.booleans())
def test_changes_of_different_fields_at_once_all_count(
    waits: list[int], changes: list[OverrideChange], is_known: bool
) -> None:
    async def play() -> None:
        store = WaitingStore(itertools.cycle(waits))
        if is_known:
            first = OverrideChange(said=frozenset({"note"}), note="first")
            await OverrideManager(store).change(act(), M, first)
        given_back, stored = await changed_at_once(store, changes)
        assert (stored.enabled, stored.modality, stored.note) == (False, Modality.IMAGE, "dear")
        assert stored.price is not None
        assert stored.price.input == 3
        assert stored in given_back
        for change, seen in zip(changes, given_back, strict=True):
            (name,) = change.said
            assert getattr(seen, name) == getattr(stored, name)
        assert len(await store.read_audit(after=None, limit=9)) == len(changes) + is_known

    asyncio.run(play())


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_of_changes_of_one_field_at_once_one_holds_and_the_rest_of_the_override_stays(
    waits: list[int],
) -> None:
    async def play() -> None:
        store = WaitingStore(itertools.cycle(waits))
        await OverrideManager(store).change(act(), M, ONE_EACH[0])
        _, stored = await changed_at_once(store, NOTES)
        assert stored.enabled is False
        assert stored.note in {change.note for change in NOTES}

    asyncio.run(play())


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_what_was_dropped_meanwhile_does_not_come_back_with_a_change(waits: list[int]) -> None:
    async def play() -> None:
        store = WaitingStore(itertools.cycle(waits))
        manager = OverrideManager(store)
        await manager.change(act(), M, ONE_EACH[0])
        changing = manager.change(act(), M, ONE_EACH[3])
        await asyncio.gather(changing, manager.drop(act(), M))
        left = (await MemoryAccountStore.read_overrides(store)).get(M)
        # Dropped after the change nothing is left, before it that change alone.
        assert left is None or (left.enabled, left.note) == (None, "dear")

    asyncio.run(play())


async def test_who_meets_others_a_few_times_gets_through_and_keeps_what_they_said() -> None:
    store = RestlessStore(3)
    stored = await OverrideManager(store).change(act(), M, ONE_EACH[0])
    assert (stored.enabled, stored.note) == (False, "turn 0")
    assert (await store.read_overrides())[M] == stored


async def test_who_keeps_meeting_others_is_told_of_a_conflict_and_changed_nothing() -> None:
    store = RestlessStore(10**6)
    with pytest.raises(Conflict) as refused:
        await OverrideManager(store).change(act(), M, ONE_EACH[0])
    assert refused.value.code == "conflict"
    assert (await store.read_overrides())[M].enabled is None
    assert "key_1" not in {event.actor for event in await store.read_audit(after=None, limit=1000)}
