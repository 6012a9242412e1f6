"""`python -m bench`: every figure of docs/performance.md, in one run of a few minutes.

JSON lines go to standard output as they come, tables to standard error as each part ends. Another gateway
joins the same rounds with --target, when it was started before with the mock as its upstream:

    python -m bench --only chat --upstream-port 9900 \\
      --target other=http://127.0.0.1:4000/v1/chat/completions \\
      --header "other=authorization: Bearer sk-…" --model-prefix other=openai/ --pid other=4711
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence

from bench import catalogue, chat, init, refresh, translate
from bench.figures import Row, json_line, table
from bench.load import Target
from bench.machine import BenchFailed, describe, processors

PARTS = ("init", "chat", "translate", "catalogue", "refresh")


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0; 1 when something can't be measured; 2 for wrong arguments."""
    given = _parser().parse_args(arguments)
    if not sys.platform.startswith("linux"):
        print("bench reads /proc and pins processes to processors: it needs Linux.", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    began_s, failed = time.monotonic(), 0
    _show([describe()])
    for part in given.only:
        try:
            rows = _show(_measured(part, given))
        except BenchFailed as error:
            failed = 1
            print(f"{part} can't be measured: {error}", file=sys.stderr)
        else:
            print(*tables(part, rows), sep="\n", file=sys.stderr)
    print(f"{time.monotonic() - began_s:.0f} s in all", file=sys.stderr)
    return failed


def _measured(part: str, given: argparse.Namespace) -> Iterable[Row]:
    if part == "init":
        return init.run(rounds=max(7, given.rounds))
    if part == "chat":
        return chat.run(
            seconds=given.seconds,
            rounds=given.rounds,
            at_once=given.at_once,
            extra=further_targets(given),
            upstream_port=given.upstream_port,
            credits=given.credits,
        )
    if part == "translate":
        return translate.run(seconds=given.seconds, rounds=given.rounds)
    if part == "catalogue":
        return catalogue.run(seconds=given.seconds / 6, rounds=given.rounds)
    return refresh.run(rounds=given.rounds)


def further_targets(given: argparse.Namespace) -> list[Target]:
    """The targets of the command line, on the gateway's processor. Raises BenchFailed for an option of one
    that is not there."""
    found = {name: Target(name=name, url=url) for name, url in given.target}
    for name, _ in [*given.header, *given.pid, *given.model_prefix]:
        if name not in found:
            raise BenchFailed(f"there is no --target {name}")
    for name, header in given.header:
        field, _, value = header.partition(":")
        found[name].headers[field.strip().lower()] = value.strip()
    for name, prefix in given.model_prefix:
        found[name].model_prefix = prefix
    for name, pid in given.pid:
        found[name].pid = int(pid)
        for thread in os.listdir(f"/proc/{int(pid)}/task"):
            os.sched_setaffinity(int(thread), {processors()[0]})
    return list(found.values())


def tables(part: str, rows: Sequence[Row]) -> list[str]:
    """What a person reads."""
    if part == "init":
        return [table("Start of a function (whole process)", rows, init.COLUMNS)]
    if part == "translate":
        return [table("Translation and failover, beside handing through", rows, translate.COLUMNS)]
    if part == "catalogue":
        return [table("Model list, against the same bytes served by a bare uvicorn", rows, catalogue.COLUMNS)]
    if part == "refresh":
        return [table("Refresh of the catalogue", rows, refresh.COLUMNS)]
    kinds = (
        ("whole", "Chat completions, whole", chat.COLUMNS_WHOLE),
        ("streamed", "Chat completions, streamed: 200 chunks without a pause", chat.COLUMNS_STREAM),
        ("held", "Open streams: 30 chunks 100 ms apart", chat.COLUMNS_HELD),
    )
    return [
        table(title, [row for row in rows if row["scenario"] == kind], columns)
        for kind, title, columns in kinds
    ]


def _show(rows: Iterable[Row]) -> list[Row]:
    shown = []
    for row in rows:
        print(json_line(row), flush=True)
        shown.append(row)
    return shown


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=_parts, default=list(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=5, help="rounds per figure (init: at least 7)")
    parser.add_argument(
        "--seconds", type=float, default=0.8, help="length of a round of chat; lists: a sixth"
    )
    parser.add_argument("--at-once", type=_counts, default=(1, 8, 64), help="chat requests at once: 1,8,64")
    parser.add_argument("--credits", action="store_true", help="chat: with credits enforced")
    parser.add_argument(
        "--upstream-port", type=int, default=0, help="where the mock listens, for further targets"
    )
    pairs: tuple[tuple[str, str], ...] = (
        ("--target", "NAME=URL"),
        ("--header", "NAME=FIELD: VALUE"),
        ("--model-prefix", "NAME=PREFIX"),
        ("--pid", "NAME=PID"),
    )
    for option, form in pairs:
        parser.add_argument(option, type=_pair(form), action="append", default=[], metavar=form)
    return parser


def _pair(form: str) -> Callable[[str], tuple[str, str]]:
    def read(text: str) -> tuple[str, str]:
        name, equals, value = text.partition("=")
        if not equals:
            raise argparse.ArgumentTypeError(f"{text} is not {form}")
        return name, value

    return read


def _parts(text: str) -> list[str]:
    parts = text.split(",")
    if unknown := [part for part in parts if part not in PARTS]:
        raise argparse.ArgumentTypeError(f"there is no {unknown[0]}: {', '.join(PARTS)}")
    return parts


def _counts(text: str) -> tuple[int, ...]:
    return tuple(int(count) for count in text.split(","))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
