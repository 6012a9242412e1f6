"""A switch that makes a fake fail as its real counterpart can."""

from headgate.domain.errors import HeadgateError


class Faulty:
    """While `fault` is set, every call raises it, before anything is changed.

    `faults_after` calls succeed first: with 1, the second call is the one that fails.
    """

    def __init__(self) -> None:
        self.fault: HeadgateError | None = None
        self.faults_after = 0

    def check_fault(self) -> None:
        if self.fault is None:
            return
        if self.faults_after > 0:
            self.faults_after -= 1
            return
        raise self.fault
