"""What the core and the commands need from the outside world, as protocols.

Every method may raise the errors of `kcibot.errors` and nothing else. Two rules hold for all of them. A method that
acts raises `TransientError` or `PermanentError` only if it certainly had no effect; if it may have had one, it raises
`OutcomeUnknown`. A method that looks never answers "no" for "I could not see": it raises.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from kcibot.core.message import Incoming, MessageRef, Place
from kcibot.core.notice import Notice

# ---- time and cancelling ---------------------------------------------------------------------------------------


class Clock(Protocol):
    """The time, and the time that waits are measured by."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        ...

    def cautious_now(self) -> datetime:
        """UTC that never runs ahead of the time really elapsed: a clock jump lengthens a wait, never shortens it."""
        ...


class Cancellation(Protocol):
    """Asked by long actions between their parts and while they wait."""

    @property
    def cancelled(self) -> bool: ...

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; true at once when cancelled."""
        ...


class Never:
    """A cancellation that never comes."""

    cancelled = False

    def wait(self, seconds: float) -> bool:
        """Not for waiting: answers at once that nobody cancelled."""
        return False


Report = Callable[[str], None]
"""Takes one short line of progress; must not raise."""


def ignore_report(_line: str) -> None:
    """A report nobody reads."""


# ---- chat ------------------------------------------------------------------------------------------------------


class Inbox(Protocol):
    """Where an adapter puts what it hears."""

    def accept(self, event: Incoming) -> bool:
        """Store the event durably; false if it was stored before. Only after this may the network be acknowledged."""
        ...

    def last_event(self, network: str) -> str | None:
        """Id of the newest stored event of that network, in the order in which they were accepted."""
        ...


class ChatAdapter(Protocol):
    """One chat network. `post` and `edit` are called by one sender thread per network."""

    network: str

    def start(self, inbox: Inbox) -> None:
        """Connect and listen on a thread of its own; missed events are delivered where the network keeps them."""
        ...

    def stop(self) -> None: ...

    def post(self, place: Place, notice: Notice, key: str) -> MessageRef:
        """Say it once. `key` identifies the message for `find`, and is not shown."""
        ...

    def edit(self, ref: MessageRef, notice: Notice) -> None: ...

    def find(self, place: Place, key: str) -> MessageRef | None:
        """The message posted under `key`, or None if there certainly is none."""
        ...


# ---- continuous integration server (Jenkins) -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BuildRef:
    """One build: `job` is the full name (`folder/job`), `number` is counted by the job."""

    job: str
    number: int

    def __str__(self) -> str:
        return f"{self.job} #{self.number}"


@dataclass(frozen=True, slots=True)
class QueueItem:
    """Something waiting for its turn. `why` is the server's reason; it is not a cause (see the recorded contract)."""

    item_id: int
    job: str
    why: str
    since: datetime
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Busy:
    """An executor that is not idle. `build` is None when it does not say what it runs: busy all the same."""

    node: str
    build: BuildRef | None
    since: datetime | None
    estimated_seconds: float | None


@dataclass(frozen=True, slots=True)
class CiLook:
    """One look at the whole server: the queue was read before the executors. `session` changes at every start."""

    session: str
    queued: tuple[QueueItem, ...]
    running: tuple[Busy, ...]
    quieting_down: bool = False


@dataclass(frozen=True, slots=True)
class JobState:
    """`next_build` moves by one with every build that starts; `buildable` is false for disabled and fresh copies."""

    name: str
    disabled: bool
    buildable: bool
    next_build: int
    last_build: int | None


class BuildResult(StrEnum):
    """How a build ended, in Jenkins' words."""

    SUCCESS = "SUCCESS"
    UNSTABLE = "UNSTABLE"
    FAILURE = "FAILURE"
    ABORTED = "ABORTED"
    NOT_BUILT = "NOT_BUILT"


@dataclass(frozen=True, slots=True)
class Build:
    """A build as the server describes it; `upstream` caused it. While it runs `result` is None and `seconds` is 0."""

    ref: BuildRef
    building: bool
    result: BuildResult | None
    started: datetime
    seconds: float
    queue_id: int
    parameters: Mapping[str, str]
    upstream: BuildRef | None
    url: str
    artifacts: tuple[str, ...] = ()


class Queued(StrEnum):
    """What became of a queue item."""

    WAITING = "waiting"
    LEAVING = "leaving"
    STARTED = "started"
    CANCELLED = "cancelled"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class ItemState:
    """`build` is set when `state` is STARTED. FORGOTTEN: left more than 300 s ago, look for the build by queue id."""

    state: Queued
    build: BuildRef | None = None


class CiServer(Protocol):
    """A Jenkins."""

    def look(self) -> CiLook:
        """Two requests however many nodes there are: the queue, then all executors with one-off executors."""
        ...

    def jobs(self) -> Mapping[str, JobState]:
        """Every job, by full name: one request."""
        ...

    def job(self, name: str) -> JobState:
        """Raises NotFound only on a positive answer of a healthy server."""
        ...

    def enable(self, name: str) -> None: ...

    def disable(self, name: str) -> None: ...

    def trigger(self, name: str, parameters: Mapping[str, str]) -> int:
        """Id of the queue item. A lost answer is OutcomeUnknown: find the build by its parameters.

        A parameter that the job does not define is refused: Jenkins would drop it silently.
        """
        ...

    def item(self, item_id: int) -> ItemState: ...

    def cancel(self, item_id: int) -> None:
        """Cancel a queue item; one that already left is no error."""
        ...

    def build(self, ref: BuildRef) -> Build: ...

    def builds(self, job: str, newest: int = 50) -> tuple[Build, ...]:
        """The newest builds of a job, newest first: one ranged request."""
        ...

    def stop(self, ref: BuildRef) -> None: ...

    def log_tail(self, ref: BuildRef, lines: int = 20) -> tuple[str, ...]: ...

    def definition(self, job: str) -> str:
        """The job's config.xml."""
        ...

    def define(self, job: str, xml: str) -> None:
        """Create the job, or replace its config.xml."""
        ...

    def quiet_down(self) -> None: ...

    def cancel_quiet_down(self) -> None: ...

    def restart(self) -> None:
        """Ask for a safe restart; `session()` tells when it is back."""
        ...

    def session(self) -> str: ...


# ---- git -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit; `sha` is always 40 hexadecimal digits."""

    sha: str
    author: str
    at: datetime
    subject: str
    body: str = ""


@dataclass(frozen=True, slots=True)
class TagRef:
    """A tag on the remote. `object_id` is the tag object (equal to `target` if lightweight), `target` is peeled."""

    name: str
    object_id: str
    target: str


@dataclass(frozen=True, slots=True)
class LostCommit:
    """A commit that only the old side has. `twin` is an equal patch on the other side, if there is one."""

    commit: Commit
    twin: str | None


@dataclass(frozen=True, slots=True)
class ChangedPath:
    """`status` is git's letter (A, M, D, R); `old` is the former name of a rename."""

    status: str
    path: str
    old: str = ""


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """Set `ref` (a full name, refs/heads/x) to `new`, provided that it is at `expected` (None: must not exist)."""

    ref: str
    new: str
    expected: str | None


class GitRemote(Protocol):
    """One repository on its server, with a local mirror that `fetch` brings up to date. Commits are full object ids."""

    name: str

    def fetch(self) -> None: ...

    def branches(self) -> Mapping[str, str]:
        """Branch name -> commit, asked of the server now."""
        ...

    def tags(self) -> tuple[TagRef, ...]:
        """All tags, asked of the server now."""
        ...

    def log(self, old: str, new: str) -> tuple[Commit, ...]:
        """Commits in `new` and not in `old`, newest first, merges left out."""
        ...

    def lost(self, old: str, new: str) -> tuple[LostCommit, ...]:
        """Commits in `old` that `new` would lose."""
        ...

    def changed_paths(self, old: str, new: str) -> tuple[ChangedPath, ...]: ...

    def diff(self, old: str, new: str, path: str = "") -> str:
        """A unified diff, of one path if given."""
        ...

    def read(self, commit: str, path: str) -> str:
        """A file's text; NotFound if the commit has no such path."""
        ...

    def document(self, commit: str, path: str) -> object:
        """A YAML file as plain values: mappings, lists, strings, numbers. PermanentError if it cannot be parsed."""
        ...

    def paths(self, commit: str, under: str = "") -> tuple[str, ...]:
        """All files below a folder of that commit."""
        ...

    def commit(self, parent: str, files: Mapping[str, str], message: str, at: datetime) -> str:
        """Make a commit on `parent` with those files' new texts, in the local mirror only. Same input, same id."""
        ...

    def cherry_pick(self, commit: str, onto: str, at: datetime) -> str:
        """Apply one commit onto another, in the local mirror only; PermanentError names the conflicting paths."""
        ...

    def annotate(self, name: str, commit: str, message: str, at: datetime) -> str:
        """Make an annotated tag object in the local mirror only; its id. Same input, same id."""
        ...

    def push(self, updates: Sequence[RefUpdate]) -> None:
        """All or nothing, each by an explicit lease. A moved lease or a refusal is PermanentError, naming which."""
        ...

    def checkout(self, commit: str, into: Path) -> None:
        """Write that commit's files into an empty folder."""
        ...


class GitHost(Protocol):
    """The configured repositories by name."""

    def remote(self, name: str) -> GitRemote: ...

    def names(self) -> tuple[str, ...]: ...


# ---- deployments (Ansible) -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deployment:
    """One run of a playbook, in the words of `ansible-playbook`'s own options."""

    folder: Path
    playbook: str
    inventory: str
    limit: str
    tags: tuple[str, ...] = ()
    skip_tags: tuple[str, ...] = ()
    extra_vars: Mapping[str, str] = field(default_factory=dict)
    diff: bool = True
    check: bool = False
    become: bool = True
    ask_become_pass: bool = False
    private_key: str = ""


@dataclass(frozen=True, slots=True)
class DeployResult:
    """Counts over all hosts, and every line that the playbook's handlers and changes are worth saying in."""

    ok: int
    changed: int
    changes: tuple[str, ...] = ()
    handlers: tuple[str, ...] = ()


class Deployer(Protocol):
    """Runs playbooks."""

    def command(self, deployment: Deployment) -> tuple[str, ...]:
        """The exact argv that `deploy` will use, without secrets."""
        ...

    def deploy(self, deployment: Deployment, report: Report, cancellation: Cancellation) -> DeployResult:
        """A failed task, named with its host, is PermanentError if nothing changed before it, else OutcomeUnknown."""
        ...


# ---- images (Docker) -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ImageBuild:
    """What to build: `context` is a folder holding a Dockerfile."""

    name: str
    context: Path
    no_cache: bool = True


class ImageRegistry(Protocol):
    """Builds images on an engine and moves them to and from a registry. Digests are `sha256:` + 64 hex digits."""

    def build(self, build: ImageBuild, report: Report) -> str:
        """The local image id, after every line of the stream was read without an error in it."""
        ...

    def local_id(self, name: str) -> str | None: ...

    def digest(self, name: str) -> str | None:
        """The registry's digest of the name's `latest`, None if the registry says that it has none."""
        ...

    def push(self, name: str, report: Report) -> str:
        """The pushed digest, as the stream named it."""
        ...

    def pushed_digest(self, name: str) -> str | None:
        """The digest under which the engine's local image of that name is known to the registry, if it is."""
        ...

    def pullable(self, name: str, digest: str) -> None:
        """Prove that this very digest can be pulled; raises if not."""
        ...

    def retag(self, name: str, digest: str) -> None:
        """Make `latest` that older digest again, in the registry."""
        ...


# ---- mail ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to be sent. `message_id` is made beforehand, so that a repeated one can be recognised."""

    message_id: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    date: datetime


class Sent(StrEnum):
    """What can be known about a mail that may have gone out."""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot tell"


class Mailer(Protocol):
    """Hands mails to the list's server."""

    def send(self, mail: Mail) -> None:
        """Returns when the server accepted the mail for every recipient; refused ones are named in PermanentError."""
        ...

    def sent(self, message_id: str) -> Sent:
        """Look for it in the sent folder or the list's archive, where one is configured."""
        ...


# ---- results and files -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Revision:
    """One kernel revision as the backend names it."""

    tree: str
    branch: str
    kernel: str


class RevisionStatus(StrEnum):
    """Of a revision's builds: BUILD until all are done, then PASS or FAIL."""

    BUILD = "BUILD"
    PASS = "PASS"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class KernelResult:
    """One built kernel: `status` is PASS, FAIL or UNKNOWN."""

    arch: str
    defconfig: str
    environment: str
    status: str


@dataclass(frozen=True, slots=True)
class TestResult:
    """Results of one test plan on one device in one lab."""

    lab: str
    device: str
    plan: str
    passed: int
    failed: int


class ResultsApi(Protocol):
    """The KernelCI backend's API, and the version pages of what is deployed."""

    def version(self, component: str) -> str:
        """What is really running, asked of the deployed component itself."""
        ...

    def revision_status(self, revision: Revision) -> RevisionStatus:
        """NotFound while the backend has not heard of the revision."""
        ...

    def kernels(self, revision: Revision) -> tuple[KernelResult, ...]: ...

    def tests(self, revision: Revision) -> tuple[TestResult, ...]: ...

    def reports(self, revision: Revision) -> Mapping[str, str]:
        """Report type -> SENT or ERROR."""
        ...

    def queue_alive(self) -> bool:
        """True if a task queued now was consumed: the worker really runs."""
        ...


class FileStore(Protocol):
    """The file server (storage.kernelci.org)."""

    def exists(self, url: str) -> bool:
        """HEAD: 200 is true, 404 is false, anything else raises."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Every service that a step may use."""

    ci: CiServer
    git: GitHost
    deployer: Deployer
    images: ImageRegistry
    mailer: Mailer
    results: ResultsApi
    files: FileStore
