"""The adapter of LAVA labs, against the sandbox's lab over real HTTP: as time passes, and as jobs move meanwhile."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.ports.labs import DeviceStatus, Lab, LabJobState, LabLook
from kcibot.errors import TransientError
from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.http import Request, Response, StandIn
from kcibot.sandbox.labs import FINISHED, LavaStandIn
from kcibot.services.lava import xmlrpc as lava_xmlrpc
from tests.contract.lava_contract import APIS, NAME, TOKEN, USER, Api, LavaContract, lab_at


class StandInWorld:
    """The stand-in, told in the contract's words what is in it."""

    def __init__(self, server: LavaStandIn) -> None:
        self.server = server
        self.url = server.url

    def submit(self, user: str, device_type: str, description: str) -> str:
        return str(self.server.submit(description, device_type, submitter=user))

    def submit_many(self, user: str, device_type: str, count: int) -> None:
        for _ in range(count):
            self.submit(user, device_type, "one of many")

    def put(self, ident: str, state: str) -> None:
        self.server.hold(int(ident), state)

    def add_device(self, name: str, device_type: str, state: str, health: str) -> None:
        if health == "Retired":
            return  # the stand-in never tells about them, as LAVA does not
        fit = state != "Idle" or health in {"Good", "Unknown"}
        self.server.add_device(name, device_type, DeviceStatus(state.lower()) if fit else DeviceStatus.OFFLINE)


@pytest.fixture
def clock(tmp_path: Path) -> SandboxClock:
    return SandboxClock.create(tmp_path / "clock.json")


@pytest.fixture
def server(clock: SandboxClock) -> Iterator[LavaStandIn]:
    stand_in = LavaStandIn(NAME, USER, TOKEN, clock)
    with stand_in:
        yield stand_in


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest) -> Api:
    chosen: Api = request.param
    return chosen


@pytest.fixture
def lab(server: LavaStandIn, api: Api) -> Lab:
    return lab_at(server.url, api)


class TestStandIn(LavaContract):
    @pytest.fixture
    def world(self, server: LavaStandIn) -> StandInWorld:
        return StandInWorld(server)


# ---- a lab whose time passes ---------------------------------------------------------------------------------------


def test_a_job_waits_runs_and_finishes_as_the_clock_passes(server: LavaStandIn, clock: SandboxClock, lab: Lab) -> None:
    server.add_device("panda-1", "panda")
    submitted = clock.now()
    server.submit("baseline", "panda", waits=timedelta(minutes=10), runs=timedelta(minutes=20))
    assert lab.look() == LabLook(NAME, 1, 0, 1, 1)
    clock.advance(timedelta(minutes=11))
    assert lab.look() == LabLook(NAME, 0, 1, 1, 1)
    assert [device.status for device in lab.devices()] == [DeviceStatus.RUNNING]
    (job,) = lab.open_jobs()
    assert job.state is LabJobState.RUNNING
    assert job.since is not None
    assert abs(job.since - submitted - timedelta(minutes=10)) < timedelta(seconds=2)
    clock.advance(timedelta(minutes=20))
    assert lab.look() == LabLook(NAME, 0, 0, 1, 1)
    assert lab.open_jobs() == ()


def test_no_state_is_made_up(server: LavaStandIn) -> None:
    with pytest.raises(ValueError, match="Sleeping"):
        server.hold(server.submit("baseline", "panda"), "Sleeping")


# ---- jobs that move while they are read ----------------------------------------------------------------------------


class Meanwhile(StandIn):
    """Passes everything on to a lab, and lets something happen there after each answer to a question for jobs."""

    def __init__(self, lab: LavaStandIn, event: Callable[[int], None]) -> None:
        super().__init__()
        self._lab = lab
        self._event = event
        self._answers = 0

    def respond(self, request: Request) -> Response:
        answer = self._lab.respond(request)
        if "/jobs/" in request.path or b"scheduler.jobs.list" in request.body:
            self._answers += 1
            self._event(self._answers)
        return answer


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kcibot.services.lava.rest.PAGE", 10)
    monkeypatch.setattr(lava_xmlrpc, "PAGE", 10)
    monkeypatch.setattr(lava_xmlrpc, "OVERLAP", 4)


@pytest.mark.parametrize("after", range(1, 6))
def test_a_job_that_begins_while_it_is_looked_for_is_never_missed(server: LavaStandIn, api: Api, after: int) -> None:
    ident = server.submit("baseline", "panda", waits=timedelta(hours=1))

    def begin(answers: int) -> None:
        if answers == after:
            server.hold(ident, "Running")

    with Meanwhile(server, begin) as moving:
        assert [job.ident for job in lab_at(moving.url, api).open_jobs()] == [str(ident)]
    server.hold(ident, "Submitted")
    with Meanwhile(server, begin) as moving:
        assert lab_at(moving.url, api).look().open >= 1


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("ending", [2, 7], ids=["a few end", "more end than pages overlap"])
def test_jobs_that_end_between_two_pages_hide_no_other(server: LavaStandIn, api: Api, ending: int) -> None:
    jobs = [server.submit("baseline", "panda", waits=timedelta(hours=1)) for _ in range(45)]
    stay = jobs[: 45 - ending]

    def end_the_newest(answers: int) -> None:
        for ident in jobs[45 - ending :] if answers == 1 else []:
            server.hold(ident, FINISHED)

    with Meanwhile(server, end_the_newest) as moving:
        found = {int(job.ident) for job in lab_at(moving.url, api).open_jobs()}
    assert set(stay) <= found


@pytest.mark.usefixtures("small_pages")
def test_jobs_that_arrive_between_two_pages_hide_no_other(server: LavaStandIn, api: Api) -> None:
    first = [server.submit("baseline", "panda", waits=timedelta(hours=1)) for _ in range(25)]

    def arrive(answers: int) -> None:
        for _ in range(12 if answers == 1 else 0):
            server.submit("late", "panda", waits=timedelta(hours=1))

    with Meanwhile(server, arrive) as moving:
        jobs = lab_at(moving.url, api).open_jobs()
    assert set(first) <= {int(job.ident) for job in jobs}
    assert len({job.ident for job in jobs}) == len(jobs)


@pytest.mark.usefixtures("small_pages")
def test_jobs_that_always_move_too_fast_are_not_listed_in_part(server: LavaStandIn) -> None:
    def replace_all(_answers: int) -> None:
        for ident in range(1, 400):
            if ident in server._jobs:
                server.hold(ident, FINISHED)
        for _ in range(20):
            server.submit("baseline", "panda", waits=timedelta(hours=1))

    replace_all(0)
    with Meanwhile(server, replace_all) as moving, pytest.raises(TransientError, match="too fast"):
        lab_at(moving.url, "xmlrpc").open_jobs()


def test_what_is_asked_for_stays_small(server: LavaStandIn, api: Api) -> None:
    for _ in range(100):
        server.submit("baseline", "panda")
    server.requests.clear()
    lab_at(server.url, api).look()
    assert len(server.requests) <= {"rest": 4, "xmlrpc": 9}[api]
