"""The catalogue over HTTP. Holds no key: stale lists are refreshed by the `refresh` function."""

from headgate.bootstrap import HttpFunction
from headgate.http.routes import models

function = HttpFunction("models", [models.router], buffered=False)
app = function.app
handler = function.handler
