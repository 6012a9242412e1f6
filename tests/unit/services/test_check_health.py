"""Health comes of free checks and of the calls that happened anyway, once in thirty seconds for everyone."""

import asyncio
from contextlib import suppress

import pytest

from headgate.bootstrap import Container
from headgate.domain.errors import GatewayFault, ProviderFailed
from headgate.domain.generation import Attempt
from headgate.domain.health import ProviderHealth
from headgate.domain.secret import Secret
from headgate.ports import WireRequest
from headgate.services.check_health import HealthService
from headgate.services.record_traffic import window_of
from headgate.testing.memory import Answer
from headgate.testing.transport import Step
from tests.support.bench import KEY, Bench
from tests.support.models import model
from tests.support.provider import CRASH, fake_provider, listing

OK = Answer(body=b"{}")
WRONG_KEY = Answer(status=401, body=b"bad key")
SLOW = ProviderFailed("no answer", code="provider_timeout")


class Clinic(Bench):
    """A health process over fake providers that are well until told otherwise."""

    def __init__(self, *slugs: str) -> None:
        super().__init__(*(slugs or ("alpha",)))
        for slug in self.providers:
            self.answers(slug, list_=listing(), key=OK)
        self.one = self.process("health")

    def answers(self, slug: str, *, list_: Step | None = None, key: Step | None = None) -> None:
        if list_ is not None:
            self.transport.on(f"https://{slug}.example/models", list_)
        if key is not None:
            self.transport.on(f"https://{slug}.example/key", key)

    async def check(self, process: Container | None = None) -> dict[str, str]:
        """Status by provider, of those that were checked."""
        rows = await (process or self.one).health.check_all(force=True)
        return {row.provider: row.status.value for row in rows}

    async def report(self, process: Container | None = None) -> dict[str, ProviderHealth]:
        return {row.provider: row for row, _ in await (process or self.one).health.report()}

    async def traffic(self, slug: str, *attempts: Attempt, minutes_ago: int = 0) -> None:
        minute = int(self.clock.now().timestamp() // 60) - minutes_ago
        await self.catalog_store.add_traffic(slug, minute, window_of(attempts))


def call(latency_ms: int = 400, code: str | None = None) -> Attempt:
    return Attempt(
        provider="alpha",
        model="alpha/one",
        outcome="failed" if code else "succeeded",
        code=code,
        latency_ms=latency_ms,
    )


# -- what the checks say -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("list_", "key", "status", "outcomes"),
    [
        (listing(), OK, "healthy", {"list": "ok", "key": "ok"}),
        (listing(), WRONG_KEY, "degraded", {"list": "ok", "key": "failed"}),
        (Answer(status=500), OK, "degraded", {"list": "failed", "key": "ok"}),
        (WRONG_KEY, WRONG_KEY, "down", {"list": "failed", "key": "failed"}),
        (SLOW, SLOW, "down", {"list": "failed", "key": "failed"}),
        (listing(), CRASH, "degraded", {"list": "ok", "key": "failed"}),
    ],
)
async def test_a_check_tells_list_and_key_apart(
    list_: Step, key: Step, status: str, outcomes: dict[str, str]
) -> None:
    clinic = Clinic()
    clinic.answers("alpha", list_=list_, key=key)
    assert await clinic.check() == {"alpha": status}
    health = await clinic.health("alpha")
    assert {name: check.outcome for name, check in health.checks.items()} == outcomes
    assert (health.error is None) == (status == "healthy")


async def test_a_wrong_key_shows_within_one_check_though_the_right_one_is_in_memory() -> None:
    clinic = Clinic()

    def key(request: WireRequest) -> Answer:
        return OK if request.headers["authorization"] == Secret(f"Bearer {KEY}") else WRONG_KEY

    clinic.answers("alpha", key=key)
    await clinic.check()
    clinic.secrets.put("alpha", api_key="sk-mistyped-000000")
    clinic.clock.advance(1)
    assert await clinic.check() == {"alpha": "degraded"}
    health = await clinic.health("alpha")
    assert health.error == "key: provider_auth: bad key"
    assert health.checks["key"].code == "provider_auth"


async def test_a_provider_without_a_key_check_is_judged_by_its_list() -> None:
    clinic = Clinic()
    clinic.providers["alpha"] = fake_provider("alpha", key_check_path=None)
    process = clinic.process("health")
    assert await clinic.check(process) == {"alpha": "healthy"}
    assert (await clinic.health("alpha")).checks["key"].outcome == "skipped"
    clinic.answers("alpha", list_=Answer(status=500))
    assert await clinic.check(process) == {"alpha": "down"}


async def test_a_partial_list_degrades() -> None:
    clinic = Clinic()
    pages = [listing(model(f"alpha/{n}"), next_page=str(n)) for n in range(100)]
    clinic.transport.on("https://alpha.example/models", *pages)
    await clinic.process("refresh").refresher.refresh(None, force=True)
    assert await clinic.check() == {"alpha": "degraded"}


async def test_a_provider_that_answers_with_no_list_is_degraded_and_told_why() -> None:
    """The check reads no more than a head, so only the refresh knows."""
    clinic = Clinic()
    clinic.answers("alpha", list_=Answer(body=b"<html>"))
    await clinic.process("refresh").refresher.refresh(None, force=True)
    assert (await clinic.check())["alpha"] == "degraded"
    assert ((await clinic.health("alpha")).error or "").startswith("list: ")


async def test_only_free_requests_are_sent() -> None:
    clinic = Clinic("alpha", "beta")
    await clinic.check()
    sent = {(request.method, request.url) for request in clinic.transport.requests}
    assert sent == {
        ("GET", f"https://{slug}.example/{path}") for slug in ("alpha", "beta") for path in ("models", "key")
    }
    assert all(request.body is None for request in clinic.transport.requests)


async def test_a_list_is_not_read_to_its_end() -> None:
    clinic = Clinic()
    clinic.answers("alpha", list_=Answer(pieces=[b"{", asyncio.Event()]))
    assert await clinic.check() == {"alpha": "healthy"}
    assert all(response.closed for response in clinic.transport.responses)


async def test_no_key_is_in_what_is_kept_of_a_failure() -> None:
    clinic = Clinic()
    clinic.answers("alpha", key=Answer(status=401, body=f"Incorrect key {KEY}".encode()))
    await clinic.check()
    assert KEY not in str(await clinic.health("alpha"))


async def test_one_provider_that_crashes_harms_no_other() -> None:
    clinic = Clinic("alpha", "beta")
    clinic.answers("alpha", key=CRASH)
    assert await clinic.check() == {"alpha": "degraded", "beta": "healthy"}


async def test_a_configuration_that_is_no_good_is_told_as_a_failed_check() -> None:
    clinic = Clinic()
    clinic.secrets.put("alpha", api_key=KEY, base_url="not a url")
    assert await clinic.check() == {"alpha": "down"}
    assert "base_url" in str((await clinic.health("alpha")).error)


# -- what the traffic says ---------------------------------------------------------------------------------


async def test_calls_that_fail_degrade_a_provider_whose_checks_are_fine() -> None:
    clinic = Clinic()
    await clinic.traffic("alpha", *[call() for _ in range(6)], *[call(code="provider_timeout")] * 4)
    assert await clinic.check() == {"alpha": "degraded"}
    health = await clinic.health("alpha")
    assert health.success_rate == 0.6
    assert (health.latency_p50_ms, health.latency_p95_ms) == (500, 500)


async def test_what_callers_get_wrong_says_nothing_about_a_provider() -> None:
    clinic = Clinic()
    await clinic.traffic("alpha", *[call(code="provider_rejected")] * 50)
    assert await clinic.check() == {"alpha": "healthy"}


async def test_failures_of_an_hour_ago_are_no_longer_held_against_it() -> None:
    clinic = Clinic()
    await clinic.traffic("alpha", *[call(code="provider_timeout")] * 20, minutes_ago=6)
    assert await clinic.check() == {"alpha": "healthy"}
    assert (await clinic.health("alpha")).success_rate == 0.0
    clinic.clock.advance(3600)
    await clinic.check()
    assert (await clinic.health("alpha")).success_rate is None


async def test_far_slower_than_in_the_last_hour_degrades() -> None:
    clinic = Clinic()
    await clinic.traffic("alpha", *[call(latency_ms=300)] * 60, minutes_ago=30)
    await clinic.traffic("alpha", *[call(latency_ms=9_000)] * 12)
    assert await clinic.check() == {"alpha": "degraded"}
    assert (await clinic.health("alpha")).error is None


# -- how often ---------------------------------------------------------------------------------------------


async def test_checks_are_shared_by_all_processes_for_thirty_seconds() -> None:
    clinic = Clinic()
    two = clinic.process("health")
    for process in (clinic.one, two, clinic.one, two):
        assert set(await clinic.report(process)) == {"alpha"}
        clinic.clock.advance(7)
    assert len(clinic.transport.requests) == 2
    clinic.clock.advance(2)
    await clinic.report(two)
    assert len(clinic.transport.requests) == 4


async def test_the_time_is_a_setting() -> None:
    clinic = Clinic()
    lazy = clinic.process("health", HEADGATE_HEALTH_TTL_S="300")
    await clinic.report(lazy)
    clinic.clock.advance(299)
    await clinic.report(lazy)
    assert len(clinic.transport.requests) == 2


async def test_while_one_process_checks_another_shows_what_was_judged_last() -> None:
    clinic = Clinic()
    await clinic.report()
    clinic.clock.advance(31)
    asked, answered = asyncio.Event(), asyncio.Event()

    def late(_request: object) -> Answer:
        asked.set()
        return Answer(pieces=[answered, b"{}"])

    clinic.answers("alpha", key=late)
    checking = asyncio.create_task(clinic.report())
    await asked.wait()
    two = clinic.process("health")
    shown = await clinic.report(two)
    assert shown["alpha"].status.value == "healthy"
    sent = len(clinic.transport.requests)
    answered.set()
    await checking
    assert len(clinic.transport.requests) == sent


async def test_who_asks_during_the_first_check_of_all_is_told_its_outcome_and_nothing_is_checked_twice() -> (
    None
):
    clinic = Clinic()
    asked, answered = asyncio.Event(), asyncio.Event()

    def late(_request: object) -> Answer:
        asked.set()
        return Answer(pieces=[answered, b"{}"])

    clinic.answers("alpha", key=late)
    checking = asyncio.create_task(clinic.report())
    await asked.wait()
    waiting = asyncio.create_task(clinic.report(clinic.process("health")))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    answered.set()
    assert await waiting == await checking
    assert set(await waiting) == {"alpha"}
    assert len(clinic.transport.requests) == 2


async def test_a_first_check_that_was_given_up_is_made_by_who_waits_for_it() -> None:
    clinic = Clinic()
    assert await clinic.catalog_store.acquire_lease("health", "gone", 30)
    waiting = asyncio.create_task(clinic.report())
    await asyncio.sleep(0.02)
    assert not clinic.transport.requests
    clinic.clock.advance(31)
    assert set(await waiting) == {"alpha"}


async def test_whose_check_never_ends_is_not_waited_for_forever() -> None:
    clinic = Clinic()
    assert await clinic.catalog_store.acquire_lease("health", "gone", 30)
    one = clinic.one
    impatient = HealthService(
        store=one.catalog_store,
        registry=one.registry,
        platform=one.platform,
        audit=clinic.accounts,
        clock=clinic.clock,
        log=clinic.log,
        settings=one.settings,
        look_s=0.001,
    )
    assert await impatient.report() == []


async def test_a_new_provider_is_checked_at_once_and_the_others_are_not() -> None:
    clinic = Clinic("alpha", "beta")
    clinic.secrets.remove("beta")
    await clinic.report()
    clinic.secrets.put("beta", api_key=KEY)
    two = clinic.process("health")
    assert set(await clinic.report(two)) == {"alpha", "beta"}
    assert sum("alpha" in request.url for request in clinic.transport.requests) == 2


async def test_a_run_of_checks_is_told_once_with_what_it_found() -> None:
    clinic = Clinic("alpha", "beta")
    clinic.answers("beta", list_=Answer(status=500))
    await clinic.check()
    (told,) = await clinic.accounts.read_audit(after=None, limit=5)
    assert (told.actor, told.action, told.target) == ("health", "health.check", "providers")
    assert set(told.details) == {"alpha", "beta"}
    assert told.details["alpha"] == "healthy"


async def test_keys_that_were_used_are_told_wherever_the_catalogues_table_fails() -> None:
    for faults_after in range(20):
        clinic = Clinic("alpha", "beta")
        clinic.catalog_store.fault = GatewayFault.unavailable("The table")
        clinic.catalog_store.faults_after = faults_after
        with suppress(GatewayFault):
            await clinic.check()
        used = {slug for slug in ("alpha", "beta") if slug in str(clinic.transport.requests)}
        told = await clinic.accounts.read_audit(after=None, limit=5)
        assert len(told) == bool(used)
        assert {slug for event in told for slug in event.details} == used


async def test_a_provider_that_is_no_longer_configured_is_not_reported() -> None:
    clinic = Clinic("alpha", "beta")
    await clinic.check()
    clinic.secrets.remove("beta")
    assert set(await clinic.report(clinic.process("health"))) == {"alpha"}


async def test_the_report_tells_how_many_models_there_are() -> None:
    clinic = Clinic()
    clinic.answers("alpha", list_=listing(model("alpha/one"), model("alpha/two")))
    await clinic.process("refresh").refresher.refresh(None, force=True)
    ((_, head),) = await clinic.one.health.report()
    assert head is not None
    assert head.model_count == 2


# -- events ------------------------------------------------------------------------------------------------


async def test_events_are_told_when_the_status_changes_and_only_then() -> None:
    clinic = Clinic()
    story: list[tuple[Step, Step]] = [
        (listing(), OK),
        (listing(), OK),
        (listing(), WRONG_KEY),
        (listing(), WRONG_KEY),
        (SLOW, SLOW),
        (listing(), OK),
        (listing(), OK),
    ]
    for list_, key in story:
        clinic.answers("alpha", list_=list_, key=key)
        clinic.clock.advance(30)
        await clinic.check()
    assert [kind for kind, _, _ in await clinic.changes()] == [
        "provider.degraded",
        "provider.down",
        "provider.recovered",
    ]
    first = (await clinic.catalog_store.read_changes(after=None, limit=1))[0]
    assert first.before == {"status": "healthy"}
    assert first.after == {"status": "degraded", "error": "key: provider_auth: bad key"}


async def test_a_provider_that_is_down_at_its_first_check_is_told_so() -> None:
    clinic = Clinic()
    clinic.answers("alpha", list_=SLOW, key=SLOW)
    await clinic.check()
    assert await clinic.changes() == [("provider.down", "alpha", None)]


async def test_a_fault_of_the_store_is_not_taken_for_a_providers() -> None:
    clinic = Clinic()
    clinic.catalog_store.fault = GatewayFault.unavailable("The table")
    with pytest.raises(GatewayFault):
        await clinic.report()
    clinic.catalog_store.fault = None
    assert await clinic.catalog_store.read_health() == {}
