"""How an answer of Jenkins can go wrong, and what is asked while it does."""

from collections.abc import Callable

from kcibot.core.ports import BuildRef
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.services.jenkins.adapter import JenkinsServer

BAD_ANSWERS: dict[str, Fault] = {
    "hang": Fault(FaultKind.HANG),
    "reset before": Fault(FaultKind.RESET_BEFORE),
    "reset after": Fault(FaultKind.RESET_AFTER),
    "401": Fault(FaultKind.STATUS, status=401),
    "403": Fault(FaultKind.STATUS, status=403),
    "500": Fault(FaultKind.STATUS, status=500),
    "502": Fault(FaultKind.STATUS, status=502),
    "503": Fault(FaultKind.STATUS, status=503),
    "html": Fault(FaultKind.HTML),
    "truncated": Fault(FaultKind.TRUNCATED),
}
LOOKS: dict[str, tuple[str, Callable[[JenkinsServer], object]]] = {
    "look": ("GET /computer", lambda server: server.look()),
    "job": ("GET /job/free/api", lambda server: server.job("free")),
    "jobs": ("GET /api/json", lambda server: server.jobs()),
    "build": ("GET /job/free/1/api", lambda server: server.build(BuildRef("free", 1))),
    "item": ("GET /queue/item", lambda server: server.item(1)),
    "definition": ("GET /job/free/config.xml", lambda server: server.definition("free")),
    "log": ("GET /job/free/1/logText", lambda server: server.log_tail(BuildRef("free", 1))),
}
HALF_A_LOG = ("log", "truncated")
"""A log is any text: half of it cannot be told from the whole."""
NO_EFFECT = {"401", "403"}
WITHOUT_BODY = [trouble for trouble in BAD_ANSWERS if trouble != "truncated"]
