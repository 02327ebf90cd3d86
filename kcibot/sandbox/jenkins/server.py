"""A Jenkins of the sandbox: the recorded HTTP contract over jobs that build in sandbox time."""

import itertools
import threading
from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.http import Request, Response, StandIn
from kcibot.sandbox.jenkins import pages
from kcibot.sandbox.jenkins.auth import SESSION_COOKIE, Caller, Gatekeeper, User, WrongCredentials, crumb_given
from kcibot.sandbox.jenkins.call import Call
from kcibot.sandbox.jenkins.loop import VirtualLoop
from kcibot.sandbox.jenkins.machine_beans import MachineExporter
from kcibot.sandbox.jenkins.model import Executor, Item, Job, Node
from kcibot.sandbox.jenkins.routes import Routes
from kcibot.sandbox.jenkins.running import Behaviour
from kcibot.sandbox.jenkins.world import World, by_user

LONGEST_QUERY = 8192


class Phase(StrEnum):
    """What a caller meets, as recorded around restarts."""

    UP = "up"
    STOPPING = "stopping"
    LAST_GASP = "last gasp"
    CLOSED = "closed"
    STARTING = "starting"


SAFE_RESTART = ((Phase.STOPPING, 10.0), (Phase.LAST_GASP, 0.1), (Phase.CLOSED, 3.3), (Phase.STARTING, 4.85))
HARD_RESTART = ((Phase.CLOSED, 3.2), (Phase.STARTING, 4.5))
"""Sandbox seconds of each phase."""


def make_nodes(count: int, executors: int) -> list[Node]:
    """The built-in node and `count - 1` agents, each with that many executors."""
    names = ["master", *(f"worker-{number}" for number in range(1, count))]
    texts = ["the master Jenkins node", *("a build machine" for _ in names[1:])]
    return [
        Node(name, [Executor(number) for number in range(executors)], description=text)
        for name, text in zip(names, texts, strict=True)
    ]


class JenkinsStandIn(StandIn):
    """Keeps the recorded contract of Jenkins 2.263.4.

    `nodes` counts the built-in node, `executors` are those of each node. The user may administer. What jobs do is
    given by `behave`; any other job succeeds after a tenth of a second. `root_url` is what an administrator configured
    as the server's address, empty for "not configured".
    """

    def __init__(
        self, clock: SandboxClock, user: str, token: str, nodes: int = 4, executors: int = 8, root_url: str = ""
    ) -> None:
        super().__init__()
        self.gate = Gatekeeper({user: User(user, token)})
        self.root_url = root_url
        self.phase = Phase.UP
        self.loop = VirtualLoop(clock)
        self.world = World(self.loop, make_nodes(nodes, executors))
        self.world.restart_now = self._safe_restart_begins
        self._sessions = itertools.count(1)

    # ---- for those who set the scene ---------------------------------------------------------------------------

    def start(self) -> None:
        super().start()
        self.loop.start()

    def stop(self) -> None:
        self.loop.stop()
        super().stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def add_user(self, user: User) -> None:
        self.gate.users[user.name] = user

    def behave(self, job: str, behaviour: Behaviour) -> None:
        """What the builds of that job (full name) do from now on."""
        with self.loop.lock:
            self.world.behaviours[job] = behaviour

    def create_job(self, name: str, xml: str, behaviour: Behaviour | None = None) -> Job:
        """Make a job, or give an existing one that config. `name` is a full name, its folder must exist."""
        folder, _, short = name.rpartition("/")
        if behaviour:
            self.behave(name, behaviour)
        with self.loop.lock:
            job = self.world.jobs.find(name)
            if job is None:
                return self.world.create(self.world.jobs.find(folder) if folder else None, short, xml)
            self.world.reconfigure(job, xml)
            return job

    def trigger(self, name: str, parameters: Mapping[str, str], user: str = "SYSTEM") -> Item:
        """Queue a build without HTTP. LookupError: no such job, or it cannot be built."""
        with self.loop.lock:
            self.loop.catch_up()
            job = self.world.jobs.find(name)
            item = self.world.schedule(job, parameters, by_user(user)) if job else None
            if item is None:
                raise LookupError(f"{name} cannot be built")
            return item

    def restart(self, *, kill: bool = False) -> None:
        """End the process (SIGTERM, or SIGKILL) and start it again; takes about eight sandbox seconds."""
        with self.loop.lock:
            self.loop.catch_up()
            self.world.go_down(killed=kill)
            self._enter(HARD_RESTART)

    # ---- HTTP --------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Response | None:
        with self.loop.lock:
            self.loop.catch_up()
            if self.phase is Phase.CLOSED:
                return None
        return super().answer(request)

    def respond(self, request: Request) -> Response:
        with self.loop.lock:
            self.loop.catch_up()
            fresh = f"node0{next(self._sessions):028x}.node0"
            try:
                caller = self._admit(request)
                session = caller.session or fresh
                response = self._route(request, caller, session)
            except pages.Refusal as refusal:
                response = refusal.response
            return self._finish(request, response, fresh)

    def _admit(self, request: Request) -> Caller:
        """The filters before anything else: the server's state, the credentials, the crumb."""
        if len(request.query) > LONGEST_QUERY:
            raise pages.Refusal(pages.uri_too_long())
        if self.phase is Phase.STOPPING:
            raise pages.Refusal(pages.please_wait("restarting"))
        if self.phase is Phase.STARTING:
            waiting = pages.please_wait("getting ready to work")
            raise pages.Refusal(pages.no_crumb(request.path) if request.method == "POST" else waiting)
        try:
            caller = self.gate.identify(request)
        except WrongCredentials as error:
            raise pages.Refusal(pages.wrong_password(str(error), request.path)) from error
        if self.phase in {Phase.LAST_GASP, Phase.CLOSED}:
            raise pages.Refusal(pages.wrong_password(caller.user.name, request.path))
        if request.method == "POST" and not self.gate.crumb_fits(caller, request):
            raise pages.Refusal(pages.no_crumb(request.path, new_session=crumb_given(request) and not caller.session))
        return caller

    def _route(self, request: Request, caller: Caller, session: str) -> Response:
        asked = _asked_root(request)
        base = self.root_url or asked
        exporter = MachineExporter(self.world, base, self.root_url or None)
        return Routes(self.world, exporter, self.gate.crumb(caller, session)).answer(Call(request, caller, asked, base))

    def _finish(self, request: Request, response: Response, fresh: str) -> Response:
        """Fill in what only the server knows: its session, and a cookie for those who have none."""
        headers = dict(response.headers)
        if pages.SESSION_HEADER in headers:
            headers[pages.SESSION_HEADER] = self.world.session
        if "Set-Cookie" in headers:
            headers["Set-Cookie"] = f"{SESSION_COOKIE}={fresh}; Path=/; HttpOnly"
            if any(name.lower() == "cookie" for name in request.headers):
                del headers["Set-Cookie"]
        return Response(response.status, response.body, headers)

    # ---- restarting --------------------------------------------------------------------------------------------

    def _safe_restart_begins(self) -> None:
        self.world.go_down(killed=False)
        self._enter(SAFE_RESTART)

    def _enter(self, rest: tuple[tuple[Phase, float], ...]) -> None:
        if not rest:
            self.phase = Phase.UP
            self.world.come_up()
            return
        (phase, seconds), *later = rest
        if phase is Phase.CLOSED:
            self._close_port()
        elif self.phase is Phase.CLOSED:
            self._open_port()
        self.phase = phase
        self.loop.after(seconds, lambda: self._enter(tuple(later)))

    def _close_port(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _open_port(self) -> None:
        """The same port again, as a real server has."""
        self._server = type(self._server)(("127.0.0.1", self.port), self._server.RequestHandlerClass)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()


def _asked_root(request: Request) -> str:
    """The root address as the caller, or the proxy before us, knows it."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    host = headers.get("x-forwarded-host") or headers.get("host", "")
    return f"{headers.get('x-forwarded-proto', 'http')}://{host}/"
