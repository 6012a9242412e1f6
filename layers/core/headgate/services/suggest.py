"""What may have been meant by a name that nothing has. Pure, over a view."""

import difflib
import heapq

from headgate.domain.errors import HeadgateError, NotFound
from headgate.services.catalog import CatalogView


def not_found(
    view: CatalogView, model: str, *, said: str | None = None, keyless: str | None = None
) -> NotFound:
    """`model_not_found`, with the ids that come closest.

    said: what a provider answered, if asked. keyless: the provider that is named, where no key is for it.
    """
    several = sorted(view.by_bare_name.get(model, ()))
    shown = model if len(model) <= 200 else model[:200] + "…"
    if len(several) > 1:
        close = several[:10]
        what, hint = f"{shown} could be any of several models.", f" Name one: {', '.join(close)}."
    else:
        close = suggest(view, model, but=_asked(view, model) if said is not None else frozenset())
        what = f"There is no model {shown}."
        hint = f" Did you mean {', '.join(close)}?" if close else " GET /v2/models lists what there is."
    if keyless is not None:
        what += f" {keyless} is not set up for you: lend a key of yours, or store it by POST /v2/connections."
    if said is not None:
        what = said if said.endswith((".", "!", "?", "…")) else f"{said}."
    return NotFound(f"{what}{hint}", code="model_not_found", members={"suggestions": close})


def helped(error: HeadgateError, view: CatalogView, model: str | None) -> HeadgateError:
    """A provider's «no such model» with the ids that come closest, as for one the catalogue refuses."""
    if error.code != "model_not_found" or model is None:
        return error
    helpful = not_found(view, model, said=error.detail)
    helpful.provider, helpful.provider_request_id = error.provider, error.provider_request_id
    return helpful


def _asked(view: CatalogView, model: str) -> frozenset[str]:
    """Ids that these names stand for, which their providers have just denied having."""
    names = {name.strip() for name in model.split(",")}
    return frozenset(names | {offer.id for name in names for offer in view.by_canonical.get(name, ())})


def suggest(view: CatalogView, model: str, *, most: int = 3, but: frozenset[str] = frozenset()) -> list[str]:
    """The closest ids, without those in `but`. Three-letter runs in common first, so that few ids need the
    dear comparison."""
    text = model.lower()[:200]
    runs = {text[at : at + 3] for at in range(max(1, len(text) - 2))}
    lowered = {known.lower(): known for known in view.by_id if known not in but}
    nearest = heapq.nlargest(60, lowered, key=lambda known: sum(run in known for run in runs))
    close = difflib.get_close_matches(text, nearest, n=most, cutoff=0.5)
    close = close or [known for known in nearest[:most] if any(run in known for run in runs)]
    return [lowered[known] for known in close]
