"""A view that was put together from another is the one that would have been built anew."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from headgate.domain.catalog import ModelInfo
from headgate.services.catalog_view import CatalogView, shelf_with, view_of
from tests.support.models import model

_SLUGS = ("alpha", "beta")
_NAMES = ("m", "n", "maker/m", "maker/n", "other/m")
_CANONICAL = ("maker/m", "maker/n", "other/m", "n")


def of(models: Sequence[ModelInfo]) -> CatalogView:
    return view_of(models, versions="", heads={}, health={}, stale=frozenset(), hour=0)


models_ = st.builds(
    lambda slug, name, canonical: model(f"{slug}/{name}", canonical_id=canonical),
    st.sampled_from(_SLUGS),
    st.sampled_from(_NAMES),
    st.sampled_from(_CANONICAL),
)
lists = st.lists(models_, max_size=10, unique_by=lambda each: each.id)


@given(lists, lists, st.sets(st.sampled_from([f"{s}/{n}" for s in _SLUGS for n in _NAMES])))
def test_rows_put_over_a_view_make_what_building_it_anew_makes(
    base: list[ModelInfo], rows: list[ModelInfo], gone: set[str]
) -> None:
    over = {row.id: row for row in rows}
    shelf = shelf_with(of(base), over, gone - over.keys())
    anew = of([*rows, *(each for each in base if each.id not in over.keys() | gone)])
    assert shelf.models == anew.models
    assert dict(shelf.by_id) == dict(anew.by_id)
    assert dict(shelf.by_canonical) == dict(anew.by_canonical)
    assert dict(shelf.by_bare_name) == dict(anew.by_bare_name)


def test_nothing_put_over_a_view_leaves_it_as_it_was() -> None:
    base = of([model("alpha/m"), model("beta/maker/m")])
    assert shelf_with(base, {}).models == base.models
