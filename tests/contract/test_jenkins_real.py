"""The Jenkins adapter on any Jenkins: what needs only the port, and time.

Asked of the stand-in, and also of a real server if KCIBOT_TEST_JENKINS names one (http://user:token@host:port/).
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kcibot.core.ports import BuildRef, BuildResult, ItemState, Queued, QueueItem
from kcibot.errors import NotFound, PermanentError
from kcibot.services.jenkins.adapter import JenkinsServer
from tests.contract.jenkins.definitions import freestyle, project
from tests.contract.jenkins.on_real_server import access, real_server
from tests.contract.jenkins.on_stand_in import stand_in
from tests.contract.jenkins.subject import Subject, Work, eventually

REAL_SERVER = access()
UNTIL_FORGOTTEN = 301.0
REAL = pytest.param("real server", marks=[pytest.mark.slow, pytest.mark.timeout(2 * UNTIL_FORGOTTEN)])
SUBJECTS = ["stand-in", REAL] if REAL_SERVER else ["stand-in"]


@pytest.fixture(params=SUBJECTS)
def jenkins(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    real = REAL_SERVER if request.param == "real server" else None
    with real_server(real) if real else stand_in(tmp_path) as subject:
        subject.job("free", "<project/>", Work(60))
        subject.job("pipe", subject.parametrised("A", "B"), Work(600))
        yield subject


@pytest.fixture
def server(jenkins: Subject) -> JenkinsServer:
    return jenkins.adapter()


@pytest.fixture
def free(jenkins: Subject) -> str:
    return jenkins.names.job("free")


@pytest.fixture
def pipe(jenkins: Subject) -> str:
    return jenkins.names.job("pipe")


def queued(jenkins: Subject, server: JenkinsServer) -> list[QueueItem]:
    return [item for item in server.look().queued if item.job.startswith(jenkins.names.prefix)]


def started(jenkins: Subject, server: JenkinsServer, item: int) -> BuildRef:
    return eventually(jenkins, lambda: server.item(item).build)


def ended(jenkins: Subject, server: JenkinsServer, ref: BuildRef) -> BuildResult:
    eventually(jenkins, lambda: server.job(ref.job).next_build > ref.number)
    return eventually(jenkins, lambda: server.build(ref).result)


# ---- looking ---------------------------------------------------------------------------------------------------


def test_a_look_names_the_session(server: JenkinsServer) -> None:
    assert server.look().session == server.session() != ""


def test_a_waiting_item_is_seen_with_its_job_reason_and_parameters(
    jenkins: Subject, server: JenkinsServer, pipe: str
) -> None:
    number = server.trigger(pipe, {"A": "x y&z"})
    (item,) = queued(jenkins, server)
    assert (item.item_id, item.job, dict(item.parameters)) == (number, pipe, {"A": "x y&z", "B": "b"})
    assert item.why.startswith("In the quiet period.")


def test_a_running_build_is_seen_with_its_start(jenkins: Subject, server: JenkinsServer, free: str) -> None:
    ref = started(jenkins, server, server.trigger(free, {}))
    (busy,) = (busy for busy in server.look().running if busy.build == ref)
    assert ref == BuildRef(free, 1)
    assert busy.since is not None
    assert busy.estimated_seconds is None


def test_all_jobs_are_seen_as_each_of_them_is(jenkins: Subject, server: JenkinsServer) -> None:
    jenkins.job("off", project(more="<disabled>true</disabled>"), Work())
    jobs = {name: job for name, job in server.jobs().items() if name.startswith(jenkins.names.prefix)}
    assert set(jobs) == {jenkins.names.job(name) for name in ("free", "pipe", "off")}
    assert [jobs[jenkins.names.job(name)].disabled for name in ("free", "pipe", "off")] == [False, False, True]
    assert all(server.job(name) == job for name, job in jobs.items())


def test_a_job_counts_its_builds(jenkins: Subject, server: JenkinsServer, free: str) -> None:
    assert (server.job(free).next_build, server.job(free).last_build) == (1, None)
    started(jenkins, server, server.trigger(free, {}))
    assert (server.job(free).next_build, server.job(free).last_build) == (2, 1)


def test_what_is_not_there_is_not_found(jenkins: Subject, server: JenkinsServer, free: str) -> None:
    with pytest.raises(NotFound, match="nope"):
        server.job(jenkins.names.job("nope"))
    with pytest.raises(NotFound, match="#99"):
        server.build(BuildRef(free, 99))


# ---- builds ----------------------------------------------------------------------------------------------------


def test_a_build_tells_its_parameters_its_result_its_queue_item_and_its_artifacts(
    jenkins: Subject, server: JenkinsServer
) -> None:
    jenkins.job("shaky", jenkins.parametrised("A"), Work(0.1))
    jenkins.job("archive", project(), Work(0.1, artifact="hello", unstable=True))
    plain, archive = jenkins.names.job("shaky"), jenkins.names.job("archive")
    items = server.trigger(plain, {"A": "7"}), server.trigger(archive, {})
    assert ended(jenkins, server, started(jenkins, server, items[0])) is BuildResult.SUCCESS
    assert ended(jenkins, server, started(jenkins, server, items[1])) is BuildResult.UNSTABLE
    first, second = server.build(BuildRef(plain, 1)), server.build(BuildRef(archive, 1))
    assert (first.building, dict(first.parameters), first.upstream) == (False, {"A": "7"}, None)
    assert (first.queue_id, second.queue_id) == items
    assert (first.artifacts, second.artifacts) == ((), ("out.txt",))
    assert first.url.endswith(f"/job/{plain}/1/")


def test_a_build_names_the_build_that_caused_it(jenkins: Subject, server: JenkinsServer) -> None:
    after = "<hudson.tasks.BuildTrigger><childProjects>down</childProjects></hudson.tasks.BuildTrigger>"
    jenkins.job("down", project(more="<quietPeriod>0</quietPeriod>"), Work(0.1))
    jenkins.job("up", project(more=f"<publishers>{after}</publishers>"), Work(0.1))
    up, down = jenkins.names.job("up"), jenkins.names.job("down")
    assert ended(jenkins, server, started(jenkins, server, server.trigger(up, {}))) is BuildResult.SUCCESS
    eventually(jenkins, lambda: server.job(down).last_build)
    assert server.build(BuildRef(down, 1)).upstream == BuildRef(up, 1)


def test_the_newest_builds_come_first(jenkins: Subject, server: JenkinsServer) -> None:
    jenkins.job("often", freestyle({"A": "a"}), Work(0.1))
    often = jenkins.names.job("often")
    for number in range(1, 6):
        jenkins.trigger("often", {"A": str(number)}, 0.0)
        ended(jenkins, server, BuildRef(often, number))
    builds = server.builds(often, newest=3)
    assert [(build.ref.number, dict(build.parameters)) for build in builds] == [
        (5, {"A": "5"}),
        (4, {"A": "4"}),
        (3, {"A": "3"}),
    ]


def test_the_end_of_a_long_log_is_read_without_the_rest(jenkins: Subject, server: JenkinsServer) -> None:
    jenkins.job("chatty", project(), Work(1, lines=5000))
    ref = started(jenkins, server, server.trigger(jenkins.names.job("chatty"), {}))
    ended(jenkins, server, ref)
    assert server.log_tail(ref, lines=3) == ("line 4998", "line 4999", "Finished: SUCCESS")
    assert server.log_tail(ref, lines=1000)[0] == "line 4001"


def test_a_stopped_build_ends_aborted(jenkins: Subject, server: JenkinsServer, pipe: str) -> None:
    ref = started(jenkins, server, server.trigger(pipe, {}))
    server.stop(ref)
    assert ended(jenkins, server, ref) is BuildResult.ABORTED


# ---- acting ----------------------------------------------------------------------------------------------------


def test_an_item_is_followed_from_the_quiet_period_to_its_build_and_into_oblivion(
    jenkins: Subject, server: JenkinsServer, free: str
) -> None:
    number = server.trigger(free, {})
    assert server.item(number) == ItemState(Queued.WAITING)
    started(jenkins, server, number)
    assert server.item(number) == ItemState(Queued.STARTED, BuildRef(free, 1))
    jenkins.pass_time(UNTIL_FORGOTTEN)
    assert server.item(number) == ItemState(Queued.FORGOTTEN)


def test_a_parameter_that_the_job_has_not_is_refused(jenkins: Subject, server: JenkinsServer, pipe: str) -> None:
    with pytest.raises(PermanentError, match="no parameter TYPO"):
        server.trigger(pipe, {"TYPO": "1"})
    assert queued(jenkins, server) == []


def test_equal_requests_merge_into_one_item(server: JenkinsServer, pipe: str) -> None:
    assert server.trigger(pipe, {"A": "a"}) == server.trigger(pipe, {})


def test_a_disabled_job_cannot_be_started_and_says_so(server: JenkinsServer, pipe: str) -> None:
    server.disable(pipe)
    assert server.job(pipe).disabled
    with pytest.raises(PermanentError, match="disabled"):
        server.trigger(pipe, {})
    server.enable(pipe)
    assert not server.job(pipe).disabled
    assert server.trigger(pipe, {})


def test_cancelling_is_idempotent(jenkins: Subject, server: JenkinsServer, free: str) -> None:
    number = server.trigger(free, {})
    server.cancel(number)
    assert server.item(number) == ItemState(Queued.CANCELLED)
    server.cancel(number)
    server.cancel(jenkins.unknown_item(4711))
    left = server.trigger(free, {})
    started(jenkins, server, left)
    server.cancel(left)
    assert server.build(BuildRef(free, 1)).building


def test_a_definition_is_created_read_back_and_replaced(jenkins: Subject, server: JenkinsServer) -> None:
    new = jenkins.names.job("new")
    server.define(new, jenkins.parametrised("X"))
    assert "<name>X</name>" in server.definition(new)
    server.define(new, jenkins.parametrised("Y"))
    assert "<name>Y</name>" in server.definition(new)
    with pytest.raises(PermanentError, match="no definition"):
        server.define(new, "<flow-definition>")
    with pytest.raises(PermanentError, match="unsafe character"):
        server.define(jenkins.names.job("a?b"), jenkins.parametrised())
