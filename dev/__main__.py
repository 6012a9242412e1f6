"""`python -m dev`: the whole gateway on this machine. `make dev` does the same."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str]) -> int:
    """Runs until stopped; the exit code: 0 after a stop, 1 when it can't run, 2 for wrong arguments."""
    given = _parser().parse_args(arguments)
    sys.path[:0] = [str(ROOT / "layers" / "core"), str(ROOT)]
    from dev.environment import ConfigError  # noqa: PLC0415 - needs the path above
    from dev.intrinsics import TemplateError  # noqa: PLC0415
    from dev.invocation import FunctionFailed  # noqa: PLC0415
    from dev.servers import CannotServe  # noqa: PLC0415

    try:
        return _run(given)
    except (ConfigError, TemplateError, CannotServe, FunctionFailed) as error:
        print(f"Headgate can't run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _run(given: argparse.Namespace) -> int:
    import uvloop  # noqa: PLC0415

    from dev.dotenv import parse_dotenv  # noqa: PLC0415
    from dev.environment import read_config  # noqa: PLC0415
    from dev.servers import bind  # noqa: PLC0415
    from dev.template import read_stack  # noqa: PLC0415

    dotenv = parse_dotenv(given.env_file.read_text()) if given.env_file.is_file() else {}
    config = read_config(os.environ, dotenv, dict(given.parameter))
    stack = read_stack(given.template.read_text(), config.parameters)
    listener = bind(config.port)
    from dev.runner import run_stack  # noqa: PLC0415 - slow to import, so after what can be wrong at once

    return uvloop.run(run_stack(stack, config, listener))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev", description="The whole gateway on this machine.")
    parser.add_argument("--template", type=Path, default=ROOT / "template.yaml", help="the SAM template")
    parser.add_argument("--env-file", type=Path, default=ROOT / ".env", help="settings")
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


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads that handlers still hold must not keep the process
