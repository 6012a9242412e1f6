"""What a translated answer and a failed first candidate cost, beside the same request handed through.

One client of chat completions, one gateway, three targets: OpenAI's model (handed through), Anthropic's
(request and answer translated), and one that answers 503 at once, with OpenAI's to follow. Their rounds are
interleaved, their texts are the same.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median

import uvloop

from bench import chat
from bench.figures import Row, difference, paired, ratio
from bench.gateway import call, mint_key, running_gateway, running_upstream, wait_for_models
from bench.load import Round, Target, run_round
from bench.machine import BenchFailed, pinned, processors
from bench.upstream import ANTHROPIC, MODELS, OVERLOADED

HANDED = "handed through"
COLUMNS = {
    "target": "chat completion",
    "scenario": "answer",
    "at_once": "at once",
    "p50_ms": "p50 ms",
    "added_p50_ms": "more p50",
    "added_p99_ms": "more p99",
    "added_first_p50_ms": "first byte: more p50",
    "cpu_ms": "CPU ms/req",
    "cpu_ratio": "of handed",
    "errors": "errors",
}
_CANDIDATES = {
    HANDED: "openai/",
    "translated": "anthropic/",
    "after a 503": f"openai/{OVERLOADED},openai/",
}
"""What stands before the model's name."""
_ATTEMPTS = {name: 1 + prefix.count(",") for name, prefix in _CANDIDATES.items()}
_WARM_UP_S = 0.3


def run(*, seconds: float, rounds: int, at_once: Sequence[int] = (1, 8)) -> Iterator[Row]:
    """A row per kind of answer, number of requests at once, and target."""
    with running_upstream() as upstream:
        environ = {"OPENAI_API_KEY": "sk-bench", "OPENAI_BASE_URL": f"{upstream.url}/v1"}
        environ |= {"ANTHROPIC_API_KEY": "sk-bench", "ANTHROPIC_BASE_URL": f"{upstream.url}{ANTHROPIC}"}
        with running_gateway(environ) as gateway:
            key = mint_key(gateway)
            wait_for_models(gateway, key, 2 * len(MODELS))
            targets = [
                Target(
                    name=name,
                    url=gateway.url + chat.PATH,
                    headers={"authorization": f"Bearer {key}"},
                    pid=gateway.process.pid,
                    model_prefix=prefix,
                )
                for name, prefix in _CANDIDATES.items()
            ]
            chat.check(targets)
            for target in targets:
                _check_attempts(target)
            with pinned(processors()[1]), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                for scenario in chat.scenarios(seconds, at_once):
                    yield from runner.run(_measure(scenario, targets, rounds))
                for target in targets:
                    target.close()


def _check_attempts(target: Target) -> None:
    """Raises BenchFailed where a provider was asked more or less often than what is measured says."""
    for scenario in chat.scenarios(0, [1]):
        body = {**scenario.body, "model": f"{target.model_prefix}{scenario.model}"}
        answer = call("POST", target.url, headers=target.headers, body=body)
        made = answer.headers.get("x-headgate-attempts")
        if made != str(_ATTEMPTS[target.name]):
            raise BenchFailed(f"{target.name} took {made} attempts, not {_ATTEMPTS[target.name]}")


async def _measure(scenario: chat.Scenario, targets: Sequence[Target], rounds: int) -> list[Row]:
    """All targets in turn, round by round, each second round backwards."""
    results: dict[str, list[Round]] = {target.name: [] for target in targets}
    for target in targets:
        await _round(target, replace(scenario, seconds=_WARM_UP_S))
    for number in range(rounds):
        for target in targets if number % 2 == 0 else reversed(targets):
            results[target.name].append(await _round(target, scenario))
    return [_row(scenario, target.name, results) for target in targets]


async def _round(target: Target, scenario: chat.Scenario) -> Round:
    payload = target.request("POST", scenario.body)
    return await run_round(
        target, payload, at_once=scenario.at_once, seconds=scenario.seconds, stream=scenario.stream
    )


def _row(scenario: chat.Scenario, name: str, results: Mapping[str, Sequence[Round]]) -> Row:
    """The medians of the rounds' figures, and of their differences and ratios to those handed through."""
    figures = [done.figures() for done in results[name]]
    base = [done.figures() for done in results[HANDED]]
    row: dict[str, object] = {"bench": "translate", "scenario": scenario.name, "target": name}
    row["at_once"] = scenario.at_once
    names = [each for each in figures[0] if scenario.stream or not each.startswith(("first", "events"))]
    for each in names:
        own, other = [found[each] for found in figures], [found[each] for found in base]
        row[each] = median(own)
        if name != HANDED and each.startswith(("p", "first")):
            row[f"added_{each}"] = paired(own, other, difference)
        elif name != HANDED:
            row[f"{each.removesuffix('_ms')}_ratio"] = paired(own, other, ratio)
    return row | {"errors": sum(done.errors.total() for done in results[name])}
