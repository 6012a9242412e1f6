"""Generations over HTTP: the only routes that call providers on a caller's behalf."""

from headgate.bootstrap import HttpFunction
from headgate.http.routes import generations

function = HttpFunction("generations", [generations.router], buffered=False)
app = function.app
handler = function.handler
