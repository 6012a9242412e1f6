"""The command line of the local runner: what was asked for, and what is said when it can't be done."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from dev.dotenv import parse_dotenv
from dev.environment import ConfigError, read_config
from dev.intrinsics import TemplateError
from dev.invocation import FunctionFailed
from dev.runner import run_stack
from dev.servers import CannotServe, bind
from dev.template import read_stack
from headgate.domain.errors import HeadgateError


def main(arguments: Sequence[str], *, root: Path, began_s: float) -> int:
    """Runs until stopped; the exit code: 0 after a stop, 1 when it can't run.

    began_s: when the process began, in `time.monotonic()`.
    """
    given = _parser(root).parse_args(arguments)
    try:
        dotenv = parse_dotenv(given.env_file.read_text()) if given.env_file.is_file() else {}
        config = read_config(os.environ, dotenv, dict(given.parameter))
        stack = read_stack(given.template.read_text(), config.parameters)
        return uvloop.run(run_stack(stack, config, bind(config.port), began_s=began_s))
    except (ConfigError, TemplateError, CannotServe, FunctionFailed, HeadgateError, OSError) as error:
        print(f"Headgate can't run: {error}", file=sys.stderr)
        return 1


def _parser(root: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev", description="The whole gateway on this machine.")
    parser.add_argument("--template", type=Path, default=root / "template.yaml", help="the SAM template")
    parser.add_argument("--env-file", type=Path, default=root / ".env", help="settings")
    parser.add_argument(
        "--parameter",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the template, in place of its default (or HEADGATE_PARAM_<Name>)",
    )
    return parser


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    return name, value
