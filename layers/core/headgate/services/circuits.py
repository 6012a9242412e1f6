"""One circuit per provider, modality and key, fed by real traffic; kept in the process."""

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


class Circuits:
    """Which providers are better left alone for some seconds. Never hides the only candidate: callers ask
    `allows` only to prefer another."""

    def __init__(self, clock: Clock, log: Log, policy: CircuitPolicy | None = None) -> None:
        self._clock = clock
        self._log = log
        self._policy = policy or CircuitPolicy()
        self._circuits: dict[str, Circuit] = {}

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
        """Counts a failure which speaks against the provider; others change nothing."""
        if error.code not in _OPENING:
            return
        now_s = self._clock.monotonic()
        old = self._circuits.get(name, Circuit())
        new = old.failed(now_s, self._policy)
        self._circuits[name] = new
        if new.openings > old.openings:
            self._log.warning("circuit.opened", circuit=name, code=error.code, openings=new.openings)
