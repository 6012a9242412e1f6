"""One circuit per provider, modality and key, fed by real traffic; kept in the process."""

from dataclasses import replace

from headgate.domain.circuit import Circuit, CircuitPolicy
from headgate.domain.errors import HeadgateError
from headgate.ports import Clock, Log

_OPENING = frozenset(
    {
        "provider_unavailable",
        "provider_overloaded",
        "provider_protocol",
        "provider_timeout",
        "provider_auth",
        "provider_insufficient_funds",
    }
)
MOST_CIRCUITS = 10_000
"""Callers bring keys of their own, each with a circuit: what failed longest ago is forgotten then."""

_READ = frozenset({"provider_rejected", "content_filtered", "context_too_long"})
"""Who says this has taken the key and read the request: nothing is wrong with the provider."""


def circuit_name(provider: str, *, modality: str = "text", key: str = "platform") -> str:
    """One per provider, modality and key: embeddings may work while chats fail, one key while another."""
    return f"{provider}/{modality}/{key}"


class Circuits:
    """Which providers are better left alone for some seconds. Never hides the only candidate: callers ask
    `allows` only to prefer another."""

    def __init__(self, clock: Clock, log: Log, policy: CircuitPolicy | None = None) -> None:
        self._clock = clock
        self._log = log
        self._policy = policy or CircuitPolicy()
        self._circuits: dict[str, Circuit] = {}

    def would_allow(self, name: str) -> bool:
        """What `allows` would say now, without taking the place of a half-open circuit's one call."""
        circuit = self._circuits.get(name)
        return circuit is None or circuit.allows(self._clock.monotonic())

    def allows(self, name: str) -> bool:
        """Whether a call may go out; a half-open circuit lets one through and notes it."""
        circuit = self._circuits.get(name)
        if circuit is None:
            return True
        now_s = self._clock.monotonic()
        if not circuit.allows(now_s):
            return False
        self._circuits[name] = circuit.probing(now_s, self._policy)
        return True

    def succeeded(self, name: str) -> None:
        if self._circuits.pop(name, Circuit()).openings:
            self._log.info("circuit.closed", circuit=name)

    def failed(self, name: str, error: HeadgateError) -> None:
        """Counts a failure which speaks against the provider. Others neither count nor reset the count; but
        where a half-open circuit's one call ends in one, the next may go out, else it would be closed for as
        long as that call could have taken. A provider that has read the request is well."""
        if error.code not in _OPENING:
            self.given_up(name, well=error.code in _READ)
            return
        now_s = self._clock.monotonic()
        old = self._circuits.get(name, Circuit())
        new = old.failed(now_s, self._policy)
        self._circuits.pop(name, None)
        self._circuits[name] = new
        if len(self._circuits) > MOST_CIRCUITS:
            del self._circuits[next(iter(self._circuits))]
        if new.openings > old.openings:
            self._log.warning("circuit.opened", circuit=name, code=error.code, openings=new.openings)

    def given_up(self, name: str, *, well: bool) -> None:
        """Frees the place of a half-open circuit's one call, which told nothing, or that the provider is
        `well`. Says nothing of any other circuit."""
        circuit = self._circuits.get(name)
        if circuit is None or circuit.state(self._clock.monotonic()) != "half_open":
            return
        if well:
            self.succeeded(name)
        else:
            self._circuits[name] = replace(circuit, probing_until_s=0.0)
