"""What the core and the commands need from the outside world, as protocols.

Every method may raise the errors of `kcibot.errors` and nothing else. Two rules hold for all of them. A method that
acts raises `TransientError` or `PermanentError` only if it certainly had no effect; if it may have had one, it raises
`OutcomeUnknown`. A method that looks never answers "no" for "I could not see": it raises.
"""

from dataclasses import dataclass

from kcibot.core.ports.basics import Cancellation, Clock, Never, Report, ignore_report
from kcibot.core.ports.chat import ChatAdapter, Inbox, Listener, Reaction
from kcibot.core.ports.ci import (
    Build,
    BuildRef,
    BuildResult,
    Busy,
    CiLook,
    CiServer,
    ItemState,
    JobState,
    Queued,
    QueueItem,
)
from kcibot.core.ports.deployer import Answer, Deployer, Deployment, DeployResult
from kcibot.core.ports.git import ChangedPath, Commit, GitHost, GitRemote, LostCommit, RefUpdate, TagRef
from kcibot.core.ports.images import Base, ImageBuild, ImageRegistry, Origin
from kcibot.core.ports.labs import Device, DeviceStatus, Lab, LabJobState, LabLook, OpenJob
from kcibot.core.ports.mailer import Mail, Mailer, ReportInbox, ReportMail, Sent
from kcibot.core.ports.results import (
    FileStore,
    KernelResult,
    KnownRevision,
    ResultsApi,
    Revision,
    RevisionStatus,
    Standing,
    TestResult,
)
from kcibot.core.ports.tracker import IssueTracker

__all__ = [
    "Answer",
    "Base",
    "Build",
    "BuildRef",
    "BuildResult",
    "Busy",
    "Cancellation",
    "ChangedPath",
    "ChatAdapter",
    "CiLook",
    "CiServer",
    "Clock",
    "Commit",
    "DeployResult",
    "Deployer",
    "Deployment",
    "Device",
    "DeviceStatus",
    "FileStore",
    "GitHost",
    "GitRemote",
    "ImageBuild",
    "ImageRegistry",
    "Inbox",
    "IssueTracker",
    "ItemState",
    "JobState",
    "KernelResult",
    "KnownRevision",
    "Lab",
    "LabJobState",
    "LabLook",
    "Listener",
    "LostCommit",
    "Mail",
    "Mailer",
    "Never",
    "OpenJob",
    "Origin",
    "Ports",
    "QueueItem",
    "Queued",
    "Reaction",
    "RefUpdate",
    "Report",
    "ReportInbox",
    "ReportMail",
    "ResultsApi",
    "Revision",
    "RevisionStatus",
    "Sent",
    "Standing",
    "TagRef",
    "TestResult",
    "ignore_report",
]


@dataclass(frozen=True, slots=True)
class Ports:
    """Every service that a step may use. There is no `tracker`, no `report_inbox` where none is configured."""

    ci: CiServer
    git: GitHost
    deployer: Deployer
    images: ImageRegistry
    mailer: Mailer
    results: ResultsApi
    files: FileStore
    labs: tuple[Lab, ...] = ()
    tracker: IssueTracker | None = None
    report_inbox: ReportInbox | None = None
