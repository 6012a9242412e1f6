"""What the gateway adds to a chat completion: latency, processor time, memory; beside calling the upstream.

Over memory stores, with caller look-up, a counted limit and recording on. The gateway has a processor of its
own; mock and driver share the other, so above some 15,000 requests a second they are what is measured.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import orjson
import uvloop

from bench.figures import Row, difference, paired, ratio
from bench.gateway import call, grant_credits, mint_key, running_gateway, running_upstream, wait_for_models
from bench.load import Round, Target, run_round
from bench.machine import BenchFailed, pinned, processors
from bench.upstream import MODELS

DIRECT = "direct"
PATH = "/v1/chat/completions"
_FAST_STREAM, _SLOW_STREAM = MODELS
_PROMPT = "Say in one sentence what a gateway to several providers of language models is for. " * 3
_WARM_UP_S = 0.3
_ADDED = ("p50_ms", "p99_ms", "first_p50_ms", "first_p99_ms")

COLUMNS_WHOLE = {
    "target": "target",
    "at_once": "at once",
    "p50_ms": "p50 ms",
    "added_p50_ms": "added p50",
    "p99_ms": "p99 ms",
    "added_p99_ms": "added p99",
    "requests_per_s": "req/s",
    "requests_per_s_ratio": "of direct",
    "cpu_ms": "CPU ms/req",
    "errors": "errors",
}
COLUMNS_STREAM = {
    "target": "target",
    "at_once": "at once",
    "first_p50_ms": "first byte p50 ms",
    "added_first_p50_ms": "added p50",
    "added_first_p99_ms": "added p99",
    "added_p50_ms": "whole: added p50",
    "events_per_s": "chunks/s",
    "events_per_s_ratio": "of direct",
    "cpu_ms": "CPU ms/stream",
    "errors": "errors",
}
COLUMNS_HELD = {
    "target": "target",
    "at_once": "streams",
    "rss_before_mib": "RSS before MiB",
    "rss_peak_mib": "peak MiB",
    "kib_per_stream": "KiB/stream",
    "first_p50_ms": "first byte p50 ms",
    "added_p50_ms": "longer by p50 ms",
    "cpu_ms": "CPU ms/stream",
    "errors": "errors",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One kind of load. seconds 0: each connection sends one request."""

    name: str
    model: str
    stream: bool
    at_once: int
    seconds: float

    @property
    def body(self) -> dict[str, object]:
        messages = [
            {"role": "system", "content": "You answer briefly, and in the caller's language."},
            {"role": "user", "content": _PROMPT},
        ]
        body: dict[str, object] = {"model": self.model, "messages": messages, "temperature": 0.2}
        return {**body, "stream": True} if self.stream else body


def scenarios(seconds: float, at_once: Sequence[int]) -> list[Scenario]:
    """Whole answers and streams of 200 chunks without a pause."""
    kinds = (("whole", False), ("streamed", True))
    return [
        Scenario(name=name, model=_FAST_STREAM, stream=stream, at_once=count, seconds=seconds)
        for name, stream in kinds
        for count in at_once
    ]


def held(streams: int) -> Scenario:
    """Streams of 30 chunks 100 ms apart, all open together: what a stream costs while it waits."""
    return Scenario(name="held", model=_SLOW_STREAM, stream=True, at_once=streams, seconds=0.0)


def run(
    *,
    seconds: float,
    rounds: int,
    at_once: Sequence[int] = (1, 8, 64),
    extra: Sequence[Target] = (),
    upstream_port: int = 0,
    credits: bool = False,
) -> Iterator[Row]:
    """A row per scenario and target, as each scenario ends. credits: each chat holds and settles some."""
    with running_upstream(upstream_port) as upstream:
        environ = {"OPENAI_API_KEY": "sk-bench", "OPENAI_BASE_URL": f"{upstream.url}/v1"}
        if credits:
            environ["HEADGATE_CREDITS"] = "enforced"
        with running_gateway(environ) as gateway:
            key = mint_key(gateway)
            if credits:
                grant_credits(gateway)
            wait_for_models(gateway, key, len(MODELS))
            ours = Target(
                name="headgate",
                url=gateway.url + PATH,
                headers={"authorization": f"Bearer {key}"},
                pid=gateway.process.pid,
                model_prefix="openai/",
            )
            direct = Target(
                name=DIRECT, url=upstream.url + PATH, headers={"authorization": "Bearer sk-bench"}
            )
            targets = [direct, ours, *extra]
            check(targets)
            check_recorded(gateway.url, key)
            yield {"bench": "chat", "scenario": "start", "target": "headgate", "start_s": gateway.start_s}
            with pinned(processors()[1]), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                yield from runner.run(_memory(targets))
                for scenario in scenarios(seconds, at_once):
                    yield from runner.run(_measure(scenario, targets, rounds))
                for target in targets:
                    target.close()


def check(targets: Sequence[Target]) -> None:
    """Raises BenchFailed where a target's answers are not the upstream's, so that speed can't come of it."""
    for target in targets:
        for scenario in (*scenarios(0, [1]), replace(held(1), model=_FAST_STREAM)):
            body = {**scenario.body, "model": f"{target.model_prefix}{scenario.model}"}
            answer = call("POST", target.url, headers=target.headers, body=body)
            texts = _texts(answer.body, stream=scenario.stream) if answer.status == 200 else []
            wanted = 200 if scenario.stream else 1
            if len(texts) != wanted:
                raise BenchFailed(
                    f"{target.name} gave {len(texts)} texts, not {wanted} ({scenario.name}): "
                    f"{answer.status} {answer.body[:300]!r}"
                )


def _texts(body: bytes, *, stream: bool) -> list[str]:
    """The texts of an answer or of its chunks, empty ones left out."""
    if not stream:
        return [choice["message"]["content"] for choice in orjson.loads(body)["choices"]]
    lines = [line.removeprefix(b"data:").strip() for line in body.split(b"\n") if line.startswith(b"data:")]
    chunks = [orjson.loads(line) for line in lines if line != b"[DONE]"]
    texts = [choice["delta"].get("content") for chunk in chunks for choice in chunk["choices"]]
    return [text for text in texts if text]


def check_recorded(url: str, key: str) -> None:
    """Raises BenchFailed when the gateway keeps no record of what it just did."""
    answer = call("GET", f"{url}/v2/generations?limit=1", headers={"authorization": f"Bearer {key}"})
    found = orjson.loads(answer.body).get("data") if answer.status == 200 else None
    if not found or found[0]["status"] != "succeeded":
        raise BenchFailed(f"no generation was recorded: {answer.status} {answer.body[:300]!r}")


async def _measure(scenario: Scenario, targets: Sequence[Target], rounds: int) -> list[Row]:
    """All targets in turn, round by round, each second round backwards."""
    results: dict[str, list[Round]] = {target.name: [] for target in targets}
    payloads = {target.name: target.request("POST", scenario.body) for target in targets}
    for target in targets:
        await _round(target, payloads[target.name], replace(scenario, seconds=_WARM_UP_S))
    for number in range(rounds):
        for target in targets if number % 2 == 0 else reversed(targets):
            results[target.name].append(await _round(target, payloads[target.name], scenario))
    return [_row(scenario, target, results) for target in targets]


async def _round(target: Target, payload: bytes, scenario: Scenario) -> Round:
    return await run_round(
        target, payload, at_once=scenario.at_once, seconds=scenario.seconds, stream=scenario.stream
    )


def _row(scenario: Scenario, target: Target, results: Mapping[str, Sequence[Round]]) -> Row:
    """The medians of the rounds' figures, and of their differences and ratios to the direct ones."""
    figures = [done.figures() for done in results[target.name]]
    base = [done.figures() for done in results[DIRECT]]
    row: dict[str, object] = {"bench": "chat", "scenario": scenario.name, "target": target.name}
    row |= {"at_once": scenario.at_once}
    names = [name for name in figures[0] if scenario.stream or not name.startswith(("first", "events"))]
    row |= {name: median(each[name] for each in figures) for name in names}
    if target.pid is None:
        del row["cpu_ms"]
    if target.name != DIRECT:
        row |= {f"added_{n}": _paired(n, figures, base, difference) for n in names if n in _ADDED}
        row |= {f"{n}_ratio": _paired(n, figures, base, ratio) for n in names if n.endswith("_per_s")}
    return row | _errors(results[target.name])


def _paired(
    name: str,
    figures: Sequence[Mapping[str, float]],
    base: Sequence[Mapping[str, float]],
    compare: Callable[[float, float], float],
) -> float:
    return paired([each[name] for each in figures], [each[name] for each in base], compare)


def _errors(rounds: Sequence[Round]) -> dict[str, object]:
    kinds: dict[str, int] = {}
    for done in rounds:
        for kind, count in done.errors.items():
            kinds[kind] = kinds.get(kind, 0) + count
    return {"errors": sum(kinds.values()), **({"error_kinds": kinds} if kinds else {})}


async def _memory(targets: Sequence[Target], few: int = 64, many: int = 256) -> list[Row]:
    """Memory of a stream, from the difference between few and many open at once: what is built once, at the
    first request, is in both."""
    rows: list[Row] = []
    base: dict[int, float] = {}
    for target in targets:
        peaks: dict[int, float] = {}
        for count in (few, many):
            scenario = held(count)
            done = await _round(target, target.request("POST", scenario.body), scenario)
            figures, peaks[count] = done.figures(), done.rss_peak_mib
            row: dict[str, object] = {"bench": "chat", "scenario": "held", "target": target.name}
            row |= {"at_once": count, "p50_ms": figures["p50_ms"], "first_p50_ms": figures["first_p50_ms"]}
            if target.name == DIRECT:
                base[count] = figures["p50_ms"]
            else:
                row["added_p50_ms"] = figures["p50_ms"] - base[count]
            if target.pid is not None:
                row |= {"rss_before_mib": done.rss_before_mib, "rss_peak_mib": done.rss_peak_mib}
                row["cpu_ms"] = figures["cpu_ms"]
                if count == many:
                    row["kib_per_stream"] = (peaks[many] - peaks[few]) * 1024 / (many - few)
            rows.append(row | _errors([done]))
        with contextlib.suppress(OSError):
            target.close()
    return rows
