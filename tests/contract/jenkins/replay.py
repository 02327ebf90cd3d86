"""Asks a stand-in what a real Jenkins was asked, and tells what differs from the recorded answer.

Compared are the status, the headers named here, and the JSON apart from its numbers and addresses.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import requests

from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.jenkins import JenkinsStandIn, RunningBuild, Sleep, Steps
from kcibot.sandbox.jenkins.model import UserCause

RECORDED_ROOT = "http://jenkins.example:8080/"
NAMED = (
    "X-Jenkins X-Jenkins-Session X-Hudson X-Text-Size Set-Cookie X-Permission-Implied-By X-You-Are-In-Group-Disabled"
)
HEADERS = [*NAMED.split(), "Retry-After", "Refresh"]
SAME_HEADERS = (
    "X-Error X-More-Data WWW-Authenticate Allow Cache-Control X-You-Are-Authenticated-As X-Required-Permission"
)
PASSWORDS = {"relbot": "relbot-password", "admin": "admin-password"}


def shell(build: RunningBuild) -> Steps:
    """What the recorded jobs did: SECS seconds, and a failure of the version `bad`."""
    for second in range(int(build.parameters.get("SECS", "0"))):
        build.log(f"tick {second}")
        yield Sleep(1.0)
    yield Sleep(0.02)
    return "FAILURE" if build.parameters.get("VERSION") == "bad" else "SUCCESS"


@dataclass
class Replay:
    """Asks one file's exchanges again; keeps what ids, crumbs and cookies of the recording are here."""

    jenkins: JenkinsStandIn
    clock: SandboxClock
    ids: dict[int, int] = field(default_factory=dict)
    crumbs: dict[str, tuple[str, str]] = field(default_factory=dict)
    begun: float = 0.0
    series: int = 1

    def job(self, name: str, xml: str, behaviour: Callable[[RunningBuild], Steps] = shell) -> None:
        self.jenkins.create_job(name, xml, behaviour)

    def trigger(self, name: str, quiet: float = 0.0, recorded: int = 0, **parameters: str) -> None:
        world = self.jenkins.world
        job = world.jobs.find(name)
        assert job
        item = world.schedule(job, parameters, [UserCause("relbot")], quiet)
        assert item
        self.ids[recorded] = item.item_id

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=max(0.0, seconds)))
        self.jenkins.loop.catch_up()

    def at(self, moment: float) -> None:
        """Go to that second of the recording."""
        self.pass_time(self.begun + moment - self.clock.now().timestamp())

    def begin(self, second_of_tick: float = 0.0) -> None:
        """Second zero is now; the queue is looked at when a multiple of five plus this is reached."""
        self.pass_time(5 - (self.clock.now().timestamp() + second_of_tick) % 5)
        self.begun = self.clock.now().timestamp()

    # ---- one exchange ------------------------------------------------------------------------------------------

    def ask(self, exchange: dict[str, Any]) -> str:
        """What differs from the recording, empty if nothing does."""
        recorded = exchange["response"]
        try:
            response = self._send(exchange["request"])
        except requests.ConnectionError:
            return "" if recorded["status"] is None else "no answer"
        if response.status_code != recorded["status"]:
            return f"status {response.status_code} instead of {recorded['status']}"
        return self._headers_differ(response, recorded["headers"]) or self._json_differs(response, recorded)

    def _send(self, request: dict[str, Any]) -> requests.Response:
        path = re.sub(r"/queue/item/(\d+)", lambda match: f"/queue/item/{self._id(match[1])}", request["path"])
        query = dict(request.get("query") or {})
        if path.endswith("cancelItem") and "id" in query:
            query["id"] = self._id(query["id"])
        form = dict(request.get("form") or {})
        recorded_crumb = str(form.get("Jenkins-Crumb", ""))
        if path.endswith("cancelItem") and "id" in form:
            form["id"] = self._id(form["id"])
        if "Jenkins-Crumb" in form:
            form["Jenkins-Crumb"] = self.crumbs[form["Jenkins-Crumb"]][0]
        body: Any = request["body"].encode() if request.get("body") else form or None
        headers = self._request_headers(request.get("headers") or {}, recorded_crumb)
        prepared = requests.Request(request["method"], self.jenkins.url + path, headers, None, body, query)
        prepared.auth = self._credentials(request)
        with requests.Session() as session:
            return session.send(session.prepare_request(prepared), allow_redirects=False, timeout=10)

    def _request_headers(self, recorded: dict[str, str], form_crumb: str) -> dict[str, str]:
        headers = dict(recorded)
        crumb = recorded.get("Jenkins-Crumb", "") or form_crumb
        known = self.crumbs.get(crumb) or next(iter(self.crumbs.values()), ("", ""))
        if crumb in self.crumbs and not form_crumb:
            headers["Jenkins-Crumb"] = known[0]
        if "Cookie" in headers:
            headers["Cookie"] = known[1]
        return headers

    def _credentials(self, request: dict[str, Any]) -> tuple[str, str] | None:
        user = request.get("user") or "relbot"
        match request["auth"]:
            case "token":
                return user, f"token-of-{user}"
            case "password":
                return user, PASSWORDS[user]
            case "wrong":
                return user, "wrong"
        return None

    def _id(self, recorded: Any) -> int:
        return self.ids.get(int(recorded), int(recorded)) if str(recorded).isdigit() else recorded

    def _headers_differ(self, response: requests.Response, recorded: dict[str, str]) -> str:
        for name in HEADERS:
            if (name in response.headers) != (name in recorded):
                return f"{name} is {'there' if name in response.headers else 'missing'}"
        for name in SAME_HEADERS.split():
            if response.headers.get(name) != recorded.get(name):
                return f"{name}: {response.headers.get(name)!r} instead of {recorded.get(name)!r}"
        here, there = response.headers.get("Location", ""), recorded.get("Location", "")
        if match := re.search(r"/queue/item/(\d+)/$", there):
            self.ids.setdefault(int(match[1]), int(here.rstrip("/").rsplit("/", 1)[-1]))
        if self._address(here, self.jenkins.url + "/") != self._address(there, RECORDED_ROOT):
            return f"Location {here} instead of {there}"
        return ""

    def _address(self, address: str, root: str) -> str:
        below = address.replace(root, "/", 1)
        if root == RECORDED_ROOT:
            below = re.sub(r"/queue/item/(\d+)", lambda match: f"/queue/item/{self._id(match[1])}", below)
        return below

    def _json_differs(self, response: requests.Response, recorded: dict[str, Any]) -> str:
        if "json" not in recorded:
            return ""
        here = response.json()
        if "crumb" in here:
            cookie = response.headers["Set-Cookie"].split(";")[0]
            self.crumbs[recorded["json"]["crumb"]] = (here["crumb"], cookie)
        mine = plain_shape(here, self.jenkins.url + "/")
        theirs = plain_shape(recorded["json"], RECORDED_ROOT)
        return "" if mine == theirs else f"JSON {difference(mine, theirs)}"


def plain_shape(value: Any, root: str, key: str = "") -> Any:
    """JSON without what differs from run to run: numbers, digits in texts, addresses, the order of executors."""
    if isinstance(value, dict):
        return {name: plain_shape(one, root, name) for name, one in value.items()}
    if isinstance(value, list):
        items = [plain_shape(one, root) for one in value]
        return sorted(items, key=json.dumps) if key == "executors" else items
    if isinstance(value, str):
        return "" if key in {"crumb", "path", "why"} and value else re.sub(r"\d+", "0", value.replace(root, "/"))
    return value if isinstance(value, bool) or value is None else 0


def difference(mine: Any, theirs: Any, where: str = "") -> str:
    """The first place where two shapes differ."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        if list(mine) != list(theirs):
            return f"{where}: fields {list(mine)} instead of {list(theirs)}"
        pairs = ((mine[name], theirs[name], f"{where}.{name}") for name in mine)
    elif isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        pairs = ((one, other, f"{where}[{index}]") for index, (one, other) in enumerate(zip(mine, theirs, strict=True)))
    else:
        return "" if mine == theirs else f"{where}: {mine!r} instead of {theirs!r}"[:600]
    return next((found for pair in pairs if (found := difference(*pair))), "")
