"""Sends to users' webhooks: the only function that may open their secrets, and it opens nothing else."""

from headgate.bootstrap import HttpFunction
from headgate.http.routes import deliver

function = HttpFunction("deliver", [deliver.router], buffered=True)
app = function.app
handler = function.handler
