"""Name resolution without a name server."""

import socket

from aiohttp.abc import AbstractResolver, ResolveResult


class Names(AbstractResolver):
    """Answers lookups from a table of address lists, lookup by lookup; a name's last list repeats.

    Names are told apart as DNS does, not by case or a last dot. Those not in the table don't exist.
    """

    def __init__(self, table: dict[str, list[list[str]]]) -> None:
        self._table = {name: list(answers) for name, answers in table.items()}
        self.lookups: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.lookups.append(host)
        answers = self._table.get(host.lower().removesuffix("."))
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in addresses
        ]

    async def close(self) -> None:
        pass
