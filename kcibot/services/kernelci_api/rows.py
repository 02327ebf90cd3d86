"""Documents of the KernelCI API: whole collections page by page, or a bounded number in one answer.

Nothing that comes back is taken on trust: a filter that a collection does not know is ignored by the API, not refused,
so every document of a revision must say that it is of that revision.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from kcibot.core.ports import Revision
from kcibot.errors import PermanentError, TransientError
from kcibot.services.kernelci_api.documents import Document, Envelope, Row, plain_id, valid
from kcibot.services.kernelci_api.http import Query, envelope_of, open_session, send

if TYPE_CHECKING:
    import requests

PAGE = 500
"""Rows asked for at a time."""

NEWEST_FIRST: Query = [("sort", "created_on"), ("sort", "_id"), ("sort_order", "-1")]

RevisionRow = TypeVar("RevisionRow", bound=Row)


class Questions:
    """What can be asked of the API at `url`, over one session. `timeout` is of each answer, in seconds."""

    def __init__(self, session: "requests.Session", url: str, timeout: float) -> None:
        self._session = session
        self._url = url
        self._timeout = timeout

    def ask(self, method: str, path: str, query: Query | None = None) -> Envelope:
        """An answer of success; everything else raises. A redirection could carry the token to somebody else."""
        what = f"The KernelCI API (/{path})"
        return envelope_of(send(self._session, method, f"{self._url}/{path}", self._timeout, what, query, "no"), what)

    def rows(self, path: str, filters: Query, kind: type[Document]) -> list[Document]:
        """All documents, page by page, in the order of their ids: one that arrives meanwhile moves no page.

        Every page begins with the last row of the one before: TransientError if it is another one now, since then a
        document went away meanwhile and one that was not seen has taken its place.
        """
        asked = [*_query(filters, kind), ("sort", "_id"), ("sort_order", "1"), ("limit", str(PAGE))]
        found: list[dict[str, object]] = []
        while True:
            skip = max(len(found) - 1, 0)
            page = self._page(path, [*asked, ("skip", str(skip))], skip, PAGE)
            if found and [_id(row) for row in page.result[:1]] != [_id(found[-1])]:
                raise TransientError(f"The API's answer to /{path} changed while its pages were read.")
            found += page.result[1:] if found else page.result
            if len(page.result) != PAGE or (page.count or 0) == len(found) > PAGE:
                return [valid(kind, row, f"The API's answer to /{path}") for row in found]

    def at_once(self, path: str, filters: Query, kind: type[Document], most: int = 0) -> list[Document]:
        """At most so many documents, the newest first, in one answer; all of them if `most` is 0."""
        left_out = [] if "_id" in _names(kind) else [("nfield", "_id")]
        asked = [*_query(filters, kind), *left_out, *(NEWEST_FIRST if most else []), ("limit", str(most))]
        page = self._page(path, asked, 0, most)
        return [valid(kind, row, f"The API's answer to /{path}") for row in page.result]

    def rows_of(self, revision: Revision, path: str, kind: type[RevisionRow]) -> list[RevisionRow]:
        """All of that revision. PermanentError if the answer holds others."""
        return _checked(self.rows(path, _filters(revision), kind), revision, path)

    def at_once_of(
        self, revision: Revision, path: str, kind: type[RevisionRow], most: int = 0, more: Query | None = None
    ) -> list[RevisionRow]:
        """As `at_once`, of that revision, filtered by `more` as well. PermanentError if the answer holds others."""
        return _checked(self.at_once(path, [*_filters(revision), *(more or [])], kind, most), revision, path)

    def _page(self, path: str, query: Query, skip: int, limit: int) -> Envelope:
        """One page, complete by its own count: of the page or, up to the backend of 2019, of all that match."""
        page = self.ask("GET", path, query)
        size = len(page.result)
        cut = 0 < limit == size and page.count is not None and page.count > size
        if not cut and page.count not in {size, skip + size}:
            raise TransientError(f"The API's answer to /{path} is not complete.")
        return page


@contextmanager
def questions(url: str, token: Callable[[], str], timeout: float) -> Iterator[Questions]:
    """For one look, over one session."""
    with open_session(token) as session:
        yield Questions(session, url, timeout)


def named(revision: Revision) -> str:
    return f"{revision.tree}/{revision.branch} {revision.kernel}"


def _filters(revision: Revision) -> Query:
    return [("job", revision.tree), ("git_branch", revision.branch), ("kernel", revision.kernel)]


def _query(filters: Query, kind: type[BaseModel]) -> Query:
    """Only what is read is asked for."""
    return [*filters, *(("field", name) for name in _names(kind))]


def _names(kind: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in kind.model_fields.items()]


def _id(row: dict[str, object]) -> object:
    return plain_id(row.get("_id"))


def _checked(rows: list[RevisionRow], revision: Revision, path: str) -> list[RevisionRow]:
    if not all(row.is_of(revision) for row in rows):
        raise PermanentError(f"The API answered /{path} with results of others than {named(revision)}.")
    return rows
