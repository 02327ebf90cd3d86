"""What was there before each recording began, and what happened in it between two exchanges without being recorded."""

from collections.abc import Callable

from kcibot.sandbox.jenkins import JenkinsStandIn
from kcibot.sandbox.jenkins.auth import SESSION_COOKIE, Caller
from kcibot.sandbox.jenkins.model import Executor, Job, Node
from tests.contract.jenkins.definitions import project
from tests.contract.jenkins.on_stand_in import StandInSubject
from tests.contract.jenkins.replay import SHELL, Replay
from tests.contract.jenkins.subject import Work

Interlude = Callable[[Replay], None]
UNSTABLE = Work(unstable=True)
ARCHIVING = Work(artifact="hello")


def inside(replay: Replay) -> JenkinsStandIn:
    """For what no HTTP request does: no exchange that needs it is asked of a real server."""
    assert isinstance(replay.subject, StandInSubject), "only a stand-in lets itself be changed from inside"
    return replay.subject.jenkins


def nothing(_replay: Replay) -> None:
    pass


def find(replay: Replay, name: str) -> Job:
    job = inside(replay).world.jobs.find(name)
    assert job, name
    return job


def set_builds(replay: Replay) -> None:
    replay.job("plain", project(), Work(3))
    replay.job("deploy", project(versioned=True))
    replay.job("par", project(versioned=True, more="<concurrentBuild>true</concurrentBuild>"))
    replay.job("q0", project(more="<quietPeriod>0</quietPeriod>"))
    replay.job("q2", project(more="<quietPeriod>2</quietPeriod>"))


def clear_queue(replay: Replay) -> None:
    replay.subject.clear_queue()


def admin_logs_in(replay: Replay) -> None:
    """With the crumb that the recording shows for the administrator's password."""
    gate = inside(replay).gate
    crumb = gate.crumb(Caller(gate.users["admin"], "session-of-admin"), "session-of-admin")
    replay.crumbs["01" * 32] = (crumb, f"{SESSION_COOKIE}=session-of-admin")


def set_queue(replay: Replay) -> None:
    for name in "abcd":
        replay.job(name, project(versioned=True))
    replay.job("lab", project(more="<assignedNode>nowhere</assignedNode>"))
    replay.job("exp", project())
    replay.begin(2.0)


def left_and_cancelled(replay: Replay) -> None:
    replay.pass_time(20)
    replay.begin()
    replay.trigger("exp", recorded=54)
    replay.pass_time(0.05)
    replay.trigger("exp", quiet=60, recorded=55)
    clear_queue(replay)


def set_computer(replay: Replay) -> None:
    for name in "ab":
        replay.job(name, project(versioned=True))
    replay.job("exp", project())
    replay.trigger("exp")
    replay.job("tick", project(more="<disabled>true</disabled>"))
    replay.pass_time(1)
    replay.begin()


def set_running(replay: Replay) -> None:
    downstream = "<childProjects>verify</childProjects>"
    trigger = f"<publishers><hudson.tasks.BuildTrigger>{downstream}</hudson.tasks.BuildTrigger></publishers>"
    replay.job("rel", project(versioned=True, more=trigger))
    replay.job("verify", project(more="<quietPeriod>1</quietPeriod>"), Work(2))
    replay.job("unst", project(), UNSTABLE)
    replay.job("arte", project(), ARCHIVING)
    replay.subject.recorded_work("tick", Work(1))
    replay.begin(1.0)


def stop_and_archive(replay: Replay) -> None:
    replay.subject.stop("rel")
    replay.pass_time(0.2)
    replay.trigger("arte")
    replay.pass_time(0.2)


def set_trees(replay: Replay) -> None:
    replay.job("fast", project(parameters=("N",), more="<concurrentBuild>true</concurrentBuild>"))
    replay.job("slow", project(more="<quietPeriod>3</quietPeriod>"), Work(4))
    for name in ("exp", "serial", "tick"):
        replay.job(name, project(), Work(0.1))
        replay.trigger(name)
    replay.pass_time(1)
    replay.job("tick", project(more="<disabled>true</disabled>"))
    replay.begin(2.0)


def many_builds(replay: Replay) -> None:
    for number in range(104):
        replay.trigger("fast", N=str(number))
        replay.pass_time(0.05)


def configure_root(address: str) -> Interlude:
    def configure(replay: Replay) -> None:
        inside(replay).root_url = address

    return configure


def set_console(replay: Replay) -> None:
    replay.job("log", project(versioned=True))
    trigger = "<hudson.tasks.BuildTrigger><childProjects>down</childProjects></hudson.tasks.BuildTrigger>"
    replay.job("up", project(more=f"<publishers>{trigger}</publishers>"))
    replay.job("down", project(more="<quietPeriod>0</quietPeriod>"))


def aborted_log(replay: Replay) -> None:
    replay.trigger("log", VERSION="3", SECS="30")
    replay.pass_time(1)
    replay.subject.stop("log")
    replay.pass_time(0.2)


def up_and_down(replay: Replay) -> None:
    replay.trigger("up")
    replay.pass_time(0.1)


def set_errors(replay: Replay) -> None:
    replay.job("e1", project())
    replay.job("e2", project(parameters=("A",)))


def disable(*names: str, disabled: bool = True) -> Interlude:
    def flag(replay: Replay) -> None:
        for name in names:
            replay.subject.set_disabled(name, disabled)

    return flag


def start(name: str, quiet: float = 0.0, recorded: int = 0, wait: float = 0.006, **parameters: str) -> Interlude:
    def trigger(replay: Replay) -> None:
        replay.trigger(name, quiet, recorded, **parameters)
        replay.pass_time(wait)

    return trigger


def started(name: str, moment: float) -> Interlude:
    """At that second of the recording the job's first build had just started, after its quiet period."""
    return lambda replay: replay.started_at(name, moment)


def a_minute(replay: Replay) -> None:
    replay.pass_time(62)
    replay.subject.await_start("tick")


def set_lifecycle(replay: Replay) -> None:
    for name in ("exp", "wait", "tick"):
        replay.job(name, project())
    replay.trigger("exp")
    replay.job("run", project(versioned=True))
    replay.job("off", project(more="<disabled>true</disabled>"))
    replay.job("tick", project(more="<disabled>true</disabled>"))
    hold_a_copy(replay)
    replay.pass_time(1)
    replay.begin()
    replay.at(1.1)
    replay.subject.recorded_work("run", Work(0.5))
    replay.trigger("run", VERSION="1", SECS="14")
    replay.pass_time(0.01)
    replay.subject.recorded_work("run", SHELL)


def hold_a_copy(replay: Replay) -> None:
    world = inside(replay).world
    old = world.jobs.find("copy1")
    if old:
        world.delete(old)
    world.create(None, "copy1", project(), held=True)


def busy_again(first: int) -> Interlude:
    def prepare(replay: Replay) -> None:
        world = inside(replay).world
        clear_queue(replay)
        for name in ("run", "wait", "done", "tmp1"):
            old = world.jobs.find(name)
            if old:
                world.delete(old)
        replay.job("run", project(versioned=True))
        replay.job("wait", project())
        replay.job("done", project())
        replay.trigger("done", recorded=first)
        replay.pass_time(0.1)
        replay.trigger("run", recorded=first + 1, VERSION="1", SECS="60")
        replay.pass_time(0.1)
        replay.trigger("run", recorded=first + 2, VERSION="2", SECS="1")
        replay.trigger("wait", quiet=100, recorded=first + 3)
        hold_a_copy(replay)

    return prepare


def terminate(replay: Replay) -> None:
    inside(replay).restart()


def kill(replay: Replay) -> None:
    inside(replay).restart(kill=True)


def set_late(replay: Replay) -> None:
    world = inside(replay).world
    for job in list(world.jobs.walk()):
        world.delete(job)
    replay.job("run", project(versioned=True))
    replay.job("wait", project())
    replay.trigger("run", VERSION="1", SECS="600")
    replay.trigger("wait", quiet=900, recorded=30)


def reconfigured_agent(replay: Replay) -> None:
    replay.job("lab", project(more="<assignedNode>gpu</assignedNode>"))


def anew(replay: Replay) -> None:
    world = inside(replay).world
    for name in "ab":
        world.delete(find(replay, name))
        replay.job(name, project(versioned=True))


def executors(count: int, then: Interlude = nothing) -> Interlude:
    def change(replay: Replay) -> None:
        inside(replay).world.nodes[0].executors[:] = [Executor(number) for number in range(count)]
        inside(replay).world.maintain()
        then(replay)

    return change


def connected_agent(replay: Replay) -> None:
    world = inside(replay).world
    executors(2)(replay)
    world.delete(find(replay, "lab"))
    world.nodes.append(Node("agent-2", [Executor(0)], ("gpu",), "second"))
    replay.job("lab", project(more="<assignedNode>gpu</assignedNode>"), Work(8))
    replay.at(4)
    replay.trigger("lab")


def second_agent(replay: Replay) -> None:
    inside(replay).world.nodes.append(Node("agent-2", [Executor(0)], connected=False))


SCENES: dict[str, tuple[Interlude, dict[str, Interlude]]] = {
    "auth_and_crumb": (nothing, {}),
    "jobs": (
        nothing,
        {"hold_copy": lambda replay: replay.job("orig", project(parameters=("A",)))},
    ),
    "builds": (
        set_builds,
        {
            "build_other_user": admin_logs_in,
            "build_while_running": started("plain", 10.732),
            "delay0": clear_queue,
            "disable_while_running": start("deploy", wait=0, VERSION="x", SECS="4"),  # for 3 it waited for an executor
            "delete_while_running": start("deploy", recorded=238, VERSION="del", SECS="20"),
            "delete_while_queued": start("plain", quiet=5, recorded=239, wait=0),
        },
    ),
    "queue": (set_queue, {"left": started("a", 7.403), "left_fresh": left_and_cancelled}),
    "computer": (
        set_computer,
        {
            "busy_one": start("a", SECS="3"),
            "busy_two": start("b", SECS="3"),
            "offline_while_busy": start("b", SECS="3"),
            "toggle_offline": anew,
            "lab_build": reconfigured_agent,
            "three": executors(3),
            "zero": executors(0),
            "zero_item": start("a", recorded=75),
            "two_again": executors(2),
            "agent_online": connected_agent,
            "agent_disconnect": start("lab"),
            "agent_gone_item": start("lab", recorded=5),
            "delete_node2": second_agent,
        },
    ),
    "running_builds": (
        set_running,
        {
            "down_running": started("verify", 11.289),
            "term": start("rel", VERSION="5", SECS="30"),
            "artifacts": stop_and_archive,
            "timer_build": a_minute,
            "timer_disabled_wait": disable("tick"),
        },
    ),
    "tree_queries": (
        set_trees,
        {
            "quiet_queue": start("slow", quiet=3, wait=0),
            "running_queue": started("slow", 8.81),
            "blocked_queue": start("slow", wait=0),
            "builds_all": many_builds,
            "rooturl_root": configure_root("https://ci.example.org/jenkins/"),
            "rooturl_none": configure_root(""),
        },
    ),
    "console": (
        set_console,
        {
            "progressive_0": start("log", VERSION="1", SECS="4"),
            "failure": start("log", wait=0.1, VERSION="bad"),
            "aborted": aborted_log,
            "upstream": up_and_down,
        },
    ),
    "errors": (
        set_errors,
        {"e409_disabled_build": disable("e1", "e2"), "e400_build_on_param": disable("e1", "e2", disabled=False)},
    ),
    "lifecycle": (
        set_lifecycle,
        {
            "saferestart": start("wait", quiet=100, recorded=242, wait=0),
            "term_before_queue": busy_again(243),
            "term_refused": terminate,
            "kill_before_queue": busy_again(248),
            "kill_refused": kill,
            "kill_late_before": set_late,
            "kill_late_queue": kill,
        },
    ),
}
