"""How every provider does: free checks, judged together with the traffic that happened anyway."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from headgate.domain.audit import audit_event
from headgate.domain.catalog import ChangeEvent, ChangeType, ProviderStatus, SnapshotHead
from headgate.domain.errors import GatewayFault, HeadgateError
from headgate.domain.health import Check, ProviderHealth, TrafficWindow, add_windows, judge, percentile_ms
from headgate.domain.ids import new_id
from headgate.ports import AuditLog, CatalogStore, Clock, Log
from headgate.providers.bound import BoundProvider
from headgate.providers.registry import ProviderRegistry
from headgate.services.platform_keys import PlatformKeys
from headgate.services.tell_looks import tell_looks
from headgate.settings import Settings

_LEASE_S = 30.0
_RECENT_MINUTES = 5
_NORMAL_MINUTES = 60
_CHECK_S = 10.0
_AT_ONCE = 10
_LOOKS = 24
_LOOK_S = 0.5


class HealthService:
    """Checks every configured provider at most once in `health_ttl_s` seconds, over all processes.

    look_s: seconds between looks at what another process is checking.
    """

    def __init__(
        self,
        *,
        store: CatalogStore,
        registry: ProviderRegistry,
        platform: PlatformKeys,
        audit: AuditLog,
        clock: Clock,
        log: Log,
        settings: Settings,
        look_s: float = _LOOK_S,
    ) -> None:
        self._store = store
        self._registry = registry
        self._platform = platform
        self._audit = audit
        self._clock = clock
        self._log = log
        self._settings = settings
        self._look_s = look_s

    async def report(self) -> list[tuple[ProviderHealth, SnapshotHead | None]]:
        """The health of every configured provider, checked anew where the last check is too old."""
        health = await self._store.read_health()
        configured = await self._platform.configured()
        if self._due(configured, health):
            health = await self._checked(configured)
        heads = await self._store.read_heads()
        return [(health[slug], heads.get(slug)) for slug in configured if slug in health]

    async def check_all(self, *, force: bool) -> list[ProviderHealth]:
        """Checks what is due, or everything when forced. Does nothing while another process is at it.

        Raises GatewayFault, once all were checked and told, where something of it could not be stored.
        """
        owner = new_id("req")
        if not await self._store.acquire_lease("health", owner, _LEASE_S):
            return []
        try:
            if force:
                self._platform.forget()
            before = await self._store.read_health()
            configured = await self._platform.configured()
            due = configured if force else [s for s in configured if self._due([s], before)]
            heads = await self._store.read_heads()
            gate = asyncio.Semaphore(_AT_ONCE)

            async def one(slug: str) -> ProviderHealth | GatewayFault:
                async with gate:
                    try:
                        return await self._check(slug, heads.get(slug), before.get(slug))
                    except GatewayFault as fault:  # the store's: the key was used all the same
                        return fault

            checked = dict(zip(due, await asyncio.gather(*(one(slug) for slug in due)), strict=True))
            await self._tell(checked)
        finally:
            await self._store.release_lease("health", owner)
        for outcome in checked.values():
            if isinstance(outcome, GatewayFault):
                raise outcome
        return [outcome for outcome in checked.values() if isinstance(outcome, ProviderHealth)]

    async def _tell(self, checked: Mapping[str, ProviderHealth | GatewayFault]) -> None:
        if checked:
            found = {
                slug: each.status.value if isinstance(each, ProviderHealth) else "unknown"
                for slug, each in checked.items()
            }
            at = self._clock.now()
            run = audit_event(at=at, actor="health", action="health.check", target="providers", details=found)
            await tell_looks(self._audit, self._log, run)

    async def _checked(self, slugs: Sequence[str]) -> Mapping[str, ProviderHealth]:
        """Health after a check. Whom another process is checking for the first time is waited for, about as
        long as a check may take: without them it would seem that the platform doesn't have them."""
        health: Mapping[str, ProviderHealth] = {}
        for look in range(_LOOKS):
            if look:
                await asyncio.sleep(self._look_s)
            await self.check_all(force=False)
            health = await self._store.read_health()
            if all(slug in health for slug in slugs):
                break
        return health

    def _due(self, slugs: Sequence[str], health: Mapping[str, ProviderHealth]) -> bool:
        oldest = self._clock.now() - timedelta(seconds=self._settings.health_ttl_s)
        return any(slug not in health or health[slug].last_checked <= oldest for slug in slugs)

    async def _check(
        self, slug: str, head: SnapshotHead | None, before: ProviderHealth | None
    ) -> ProviderHealth:
        checks = await self._run_checks(slug)
        now = self._clock.now()
        minute = int(now.timestamp() // 60)
        traffic = await self._store.read_traffic(slug, since_minute=minute - _NORMAL_MINUTES)
        recent = add_windows([w for m, w in traffic.items() if m > minute - _RECENT_MINUTES])
        normal = add_windows([w for m, w in traffic.items() if m <= minute - _RECENT_MINUTES])
        list_error = None if head is None else head.error
        partial = list_error is not None or (head is not None and head.partial)
        status = judge(checks, recent, normal, list_partial=partial)
        health = self._judged(slug, checks, status, add_windows([recent, normal]), now)
        if health.error is None and list_error is not None:
            health = replace(health, error=f"list: {list_error}")  # it answers, but with no list
        await self._store.write_health(health)
        await self._tell_change(before, health)
        return health

    def _judged(
        self,
        slug: str,
        checks: Mapping[str, Check],
        status: ProviderStatus,
        hour: TrafficWindow,
        now: datetime,
    ) -> ProviderHealth:
        failed = [f"{name}: {c.code}: {c.detail}" for name, c in checks.items() if c.outcome == "failed"]
        return ProviderHealth(
            provider=slug,
            status=status,
            last_checked=now,
            error="; ".join(dict.fromkeys(failed)) or None,
            checks=checks,
            success_rate=hour.success_rate,
            latency_p50_ms=percentile_ms(hour.latency_buckets, 0.5),
            latency_p95_ms=percentile_ms(hour.latency_buckets, 0.95),
        )

    async def _run_checks(self, slug: str) -> dict[str, Check]:
        try:
            bound = await self._registry.get(slug)
        except Exception as raised:  # noqa: BLE001 - a provider's own code may raise anything
            failed = self._failed_check(raised, None)
            return {"list": failed, "key": failed}
        listed, key = await asyncio.gather(self._timed(bound, "list"), self._timed(bound, "key"))
        return {"list": listed, "key": key}

    async def _timed(self, bound: BoundProvider, name: str) -> Check:
        started_s = self._clock.monotonic()
        try:
            async with asyncio.timeout(_CHECK_S):
                done = await (bound.check_list() if name == "list" else self._check_key(bound))
        except Exception as raised:  # noqa: BLE001 - as above
            return self._failed_check(raised, self._since(started_s))
        if not done:
            return Check(outcome="skipped")
        return Check(outcome="ok", latency_ms=self._since(started_s))

    def _failed_check(self, raised: Exception, latency_ms: int | None) -> Check:
        if isinstance(raised, HeadgateError):
            code, detail = raised.code, raised.detail
        elif isinstance(raised, TimeoutError):
            code, detail = "provider_timeout", f"no answer in {_CHECK_S:.0f} s"
        else:
            code, detail = "internal", f"the provider's own code failed: {type(raised).__name__}"
        return Check(outcome="failed", code=code, detail=detail, latency_ms=latency_ms)

    async def _check_key(self, bound: BoundProvider) -> bool:
        if not bound.has_key_check:
            return False
        await bound.check_key()
        return True

    def _since(self, started_s: float) -> int:
        return round((self._clock.monotonic() - started_s) * 1000)

    async def _tell_change(self, before: ProviderHealth | None, after: ProviderHealth) -> None:
        was = before.status if before is not None else ProviderStatus.HEALTHY
        if was is after.status:
            return
        kind = {
            ProviderStatus.DOWN: ChangeType.PROVIDER_DOWN,
            ProviderStatus.DEGRADED: ChangeType.PROVIDER_DEGRADED,
            ProviderStatus.HEALTHY: ChangeType.PROVIDER_RECOVERED,
        }[after.status]
        self._log.warning("provider.status", provider=after.provider, was=was, status=after.status)
        await self._store.append_changes(
            [
                ChangeEvent(
                    id=new_id("evt", at_ms=int(after.last_checked.timestamp() * 1000)),
                    type=kind,
                    at=after.last_checked,
                    provider=after.provider,
                    before={"status": was.value},
                    after={"status": after.status.value, "error": after.error},
                )
            ]
        )
