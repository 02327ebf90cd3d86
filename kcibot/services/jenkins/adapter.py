"""Jenkins as the `CiServer` port, on python-jenkins.

Own `tree=` requests instead of the library's methods: those take one request per node, miss what runs on one-off
executors, and read a 503 as "does not exist".
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from kcibot.core.ports import Build, BuildRef, CiLook, ItemState, JobState, Queued
from kcibot.errors import KcibotError, NotFound, OutcomeUnknown, PermanentError, TransientError
from kcibot.services.jenkins import parse

if TYPE_CHECKING:
    from kcibot.services.jenkins.http import Connection

TAIL_BYTES_PER_LINE = 400
CANCEL_ANSWERS = frozenset(
    {HTTPStatus.NO_CONTENT, HTTPStatus.FOUND, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.NOT_FOUND}
)
CHARACTER = re.compile(r"&#(?:x(?P<hex>[0-9a-fA-F]{1,6})|(?P<decimal>[0-9]{1,7}));")
NEWEST_IN_BUILDS = 100
"""Jenkins' `builds` has no more than these; `allBuilds` has them all and is slow."""


class JenkinsServer:
    """A Jenkins. `token` is asked at every request, so that a new one needs no restart; it is never shown."""

    def __init__(self, url: str, user: str, token: Callable[[], str], timeout_seconds: float = 10.0) -> None:
        self._access = (url, user, token, timeout_seconds)

    @cached_property
    def _connection(self) -> "Connection":
        from kcibot.services.jenkins.http import Connection  # noqa: PLC0415 (at first use: the bot starts without it)

        return Connection(*self._access)

    # ---- looking -----------------------------------------------------------------------------------------------

    def look(self) -> CiLook:
        """The queue first: an item that starts in between is then seen running."""
        queue, before = self._connection.look("queue/", "the queue", parse.QUEUE_TREE)
        computers, after = self._connection.look("computer/", "the executors", parse.COMPUTER_TREE)
        if before != after:
            raise TransientError("Jenkins restarted while it was looked at.")
        with _understood("the queue and the executors"):
            queued = parse.queue_items(queue)
            running = parse.busy_executors(computers)
            return CiLook(after, queued, running)

    def jobs(self) -> Mapping[str, JobState]:
        root, _ = self._connection.look("", "the list of jobs", parse.jobs_tree())
        with _understood("the list of jobs"):
            if "jobs" not in root:
                raise ValueError("no jobs")
            return {state.name: state for state in parse.jobs_below(root)}

    def job(self, name: str) -> JobState:
        data, _ = self._connection.look(parse.job_path(name), f"job {name}", parse.JOB_TREE)
        with _understood(f"job {name}"):
            return parse.job_state(data)

    def parameters(self, job: str) -> frozenset[str]:
        data, _ = self._connection.look(parse.job_path(job), f"job {job}", parse.PARAMETERS_TREE)
        with _understood(f"job {job}"):
            return parse.parameter_names(data)

    def item(self, item_id: int) -> ItemState:
        """FORGOTTEN is said of a healthy server only."""
        try:
            data, _ = self._connection.look(f"queue/item/{item_id}/", f"queue item {item_id}", parse.ITEM_TREE)
        except NotFound:
            return ItemState(Queued.FORGOTTEN)
        with _understood(f"queue item {item_id}"):
            return parse.item_state(data)

    def build(self, ref: BuildRef) -> Build:
        data, _ = self._connection.look(_build_path(ref), str(ref), parse.BUILD_FIELDS)
        with _understood(str(ref)):
            return parse.build(ref.job, data)

    def builds(self, job: str, newest: int = 50) -> tuple[Build, ...]:
        field = "builds" if newest <= NEWEST_IN_BUILDS else "allBuilds"
        tree = f"{field}[{parse.BUILD_FIELDS}]{{0,{newest}}}"
        what = f"the builds of {job}"

        def each(found: dict[str, Any]) -> object:
            """Two thousand builds in Jenkins' words take twenty megabytes: each is read as soon as it is complete."""
            with _understood(what):
                return parse.build(job, found) if "queueId" in found else found

        data, _ = self._connection.look(parse.job_path(job), what, tree, each)
        with _understood(what):
            return tuple(parse.one_of(Build, found) for found in parse.rows(data[field]))

    def log_tail(self, ref: BuildRef, lines: int = 20) -> tuple[str, ...]:
        """Reads the end of the log only, at most some kilobytes however long it is."""
        path = _build_path(ref) + "logText/progressiveText"
        what = f"the log of {ref}"
        start = max(0, self._connection.size_of_log(path, what) - lines * TAIL_BYTES_PER_LINE)
        text = self._connection.log_from(path, what, start).splitlines()
        return tuple((text[1:] if start and len(text) > lines else text)[-lines:])

    def definition(self, job: str) -> str:
        text = self._connection.fetch(parse.job_path(job) + "config.xml", f"the definition of {job}").text
        if _xml_problem(text):
            raise TransientError(f"Jenkins answered something that is not XML when asked for the definition of {job}.")
        return text

    def quieting_down(self) -> bool:
        """The root alone has this flag: by way of the nodes it costs every node of every label, once a node."""
        what = "its quiet-down flag"
        root, _ = self._connection.look("", what, parse.QUIETING_TREE)
        with _understood(what):
            return parse.quieting_down(root)

    def session(self) -> str:
        _, session = self._connection.look("", "its session", "mode")
        return session

    # ---- acting ------------------------------------------------------------------------------------------------

    def enable(self, name: str) -> None:
        self._connection.act(parse.job_path(name) + "enable", f"enabling {name}")

    def disable(self, name: str) -> None:
        self._connection.act(parse.job_path(name) + "disable", f"disabling {name}")

    def trigger(self, name: str, parameters: Mapping[str, str]) -> int:
        """A parameter that the job does not define is refused here: Jenkins would drop it silently.

        Parameters go in the body, so that they are in no access log.
        """
        what = f"the start of {name}"
        known = self.parameters(name)
        if unknown := sorted(set(parameters) - known):
            raise PermanentError(f"Jenkins job {name} has no parameter {', '.join(unknown)}; it was not started.")
        action = "buildWithParameters" if known else "build"
        answer = self._connection.act(
            parse.job_path(name) + action, what, form=parameters, accepted=frozenset({HTTPStatus.CREATED})
        )
        try:
            return parse.queue_id(answer.headers.get("Location", ""))
        except ValueError as error:
            raise OutcomeUnknown(f"Jenkins did not say which queue item {what} became.") from error

    def cancel(self, item_id: int) -> None:
        """Jenkins answers 500 for an item that left, which is then looked at, and 404 for one that it forgot."""
        what = f"cancelling queue item {item_id}"
        answer = self._connection.act("queue/cancelItem", what, query={"id": str(item_id)}, accepted=CANCEL_ANSWERS)
        if answer.status == HTTPStatus.NOT_FOUND:
            self._connection.confirm_health(f"queue item {item_id}")
        if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            self._confirm_left(item_id)

    def stop(self, ref: BuildRef) -> None:
        self._connection.act(_build_path(ref) + "stop", f"stopping {ref}")

    def define(self, job: str, xml: str) -> None:
        if problem := _xml_problem(xml):
            raise PermanentError(f"The new definition of {job} is no definition: {problem}")
        what = f"the new definition of {job}"
        try:
            self.job(job)
        except NotFound:
            self._create(job, xml, what)
        else:
            self._send_xml(parse.job_path(job) + "config.xml", what, xml)
        self._confirm_defined(job, what)

    def remove(self, job: str) -> None:
        """What has no builds of its own is a folder or a view, and is refused: it would take others with it."""
        try:
            self.job(job)
        except NotFound:
            return
        self._connection.act(parse.job_path(job) + "doDelete", f"deleting {job}")

    def quiet_down(self) -> None:
        self._connection.act("quietDown", "quieting down")

    def cancel_quiet_down(self) -> None:
        self._connection.act("cancelQuietDown", "the end of quieting down")

    def restart(self) -> None:
        self._connection.act("safeRestart", "a safe restart")

    def _create(self, job: str, xml: str, what: str) -> None:
        folder, _, short = job.rpartition("/")
        path = (parse.job_path(folder) if folder else "") + "createItem"
        self._send_xml(path, what, xml, {"name": short})

    def _send_xml(self, path: str, what: str, xml: str, query: Mapping[str, str] | None = None) -> None:
        """Jenkins answers a definition that it took with nothing; a page is somebody else's."""
        answer = self._connection.act(path, what, query=query, xml=xml, accepted=frozenset({HTTPStatus.OK}))
        if answer.text.strip():
            raise OutcomeUnknown(f"Jenkins answered 200 with a page: whether it took {what} is not known.")

    def _confirm_defined(self, job: str, what: str) -> None:
        """A 200 with an empty body could be anybody's: see that the job is there."""
        try:
            self.job(job)
        except KcibotError as error:
            raise OutcomeUnknown(f"Jenkins took {what}, but the job could not be seen afterwards.") from error

    def _confirm_left(self, item_id: int) -> None:
        try:
            state = self.item(item_id).state
        except KcibotError as error:
            raise OutcomeUnknown(f"Whether queue item {item_id} was cancelled is not known.") from error
        if state is Queued.WAITING:
            raise TransientError(f"Jenkins failed to cancel queue item {item_id}, which still waits.")


@contextmanager
def _understood(what: str) -> Iterator[None]:
    """An answer of another shape than the contract's is no answer: nothing is concluded from it."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TransientError(f"Jenkins' answer about {what} was not understood.") from error


def _build_path(ref: BuildRef) -> str:
    return f"{parse.job_path(ref.job)}{ref.number}/"


def _xml_problem(text: str) -> str:
    """Empty for well-formed XML that is no web page. Jenkins writes version 1.1, which the parser does not know."""
    declared = re.match(r"\s*<\?xml[^>]*\?>", text)
    plain = text[declared.end() :] if declared else text
    if declared and "1.1" in declared[0]:
        plain = CHARACTER.sub(_as_in_1_0, plain)
    try:
        root = ET.fromstring(plain)  # noqa: S314 (definitions of our own server)
    except ET.ParseError as error:
        return str(error)
    return "it is a web page" if root.tag == "html" else ""


def _as_in_1_0(match: re.Match[str]) -> str:
    """Version 1.1 allows any control character but 0 as a reference, as those of a coloured log; 1.0 only three."""
    code = int(match["hex"], 16) if match["hex"] else int(match["decimal"])
    return "?" if 0 < code < ord(" ") else match[0]
