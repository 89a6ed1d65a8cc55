"""Pages of a list: how much is on one, and where the next one is. Pages of people are others: see `pages`."""

from collections.abc import Mapping
from typing import Annotated, Generic, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, Field

from exporters.api.answers import Answer, document

#: What is on a page. Ours: what people look through at once, and what can be read while they wait.
DEFAULT_LIMIT, MAX_LIMIT = 50, 200
#: More than there is of anything.
MAX_OFFSET = 1_000_000

Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="how many are on a page, at most")]
Offset = Annotated[int, Field(ge=0, le=MAX_OFFSET, description="how many are on the pages before")]
Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """A page of a list."""

    items: tuple[Item, ...]
    next: str | None = Field(description="address of the next page; null on the last one")


def paged(page: Page[Item]) -> Answer:
    """200 with a page, whose next one is in the Link header too."""
    return document(page, headers=link(page.next))


def next_page(address: str, query: BaseModel, **place: object) -> str:
    """The address of the page that begins at a place, for the same query."""
    asked = query.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return f"{address}?{urlencode({**asked, **place})}"


def link(following: str | None) -> Mapping[str, str]:
    """The header that names the next page; none after the last one. https://www.rfc-editor.org/rfc/rfc8288"""
    return {} if following is None else {"Link": f'<{following}>; rel="next"'}
