"""`python -m bench.contention`: how often transactions on one user's balance meet, by simulation.

moto never shows it, so this stands for DynamoDB: a transaction that begins while another holds the balance is
refused, and sent again as `headgate.aws.admission` does. Rates, times and shards are the ones of ADR 0005.
"""

import heapq
import random
from collections.abc import Iterator

BASE_S, LONGEST_S, TRIES = 0.05, 1.0, 10


def run(
    rate: float, transaction_s: float, *, shards: int = 1, seconds: float = 400
) -> tuple[float, float, float]:
    """Of `rate` chats a second, two transactions each: shares that met another, that gave up; p99 in ms."""
    chance = random.Random(1)
    queue = list(_arrivals(chance, rate, seconds))
    count, met, gave_up = len(queue), 0, 0
    free_at = [0.0] * shards
    waits = []
    while queue:
        at, tries, first = heapq.heappop(queue)
        shard = chance.randrange(shards)
        if at >= free_at[shard]:
            free_at[shard] = at + transaction_s
            waits.append(at - first)
            continue
        met += tries == 0
        if tries + 1 == TRIES:
            gave_up += 1
            continue
        pause_s = chance.random() * min(LONGEST_S, BASE_S * 2**tries)
        heapq.heappush(queue, (at + transaction_s / 2 + pause_s, tries + 1, first))
    waits.sort()
    return met / count, gave_up / count, 1000 * waits[int(0.99 * len(waits))]


def _arrivals(chance: random.Random, rate: float, seconds: float) -> Iterator[tuple[float, int, float]]:
    at = 0.0
    while at < seconds:
        at += chance.expovariate(2 * rate)
        yield at, 0, at


def main() -> None:
    print("ms/transaction  shards  chats/s   met another   gave up   p99 wait ms")
    for transaction_s, shards, rates in (
        (0.01, 1, (1, 5, 10, 20, 30, 50)),
        (0.02, 1, (1, 5, 10, 20)),
        (0.01, 8, (50, 100, 200)),
    ):
        for rate in rates:
            met, gave_up, wait_ms = run(rate, transaction_s, shards=shards)
            figures = f"{met:12.1%}  {gave_up:9.4%}  {wait_ms:12.0f}"
            print(f"{1000 * transaction_s:14.0f}  {shards:6}  {rate:7}  {figures}")


if __name__ == "__main__":
    main()
