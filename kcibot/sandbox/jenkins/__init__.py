"""A stand-in for Jenkins 2.263.4: real HTTP, builds in sandbox time."""

from kcibot.sandbox.jenkins.auth import VIEWER, User
from kcibot.sandbox.jenkins.running import Behaviour, RunningBuild, Sleep, Steps, Stopped, WaitFor, succeed_after
from kcibot.sandbox.jenkins.server import JenkinsStandIn

__all__ = [
    "VIEWER",
    "Behaviour",
    "JenkinsStandIn",
    "RunningBuild",
    "Sleep",
    "Steps",
    "Stopped",
    "User",
    "WaitFor",
    "succeed_after",
]
