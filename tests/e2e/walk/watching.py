"""What a process shows besides its answers: exceptions, reprs, logs, and what it prints."""

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from pathlib import Path
from types import CodeType
from typing import Any

from headgate.observability import PowertoolsLog
from tests.e2e.walk.canaries import Canaries

ROOT = Path(__file__).parents[3]
_OURS = (f"{ROOT}/layers/core/headgate/", f"{ROOT}/functions/")
_NOT_YET = ("headgate.providers.", "headgate.testing.")
_TRANSLATING = f"{ROOT}/layers/core/headgate/providers/"
"""Where answers of providers are told as they came: what leaves there was cleaned on its way."""

FUNCTIONS = (
    *("accounts", "connections", "deliver", "generations", "health", "models"),
    *("refresh", "sweep", "usage"),
)

_TELLING = ("detail", "members", "errors", "provider_request_id")


class Witness:
    """Every exception that came by our code, and every value of ours that a function returned.

    Exceptions are judged in the end, since what a provider said is cleaned in the error that carries it.
    """

    def __init__(self, canaries: Canaries) -> None:
        self._canaries = canaries
        self.exceptions: dict[int, tuple[BaseException, str]] = {}
        self.reprs = 0

    def raised(self, code: CodeType, _at: int, error: BaseException) -> object:
        if isinstance(error, StopIteration | StopAsyncIteration):
            return None  # how coroutines return
        if code.co_filename.startswith(_OURS) and not code.co_filename.startswith(_TRANSLATING):
            self.exceptions.setdefault(id(error), (error, _place(code)))
        return None

    def returned(self, code: CodeType, _at: int, value: object) -> object:
        if not code.co_filename.startswith(_OURS):
            return sys.monitoring.DISABLE
        kind = type(value)
        if is_dataclass(kind) and kind.__module__.startswith("headgate.") and not _early(kind.__module__):
            self.reprs += 1
            self._canaries.look(f"the repr of {kind.__name__}, from {_place(code)}", repr(value), str(value))
        return None

    def judge(self) -> None:
        """Looks through all exceptions, with their chains."""
        for error, place in self.exceptions.values():
            link: BaseException | None = error
            seen: set[int] = set()
            while link is not None and id(link) not in seen:
                seen.add(id(link))
                told = [str(link), repr(link), repr(link.args), getattr(link, "__notes__", [])]
                told += [getattr(link, name, None) for name in _TELLING]
                self._canaries.look(f"{type(link).__name__} of {type(error).__name__}, in {place}", told)
                link = link.__cause__ or link.__context__


def _early(module: str) -> bool:
    return module.startswith(_NOT_YET)


def _place(code: CodeType) -> str:
    return f"{Path(code.co_filename).name}:{code.co_name}"


@contextmanager
def witnessed(canaries: Canaries) -> Iterator[Witness]:
    """Sees all that is raised and returned inside."""
    monitoring, witness = sys.monitoring, Witness(canaries)
    tool = monitoring.PROFILER_ID
    events = monitoring.events
    monitoring.use_tool_id(tool, "witness")
    monitoring.register_callback(tool, events.RAISE, witness.raised)
    monitoring.register_callback(tool, events.PY_RETURN, witness.returned)
    monitoring.restart_events()
    monitoring.set_events(tool, events.RAISE | events.PY_RETURN)
    try:
        yield witness
    finally:
        monitoring.set_events(tool, 0)
        for event in (events.RAISE, events.PY_RETURN):
            monitoring.register_callback(tool, event, None)
        monitoring.free_tool_id(tool)
        witness.judge()


class _Records(logging.Handler):
    """Looks at each record whole: message, fields, exception."""

    def __init__(self, canaries: Canaries) -> None:
        super().__init__(logging.DEBUG)
        self._canaries = canaries
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1
        fields: dict[str, Any] = dict(vars(record))
        self._canaries.look(f"a log record, {record.getMessage()[:80]!r}", record.getMessage(), repr(fields))
        error = record.exc_info[1] if record.exc_info else None
        self._canaries.look("an exception in a log record", str(error), repr(error))


def _redirect(logger: logging.Logger, to: io.StringIO, before: dict[logging.StreamHandler[Any], Any]) -> None:
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler):
            before.setdefault(handler, handler.stream)
            handler.stream = to


@contextmanager
def logged(canaries: Canaries) -> Iterator[_Records]:
    """Every logger of ours says all that it can, and so do others what they say by themselves."""
    records, printed = _Records(canaries), io.StringIO()
    loggers = [logging.getLogger(), *(logging.getLogger(f"headgate-{name}") for name in FUNCTIONS)]
    before: dict[logging.StreamHandler[Any], Any] = {}
    for name, logger in zip(FUNCTIONS, loggers[1:], strict=True):
        _redirect(logger, printed, before)  # an earlier test's, whose output is closed by now
        PowertoolsLog(name, "DEBUG").info("walk.began")
        _redirect(logger, printed, before)
        logger.setLevel(logging.DEBUG)
    for logger in loggers:
        logger.addHandler(records)
    try:
        yield records
    finally:
        for logger in loggers:
            logger.removeHandler(records)
        for handler, stream in before.items():
            handler.stream = stream
        canaries.look("what loggers print", printed.getvalue())
