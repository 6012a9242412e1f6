"""Structured logs through Powertools: one JSON object per event on standard output."""

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger


class PowertoolsLog:
    """The `Log` port. The logger is made on first use, since importing Powertools takes a while."""

    def __init__(self, function: str, level: str = "INFO") -> None:
        self._function = function
        self._level = level

    @cached_property
    def _logger(self) -> "Logger":
        from aws_lambda_powertools import Logger  # noqa: PLC0415 - lazily, see above

        logging.logAsyncioTasks = False  # type: ignore[attr-defined]  # missing in the stubs
        return Logger(
            location=None,
            service=f"headgate-{self._function}",
            level=self._level,
            utc=True,
            log_record_order=["message"],
        )

    def info(self, event: str, **fields: Any) -> None:
        self._logger.info(event, extra=fields, stacklevel=3)

    def warning(self, event: str, **fields: Any) -> None:
        self._logger.warning(event, extra=fields, stacklevel=3)

    def error(self, event: str, **fields: Any) -> None:
        self._logger.error(event, extra=fields, stacklevel=3)
