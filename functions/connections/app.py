"""Users' own connections and webhooks over HTTP. May seal their keys and secrets, and open none."""

from headgate.bootstrap import HttpFunction
from headgate.http.routes import connections

function = HttpFunction("connections", [connections.router], buffered=True)
app = function.app
handler = function.handler
