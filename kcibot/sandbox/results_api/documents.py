"""The backend's collections, and its query language: what it filters by, sorts, pages and leaves out.

Taken from the backend of 2019. Its sharpest edge is kept: a filter that a collection does not know is ignored, not
refused, so that /test/case?job=x answers with the cases of every job.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

Document = dict[str, Any]

_REVISION = ("job", "kernel")
_RUN = (*_REVISION, "git_branch", "git_commit", "arch", "defconfig", "defconfig_full", "build_environment", "job_id")

FILTERS: Mapping[str, frozenset[str]] = {
    "job": frozenset({"_id", *_REVISION, "git_branch", "git_commit", "status"}),
    "build": frozenset({"_id", *_RUN, "status"}),
    "boot": frozenset({"_id", *_RUN, "status", "lab_name", "board"}),
    "test_group": frozenset({*_RUN, "lab_name", "name", "board"} - {"git_commit"}),
    "test_case": frozenset({"name", "status", "test_group_id", "test_group_name"}),
    "report": frozenset({"_id", *_REVISION, "name", "status", "type"}),
}
"""Collection -> the query's keys that filter it."""

COUNT_FILTERS = frozenset(
    {"_id", *_RUN, "lab_name", "name", "status", "board", "test_group_id", "test_group_name"} - {"build_environment"}
)
COUNTED = ("boot", "build", "job", "test_case", "test_group")
"""The collections that /count knows."""

PLAIN_IDS = frozenset({"test_group"})
"""Collections whose documents have a plain string as id; the others' is `{"$oid": "..."}`."""


INDEXED: Mapping[str, str] = {
    "build": "defconfig_full",
    "boot": "device_type",
    "test_group": "device_type",
    "test_case": "test_group_id",
}
"""What the documents of a large collection are found by without looking at all of them; it never changes in one."""


def plain(value: object) -> object:
    """An id or a date without its wrapping."""
    if isinstance(value, dict):
        return value.get("$oid", value.get("$date", value))
    return value


def date(moment: datetime) -> Document:
    """The backend's form of a date: milliseconds since 1970."""
    return {"$date": int(moment.timestamp() * 1000)}


@dataclass(frozen=True, slots=True)
class Page:
    """`count` is of all that matched, `rows` what skip and limit left of them."""

    count: int
    skip: int
    limit: int
    rows: list[Document]


class Collections:
    """All documents, in the order of their ids. Not for several threads at once."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._numbers = count(1)
        self._rows: dict[str, dict[str, Document]] = {name: {} for name in FILTERS}
        self._indexed: dict[tuple[str, object], dict[str, Document]] = defaultdict(dict)

    def add(self, collection: str, values: Document) -> Document:
        """Append a document with a new id, which sorts after all older ones, and today's date."""
        number = f"{int(self._now().timestamp()):08x}{next(self._numbers):016x}"
        identity: object = number if collection in PLAIN_IDS else {"$oid": number}
        document = {"_id": identity, "created_on": date(self._now()), "version": "1.0", **values}
        self._rows[collection][number] = document
        if collection in INDEXED:
            self._indexed[collection, plain(document[INDEXED[collection]])][number] = document
        return document

    def find(self, collection: str, **wanted: object) -> list[Document]:
        """Every document with those values."""
        return list(self._found(collection, wanted))

    def first(self, collection: str, **wanted: object) -> Document | None:
        """The oldest document with those values."""
        return next(self._found(collection, wanted), None)

    def put(self, collection: str, key: Document, values: Document) -> Document:
        """Update the document with that key, as a re-run does, or add it."""
        found = self.first(collection, **key)
        if found is None:
            return self.add(collection, {**key, **values})
        found.update(values)
        return found

    def remove(self, collection: str, doomed: list[Document]) -> None:
        for row in doomed:
            number = str(plain(row["_id"]))
            del self._rows[collection][number]
            if collection in INDEXED:
                del self._indexed[collection, plain(row[INDEXED[collection]])][number]

    def _found(self, collection: str, wanted: Mapping[str, object]) -> Iterator[Document]:
        index = INDEXED.get(collection)
        known = self._rows[collection]
        if index is not None and index in wanted:
            known = self._indexed.get((collection, wanted[index]), {})
        return (row for row in known.values() if _has(row, wanted))

    def query(self, collection: str, values: Mapping[str, list[str]]) -> Page:
        """Answer a query string; ValueError if skip or limit is no number."""
        rows = [row for row in self._rows[collection].values() if _matches(row, values, FILTERS[collection])]
        order = -1 if values.get("sort_order", ["-1"])[-1] != "1" else 1
        for name in reversed(values.get("sort", [])):
            rows.sort(key=lambda row: (row.get(name) is not None, plain(row.get(name))), reverse=order < 0)
        skip, limit = int(values.get("skip", ["0"])[-1]), int(values.get("limit", ["0"])[-1])
        chosen = rows[skip : skip + limit if limit else None]
        return Page(len(rows), skip, limit, [_projected(row, values) for row in chosen])

    def count(self, collection: str, values: Mapping[str, list[str]]) -> int:
        """As /count answers: with its own list of filters."""
        return sum(_matches(row, values, COUNT_FILTERS) for row in self._rows[collection].values())


def _has(row: Document, wanted: Mapping[str, object]) -> bool:
    return all(plain(row.get(name)) == value for name, value in wanted.items())


def _matches(row: Document, values: Mapping[str, list[str]], known: frozenset[str]) -> bool:
    """Several values of one key mean any of them; an empty one means nothing; `null` means that there is none."""
    for name in known & values.keys():
        wanted = [None if value == "null" else value for value in values[name] if value]
        if wanted and plain(row.get(name)) not in wanted:
            return False
    return True


def _projected(row: Document, values: Mapping[str, list[str]]) -> Document:
    """`field` chooses, with the id always among the chosen; `nfield` leaves out, the id too."""
    chosen, left_out = set(values.get("field", [])), set(values.get("nfield", []))
    kept = {"_id", *chosen} if chosen else set(row)
    return {name: value for name, value in row.items() if name in kept - left_out}
