"""What the tests of the monitor share: how its builds behave, bisections, and what is remembered of a pause."""

from collections.abc import Callable
from datetime import timedelta

from kcibot.sandbox.http import Request, Response
from kcibot.sandbox.jenkins import RunningBuild, Sleep, Steps, succeed_after
from kcibot_commands.monitor.flags import read_pause
from tests.fakes.ci_bench import BISECTION, MONITOR, TRIGGER, CiBench


def monitor_behaves(ci: CiBench) -> None:
    """The monitor starts a trigger for every config that it is given, and lives for half a minute."""

    def monitor(build: RunningBuild) -> Steps:
        yield Sleep(20)
        for config in build.parameters["CONFIG_LIST"].split() or ["mainline", "next"]:
            build.trigger(TRIGGER, {"BUILD_CONFIG": config})
        yield Sleep(10)
        return "SUCCESS"

    ci.jenkins.behave(MONITOR, monitor)
    ci.jenkins.behave(TRIGGER, succeed_after(600))


def bisect(ci: CiBench, count: int = 1) -> None:
    """Bisections that run for hours."""
    ci.jenkins.behave(BISECTION, succeed_after(6 * 3600))
    for _ in range(count):
        ci.jenkins.trigger(BISECTION, {"TARGET": f"board-{ci.server.job(BISECTION).next_build}"})
        ci.forward(seconds=11)


def unnamed(ci: CiBench) -> None:
    """One executor is busy, and does not say with what."""
    respond = ci.jenkins.respond

    def hook(request: Request) -> Response:
        answer = respond(request)
        if request.path != "/computer/api/json":
            return answer
        return Response(answer.status, answer.body.replace(b'"idle": true', b'"idle": false', 1), answer.headers)

    ci.jenkins.respond = hook  # type: ignore[method-assign]


def blind_once_after(ci: CiBench, path: str) -> Callable[[], None]:
    """The first look at the job after that request fails; returns what ends the blindness."""
    respond, seen = ci.jenkins.respond, []

    def hook(request: Request) -> Response:
        answer = respond(request)
        if request.path.endswith(path):
            seen.append(request.path)
        elif len(seen) == 1 and request.path == f"/job/{MONITOR}/api/json":
            seen.append("blind")
            return Response(503, b"")
        return answer

    ci.jenkins.respond = hook  # type: ignore[method-assign]
    return lambda: setattr(ci.jenkins, "respond", respond)


def ticks(ci: CiBench, count: int, seconds: float) -> None:
    for _ in range(count):
        ci.bench.tick(timedelta(seconds=seconds))


def paused(ci: CiBench) -> tuple[str, ...] | None:
    pause = read_pause(ci.bench.journal.recall("paused").get("monitor"))
    return pause.jobs if pause else None


def disabled(ci: CiBench, job: str = MONITOR) -> bool:
    return ci.server.job(job).disabled
