"""Chat completions, embeddings, counted tokens: a run for each."""

from headgate.domain.callers import Caller
from headgate.services.chat_means import ChatMeans
from headgate.services.chat_records import ChatAsk
from headgate.services.chat_run import ChatRun, StageTimer


class ChatService:
    """Makes runs."""

    def __init__(self, means: ChatMeans) -> None:
        self.means = means

    def run(self, caller: Caller, ask: ChatAsk, timer: StageTimer | None = None) -> ChatRun:
        """A run which has not begun: call `prepare`, then `answer`, or `open` and iterate."""
        return ChatRun(self.means, caller, ask, timer)
