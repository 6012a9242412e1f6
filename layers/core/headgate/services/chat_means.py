"""What all runs of chats share."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from headgate.ports import Clock, GenerationStore, Log
from headgate.services.bind import Binder
from headgate.services.charge import Tariff, tariff_of
from headgate.services.circuits import Circuits
from headgate.services.reach import ReachService
from headgate.services.settle import PAUSES_S
from headgate.services.survey import Surveyor
from headgate.settings import Settings


@dataclass(kw_only=True)
class ChatMeans:
    """Stores, keys, circuits. settle_pauses_s: between tries to write how a run ended."""

    surveyor: Surveyor
    binder: Binder
    reach: ReachService
    generations: GenerationStore
    circuits: Circuits
    clock: Clock
    log: Log
    settings: Settings
    settle_pauses_s: Sequence[float] = PAUSES_S

    @cached_property
    def tariff(self) -> Tariff:
        return tariff_of(self.settings)
