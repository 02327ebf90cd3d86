"""What the KernelCI API answers with, as far as the bot reads it: documents are checked here, at the border."""

from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from kcibot.core.ports import KernelResult, KnownRevision, Revision, RevisionStatus
from kcibot.errors import PermanentError


def plain_id(value: object) -> object:
    """The backend writes ids as `{"$oid": "..."}`, or, in some collections, plain."""
    return value["$oid"] if isinstance(value, dict) and "$oid" in value else value


def _moment(value: object) -> object:
    """The backend writes dates as `{"$date": milliseconds since 1970}`."""
    milliseconds = value.get("$date") if isinstance(value, dict) else None
    if not isinstance(milliseconds, int | float):
        raise ValueError("not a date of the backend's")  # noqa: TRY004 (pydantic wants it so)
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


ObjectId = Annotated[str, BeforeValidator(plain_id)]
Moment = Annotated[datetime, BeforeValidator(_moment)]


class Envelope(BaseModel):
    """`count` is of all that matched, up to the backend of 2019; of the rows on this page, in later ones."""

    code: int
    count: int | None = None
    reason: str = ""
    result: list[dict[str, object]] = []


class BranchRow(BaseModel):
    """What every document of a branch says about itself."""

    job: str
    git_branch: str

    def is_of_branch(self, tree: str, branch: str) -> bool:
        return (self.job, self.git_branch) == (tree, branch)


class Row(BranchRow):
    """What every document of a revision says about itself."""

    kernel: str

    def is_of(self, revision: Revision) -> bool:
        return self.is_of_branch(revision.tree, revision.branch) and self.kernel == revision.kernel


class Job(Row):
    status: RevisionStatus


class DatedJob(Job):
    created_on: Moment

    @property
    def known(self) -> KnownRevision:
        return KnownRevision(Revision(self.job, self.git_branch, self.kernel), self.status, self.created_on)


class BuildStatus(Row):
    """A build as far as it is counted."""

    status: Literal["PASS", "FAIL", "UNKNOWN"]


class Build(BuildStatus):
    arch: str
    defconfig_full: str
    build_environment: str
    warnings: int | None = None
    file_server_url: str | None = None
    file_server_resource: str | None = None
    build_log: str | None = None

    def result(self, file_server: str) -> KernelResult:
        """`file_server` serves the logs of builds that name no server, which is the usual case."""
        return KernelResult(
            self.arch,
            self.defconfig_full,
            self.build_environment,
            self.status,
            self.warnings or 0,
            self._log(self.file_server_url or file_server),
        )

    def _log(self, server: str) -> str:
        parts = (server.rstrip("/"), (self.file_server_resource or "").strip("/"), self.build_log or "")
        return "/".join(parts) if all(parts) else ""


class Boot(Row):
    lab_name: str
    device_type: str
    status: Literal["PASS", "FAIL", "OFFLINE", "UNTRIED"]


class BootPlace(Row):
    """A boot as far as it is counted."""

    lab_name: str
    status: Literal["PASS", "FAIL", "OFFLINE", "UNTRIED"]


class GroupPlace(Row):
    """A test group as far as it is counted: one that has a parent is a part of a plan."""

    lab_name: str
    parent_id: Annotated[str | None, BeforeValidator(plain_id)] = None

    @property
    def is_plan(self) -> bool:
        return self.parent_id is None


class Group(GroupPlace):
    id: ObjectId = Field(alias="_id")
    name: str
    device_type: str | None = None


class Report(BaseModel):
    git_branch: str | None = None
    type: str
    status: str


class Case(BaseModel):
    name: str
    test_group_id: ObjectId
    status: Literal["PASS", "FAIL", "SKIP", "ERROR"]


class Version(BaseModel):
    version: str = Field(min_length=1)


class Ping(BaseModel):
    id: str
    state: Literal["done", "pending"] = "pending"


Document = TypeVar("Document", bound=BaseModel)


def valid(kind: type[Document], found: dict[str, object], what: str) -> Document:
    """The document, or PermanentError that names what is wrong with it."""
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
        raise PermanentError(f"{what} is not as expected: {wrong}.") from error


def one(kind: type[Document], envelope: Envelope, what: str) -> Document:
    """The only document of an answer; PermanentError if there are others or none."""
    if len(envelope.result) != 1:
        raise PermanentError(f"{what} answered with {len(envelope.result)} results instead of one.")
    return valid(kind, envelope.result[0], what)
