"""Report mails: scheduled by /send, due after their delay, told by /report and handed to whoever delivers them."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta

from kcibot.core.ports import Revision
from kcibot.sandbox.results_api.documents import Collections, Document, date
from kcibot.sandbox.results_api.report_subjects import subject

MAX_DELAY_SECONDS = 18000
DEFAULT_DELAY_SECONDS = 3600
DUPLICATE_SECONDS = 86400
"""An identical request is refused for so long."""

_MANDATORY = ("job", "git_branch", "kernel")
_TYPES = ("build", "boot", "test", "bisect")
_IDENTITY = (*_MANDATORY, "send_to", "send_cc", "send_bcc", "in_reply_to", "subject", "format")


Mailed = Callable[[Revision, str, str, datetime], None]
"""Takes a mail that is sent: the revision, its kind, its subject, and when."""


def nobody(_revision: Revision, _kind: str, _subject: str, _at: datetime) -> None:
    """Keeps no mail."""


class BadReport(Exception):
    """The request makes no sense: 400."""


class Duplicate(Exception):
    """The same was asked for within a day: 409."""


class Reports:
    """The schedule. Not for several threads at once."""

    def __init__(self, collections: Collections, now: Callable[[], datetime], mailed: Mailed = nobody) -> None:
        self._collections = collections
        self._now = now
        self._mailed = mailed
        self._asked: dict[str, datetime] = {}
        self._due: list[tuple[datetime, Revision, str, str]] = []

    def send(self, body: Document) -> str:
        """Schedule a report; what the backend says about it."""
        missing = [name for name in _MANDATORY if not body.get(name)]
        if missing:
            raise BadReport(f"Missing mandatory key(s): {', '.join(missing)}")
        kind = _kind(body)
        if not body.get("send_to") and not body.get(f"{kind}_send_to"):
            raise BadReport(f"No {kind} email reports scheduled to be sent")
        self._refuse_duplicate(body, kind)
        revision = Revision(body["job"], body["git_branch"], body["kernel"])
        due = self.schedule(revision, kind, str(body.get("plan", "")), timedelta(seconds=_delay(body)))
        return f"{kind} email report scheduled to be sent at '{due.isoformat()}' UTC"

    def schedule(self, revision: Revision, kind: str, plan: str, delay: timedelta) -> datetime:
        """Send it after the delay; when that will be."""
        due = self._now() + delay
        self._due.append((due, revision, kind, plan))
        return due

    def deliver(self) -> None:
        """Send what has become due."""
        now = self._now()
        for due, revision, kind, plan in self._due:
            if due <= now:
                self._send(revision, kind, plan, due)
        self._due = [waiting for waiting in self._due if waiting[0] > now]

    def _send(self, revision: Revision, kind: str, plan: str, at: datetime) -> None:
        """A plan of which there is nothing to say has no mail, and leaves the entry as it was."""
        text = subject(self._collections, revision, kind, plan)
        if text:
            self._mailed(revision, kind, text, at)
        if text or not plan:
            self.add(revision, kind, "SENT")

    def add(self, revision: Revision, kind: str, status: str, errors: tuple[str, ...] = ()) -> None:
        """One document per revision and type: a later one overwrites it."""
        key: Document = {"name": f"{revision.tree}-{revision.branch}-{revision.kernel}", "type": kind}
        values: Document = {
            **revision_fields(revision),
            "status": status,
            "errors": list(errors),
            "updated_on": date(self._now()),
        }
        self._collections.put("report", key, values)

    def _refuse_duplicate(self, body: Document, kind: str) -> None:
        identity = [body.get(name) for name in _IDENTITY] + [body.get("plan", kind)]
        digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        last = self._asked.get(digest)
        if last is not None and self._now() - last < timedelta(seconds=DUPLICATE_SECONDS):
            raise Duplicate("Email request already registered")
        self._asked[digest] = self._now()


def revision_fields(revision: Revision) -> Document:
    """A revision in the backend's words."""
    return {"job": revision.tree, "git_branch": revision.branch, "kernel": revision.kernel}


def _kind(body: Document) -> str:
    """The report's type; the older of the two ways to say it wins, as in the backend."""
    for kind in ("boot", "build"):
        if body.get(f"{kind}_report"):
            return kind
    kind = str(body.get("report_type", ""))
    if kind not in _TYPES:
        raise BadReport(f"Invalid report type: {kind}.  Valid values are: {', '.join(_TYPES)}")
    return kind


def _delay(body: Document) -> int:
    try:
        return min(abs(int(body.get("delay", DEFAULT_DELAY_SECONDS))), MAX_DELAY_SECONDS)
    except (TypeError, ValueError):
        raise BadReport(f"Wrong value specified for 'delay': {body['delay']}") from None
