"""What one look at Jenkins costs, for 20, 200 and 2,000 nodes: requests, bytes and time, 20 ms away.

Run by hand: `python benchmarks/jenkins_idle.py`. Beside our look stand python-jenkins' own `get_running_builds` and
`get_queue_info`, in the same run, against the same server and over one kept connection as well.

The server answers, 20 ms after it was asked, what the sandbox's Jenkins rendered once for that address, byte for byte:
what is measured is then the client and its way of asking, not how fast the stand-in renders. A real Jenkins needs more
time for `depth=2`, which python-jenkins asks of every node, than for a `tree=`; that is not counted here. Nor is the
one request for a crumb that python-jenkins makes for each client, nor what nodes that share labels would add to its
answers: the nodes here share none. Answers are not compressed.

A quarter of the nodes has a busy executor; one-off executors and queue items come to a twentieth and a tenth of the
nodes. Both clients must see the same builds, apart from those on one-off executors, which python-jenkins never sees.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import jenkins

from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.http import Request, Response, StandIn
from kcibot.sandbox.jenkins import JenkinsStandIn, succeed_after
from kcibot.sandbox.kernelci.definitions import pipeline_xml
from kcibot.services.jenkins.adapter import JenkinsServer

USER, TOKEN = "bot", "11aabbccddeeff00112233445566778899"
LATENCY_SECONDS = 0.02
EXECUTORS = 4
LONG_SECONDS = 24 * 3600
REPETITIONS = {20: (25, 9), 200: (15, 3), 2000: (15, 1)}
"""By number of nodes: of our look, and of python-jenkins', which takes most of a minute for 2,000."""


@dataclass(frozen=True)
class Scene:
    """How many builds run on ordinary and on one-off executors, and how many wait."""

    nodes: int

    @property
    def busy(self) -> int:
        return self.nodes // 4

    @property
    def one_off(self) -> int:
        return self.nodes // 20

    @property
    def queued(self) -> int:
        return self.nodes // 10

    def set(self, server: JenkinsStandIn, clock: SandboxClock) -> None:
        forever = succeed_after(LONG_SECONDS)
        for number in range(self.busy):
            place = f"<assignedNode>worker-{4 * number + 1}</assignedNode>"
            server.create_job(f"kernel-build-{number}", f"<project>{place}</project>", forever)
            server.trigger(f"kernel-build-{number}", {})
        for number in range(self.one_off):
            server.create_job(f"kernel-tree-{number}", pipeline_xml("", []), forever)
            server.trigger(f"kernel-tree-{number}", {})
        for number in range(self.queued):
            wait = f"<quietPeriod>{LONG_SECONDS}</quietPeriod>"
            server.create_job(f"waits-{number}", f"<project>{wait}</project>")
            server.trigger(f"waits-{number}", {})
        clock.advance(timedelta(minutes=1))


class FarServer(StandIn):
    """Gives the answers of another server again, each rendered once, `latency` seconds after it was asked."""

    def __init__(self, rendering: JenkinsStandIn) -> None:
        super().__init__()
        self.latency = 0.0
        self.sent = 0
        self._rendering = rendering
        self._rendered: dict[tuple[str, str, str], Response] = {}

    def respond(self, request: Request) -> Response:
        asked = (request.method, request.path, request.query)
        if asked not in self._rendered:
            self._rendered[asked] = self._rendering.respond(request)
        time.sleep(self.latency)
        self.sent += len(self._rendered[asked].body)
        return self._rendered[asked]


@dataclass(frozen=True)
class Cost:
    """Of one look: what it saw, and the median time of `times`."""

    builds: int
    queued: int
    requests: int
    kib: float
    milliseconds: float
    times: int


Look = Callable[[], tuple[int, int]]
"""One look; how many builds and queue items it saw."""


def our_look(url: str) -> Look:
    server = JenkinsServer(url, USER, lambda: TOKEN)

    def look() -> tuple[int, int]:
        seen = server.look()
        return len(seen.running), len(seen.queued)

    return look


def their_look(url: str) -> Look:
    client = jenkins.Jenkins(url, USER, TOKEN, timeout=10)
    return lambda: (len(client.get_running_builds()), len(client.get_queue_info()))


def cost(server: FarServer, look: Look, times: int) -> Cost:
    """The first look, which makes the server render, is not measured."""
    server.latency = 0.0
    look()
    server.latency = LATENCY_SECONDS
    spans = []
    for _ in range(times):
        server.requests.clear()
        server.sent = 0
        begin = time.perf_counter()
        builds, queued = look()
        spans.append(time.perf_counter() - begin)
    kib = server.sent / 1024
    return Cost(builds, queued, len(server.requests), kib, statistics.median(spans) * 1000, times)


def compare(nodes: int, clock: SandboxClock) -> tuple[Cost, Cost]:
    """Ours and theirs. SystemExit when either did not see what there was."""
    scene, (our_times, their_times) = Scene(nodes), REPETITIONS[nodes]
    rendering = JenkinsStandIn(clock, USER, TOKEN, nodes=nodes, executors=EXECUTORS)
    scene.set(rendering, clock)
    server = FarServer(rendering)
    with server:
        ours = cost(server, our_look(server.url), our_times)
        theirs = cost(server, their_look(server.url), their_times)
    if (ours.builds, ours.queued) != (scene.busy + scene.one_off, scene.queued):
        raise SystemExit(f"kcibot saw {ours.builds} builds and {ours.queued} items of {scene}")
    if (theirs.builds, theirs.queued) != (scene.busy, scene.queued):
        raise SystemExit(f"python-jenkins saw {theirs.builds} builds and {theirs.queued} items of {scene}")
    return ours, theirs


def row(nodes: int, who: str, one: Cost, beside: Cost) -> str:
    seen = f"{one.builds:7} {one.queued:7} {one.requests:9} {one.kib:9.1f}"
    factor = one.milliseconds / beside.milliseconds
    return f"{nodes:5}  {who:14} {seen} {one.milliseconds:10.1f} (of {one.times:2}) {factor:8.1f}\n"


def main() -> None:
    sys.stdout.write("nodes  who             builds  queued  requests       KiB  ms (median of N)    factor\n")
    with tempfile.TemporaryDirectory() as folder:
        for nodes in REPETITIONS:
            ours, theirs = compare(nodes, SandboxClock.create(Path(folder) / f"clock-{nodes}.json"))
            sys.stdout.write(row(nodes, "kcibot", ours, ours) + row(nodes, "python-jenkins", theirs, ours))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
