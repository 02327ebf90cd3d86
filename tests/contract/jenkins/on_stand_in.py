"""The stand-in as the subject of a test: its time is put forward, and its inside can be reached."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.jenkins import VIEWER, JenkinsStandIn, RunningBuild, Sleep, Steps, User
from kcibot.sandbox.jenkins.model import Job, UserCause
from kcibot.sandbox.jenkins.running import Behaviour
from kcibot.sandbox.jenkins.world import World
from kcibot.sandbox.kernelci.definitions import Parameter, pipeline_xml
from kcibot.services.jenkins.adapter import JenkinsServer
from tests.contract.jenkins.names import RECORDED_USER, Names
from tests.contract.jenkins.subject import NoAnswer, Work

PASSWORDS = {RECORDED_USER: "relbot-password", "admin": "admin-password"}
ALMOST_FROZEN = 1e-9
"""Time passes only where the test says so."""
TIMEOUT = 10.0


class NoLogin(AuthBase):
    """Anonymous, whatever a file of passwords on this machine says."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def behaviour(work: Work) -> Behaviour:
    def steps(build: RunningBuild) -> Steps:
        for second in range(int(build.parameters.get("SECS", "0"))):
            build.log(f"tick {second}")
            yield Sleep(1.0)
        build.log(*(f"line {number}" for number in range(work.lines)))
        if work.artifact:
            build.artifact("out.txt", f"{work.artifact}\n".encode())
        yield Sleep(work.seconds)
        if build.parameters.get("VERSION") == "bad":
            return "FAILURE"
        return "UNSTABLE" if work.unstable else "SUCCESS"

    return steps


class StandInSubject:
    """Fulfils `Subject`."""

    patience = 0.0
    step = 1.0

    def __init__(self, jenkins: JenkinsStandIn, clock: SandboxClock) -> None:
        self.jenkins = jenkins
        self.clock = clock
        self.url = jenkins.url
        self.names = Names((f"{jenkins.url}/",))

    # ---- asking ----

    def login(self, kind: str, user: str) -> AuthBase:
        secrets = {"token": f"token-of-{user}", "password": PASSWORDS.get(user, ""), "wrong": "wrong"}
        return HTTPBasicAuth(user, secrets[kind]) if kind in secrets else NoLogin()

    def send(self, request: requests.Request) -> requests.Response:
        try:
            with requests.Session() as session:
                return session.send(session.prepare_request(request), allow_redirects=False, timeout=TIMEOUT)
        except requests.ConnectionError as error:
            raise NoAnswer("no answer") from error

    def narrowed(self, path: str, answer: Any, items: set[int]) -> Any:
        return answer

    def unknown_item(self, recorded: int) -> int:
        return recorded

    def adapter(self) -> JenkinsServer:
        return JenkinsServer(self.url, RECORDED_USER, lambda: f"token-of-{RECORDED_USER}", TIMEOUT)

    # ---- time ----

    def now(self) -> float:
        return self.clock.now().timestamp()

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=max(0.0, seconds)))
        self.jenkins.loop.catch_up()

    def align(self, second_of_tick: float) -> None:
        self.pass_time(5 - (self.now() + second_of_tick) % 5)

    def delayed(self, seconds: float) -> float:
        return 0.0

    def await_start(self, name: str) -> bool:
        return False

    # ---- setting the scene ----

    def parametrised(self, *names: str) -> str:
        return pipeline_xml("", [Parameter(name, name.lower()) for name in names])

    def job(self, name: str, xml: str, work: Work) -> None:
        self.jenkins.create_job(name, xml, behaviour(work))

    def recorded_work(self, name: str, work: Work) -> None:
        self.jenkins.behave(name, behaviour(work))

    def trigger(self, name: str, parameters: dict[str, str], quiet: float) -> int:
        with self._world() as world:
            item = world.schedule(self._job(name), parameters, [UserCause(RECORDED_USER)], quiet)
            assert item, name
            return item.item_id

    def stop(self, name: str) -> None:
        with self._world() as world:
            for run in self._job(name).running:
                world.stop(run, RECORDED_USER)

    def set_disabled(self, name: str, disabled: bool) -> None:
        with self._world() as world:
            world.set_disabled(self._job(name), disabled=disabled)

    def clear_queue(self) -> None:
        with self._world() as world:
            world.abort(list(world.queue.active), RECORDED_USER)

    @contextmanager
    def _world(self) -> Iterator[World]:
        """What happens inside happens at one moment."""
        with self.jenkins.loop.lock:
            yield self.jenkins.world

    def _job(self, name: str) -> Job:
        job = self.jenkins.world.jobs.find(name)
        assert job, name
        return job


@contextmanager
def stand_in(folder: Path) -> Iterator[StandInSubject]:
    """One with the users and the two executors of the recordings."""
    clock = SandboxClock.create(folder / "clock.json", rate=ALMOST_FROZEN)
    with JenkinsStandIn(clock, RECORDED_USER, f"token-of-{RECORDED_USER}", nodes=1, executors=2) as jenkins:
        for user, password in PASSWORDS.items():
            jenkins.add_user(User(user, f"token-of-{user}", password))
        jenkins.add_user(User("viewer", "token-of-viewer", permissions=VIEWER))
        jenkins.add_user(User("nobody", "token-of-nobody", permissions=frozenset()))
        jenkins.world.default_behaviour = behaviour(Work())
        yield StandInSubject(jenkins, clock)
