"""Whose turn it is among a run's candidates, and what is learnt of those that had theirs."""

from collections.abc import Iterator
from dataclasses import replace

from headgate.domain.connections import Connection
from headgate.domain.credentials import PLATFORM
from headgate.domain.errors import CannotCarry, HeadgateError
from headgate.domain.generation import Attempt, KeyOpening
from headgate.services.bind import attention_of, blamed
from headgate.services.chat_naming import circuit_of
from headgate.services.chat_records import ChatAsk
from headgate.services.circuits import Circuits
from headgate.services.route import Candidate


class Turns:
    """The candidates that are left, in order. Who was taken is gone, and must be reported by one of `worked`,
    `failed` and `left_early`: a half-open circuit lets nobody else through until then.

    asked: who was taken last. attempts: the calls that were made. opened: the keys decrypted for them.
    """

    def __init__(self, circuits: Circuits, ask: ChatAsk, user_id: str) -> None:
        self._circuits = circuits
        self._user_id = user_id
        self._ask = ask
        self._marks: dict[str, tuple[Connection, str | None]] = {}
        self.left: list[Candidate] = []
        self.asked: Candidate | None = None
        self.attempts: list[Attempt] = []
        self.opened: list[KeyOpening] = []

    def take(self) -> Candidate:
        """The first whose circuit lets a call through; where none does, the first: better a try than none."""
        allowed = (each for each in self.left if self._circuits.allows(circuit_of(each, self._ask)))
        self.asked = next(allowed, self.left[0])
        self.left.remove(self.asked)
        return self.asked

    def note(self, attempt: Attempt) -> None:
        """With whose key it was made, which providers don't tell apart."""
        credential = self.asked.credential if self.asked is not None else PLATFORM
        self.attempts.append(replace(attempt, key=credential.connection_id or credential.paid_by))

    def worked(self, candidate: Candidate) -> None:
        self._circuits.succeeded(circuit_of(candidate, self._ask))
        connection = candidate.credential.connection
        if connection is not None and connection.needs_attention is not None:
            self._marks[connection.id] = (connection, None)

    def failed(self, candidate: Candidate, error: HeadgateError) -> HeadgateError:
        """The error as it is told: whose key it was, if it was refused."""
        self._circuits.failed(circuit_of(candidate, self._ask), error)
        connection, reason = candidate.credential.connection, attention_of(error)
        if connection is not None and reason is not None:
            self._marks[connection.id] = (connection, reason)
        return blamed(error, candidate.credential, told_to=self._user_id)

    def left_early(self, candidate: Candidate, *, well: bool = False) -> None:
        """Nobody waited for its end, or it was not asked at all. well: what came of it was good."""
        self._circuits.given_up(circuit_of(candidate, self._ask), well=well)

    def may_go_on(self, candidate: Candidate, error: HeadgateError) -> bool:
        """Whether one that is left may do better than this one, which failed so. Those that can't are
        dropped: what exceeds one context fits only into one that is known to be larger."""
        if error.code == "context_too_long":
            window = _window(candidate)
            self.left = [each for each in self.left if 0 < window < _window(each)]
            return bool(self.left)
        return error.failover

    def marks(self) -> Iterator[tuple[Connection, str | None]]:
        """Connections that need attention, and why, or no longer; each is told once."""
        while self._marks:
            yield self._marks.popitem()[1]


def _window(candidate: Candidate) -> int:
    """Tokens of its context; 0 where that is unknown."""
    return (candidate.info.context_window if candidate.info is not None else None) or 0


def last_word(earlier: HeadgateError | None, last: HeadgateError) -> HeadgateError:
    """What is told where all fail: the last one's error, but of one who could not even be asked only where
    nobody was."""
    return earlier if earlier is not None and isinstance(last, CannotCarry) else last
