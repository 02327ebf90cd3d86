"""Asks a Jenkins what a real one was asked for the recordings, and tells what differs from the recorded answer.

Compared are the status, the headers named here, and the JSON apart from its numbers and addresses.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.contract.jenkins.names import RECORDED_ROOT, RECORDED_USER
from tests.contract.jenkins.subject import NoAnswer, Subject, Work

NAMED = (
    "X-Jenkins X-Jenkins-Session X-Hudson X-Text-Size Set-Cookie X-Permission-Implied-By X-You-Are-In-Group-Disabled"
)
HEADERS = [*NAMED.split(), "Retry-After", "Refresh"]
USER_HEADER = "X-You-Are-Authenticated-As"
SAME_HEADERS = f"X-Error X-More-Data WWW-Authenticate Allow Cache-Control {USER_HEADER} X-Required-Permission"
DEPENDS_ON_TIME = re.compile(r"/(queue/|job/[^/]+/(api/|\d+/|lastBuild))")
BETWEEN_LOOKS = 0.1
SHELL = Work()
"""What the recorded jobs did: SECS seconds, and a failure of the version `bad`."""


@dataclass
class Replay:
    """Asks one file's exchanges again; keeps what ids, crumbs and cookies of the recording are here."""

    subject: Subject
    ids: dict[int, int] = field(default_factory=dict)
    crumbs: dict[str, tuple[str, str]] = field(default_factory=dict)
    begun: float = 0.0
    series: int = 1

    def job(self, name: str, xml: str, work: Work = SHELL) -> None:
        self.subject.job(name, xml, work)

    def trigger(self, name: str, quiet: float = 0.0, recorded: int = 0, **parameters: str) -> None:
        self.ids[recorded] = self.subject.trigger(name, parameters, quiet)

    def pass_time(self, seconds: float) -> None:
        self.subject.pass_time(seconds)

    def at(self, moment: float) -> None:
        """Go to that second of the recording."""
        ahead = self.begun + moment - self.subject.now()
        if ahead < 0:
            self.begun += self.subject.delayed(-ahead)
        self.pass_time(ahead)

    def begin(self, second_of_tick: float = 0.0) -> None:
        """Second zero is now; the queue is looked at when a multiple of five plus this is reached."""
        self.subject.align(second_of_tick)
        self.begun = self.subject.now()

    def started_at(self, name: str, moment: float) -> None:
        """The job's first build has just started, at that second of the recording."""
        if self.subject.await_start(name):
            self.begun = self.subject.now() - moment

    # ---- one exchange ------------------------------------------------------------------------------------------

    def ask(self, exchange: dict[str, Any]) -> str:
        """What differs from the recording, empty if nothing does. A look that is too early is repeated."""
        request, deadline = exchange["request"], self.subject.now() + self.subject.patience
        patient = request["method"] == "GET" and DEPENDS_ON_TIME.match(request["path"])
        while (found := self._ask_once(exchange)) and patient and self.subject.now() < deadline:
            self.pass_time(BETWEEN_LOOKS)
        return found

    def _ask_once(self, exchange: dict[str, Any]) -> str:
        recorded = exchange["response"]
        try:
            response = self._send(exchange["request"])
        except NoAnswer:
            return "" if recorded["status"] is None else "no answer"
        if response.status_code != recorded["status"]:
            return f"status {response.status_code} instead of {recorded['status']}"
        path = exchange["request"]["path"]
        return self._headers_differ(response, recorded["headers"]) or self._json_differs(path, response, recorded)

    def _send(self, request: dict[str, Any]) -> requests.Response:
        path = re.sub(r"/queue/item/(\d+)", lambda match: f"/queue/item/{self._id(match[1])}", request["path"])
        names = self.subject.names
        query = names.values(path, request.get("query") or {})
        if path.endswith("cancelItem") and "id" in query:
            query["id"] = self._id(query["id"])
        form = names.values(path, request.get("form") or {})
        recorded_crumb = str(form.get("Jenkins-Crumb", ""))
        if path.endswith("cancelItem") and "id" in form:
            form["id"] = self._id(form["id"])
        if "Jenkins-Crumb" in form:
            form["Jenkins-Crumb"] = self.crumbs[form["Jenkins-Crumb"]][0]
        body: Any = form or None
        if request.get("body"):
            body = names.xml(request["body"]).encode()
        headers = self._request_headers(request.get("headers") or {}, recorded_crumb)
        login = self.subject.login(request["auth"], request.get("user") or RECORDED_USER)
        address = self.subject.url + names.path(path)
        return self.subject.send(requests.Request(request["method"], address, headers, None, body, query, auth=login))

    def _request_headers(self, recorded: dict[str, str], form_crumb: str) -> dict[str, str]:
        headers = dict(recorded)
        crumb = recorded.get("Jenkins-Crumb", "") or form_crumb
        known = self.crumbs.get(crumb) or next(iter(self.crumbs.values()), ("", ""))
        if crumb in self.crumbs and not form_crumb:
            headers["Jenkins-Crumb"] = known[0]
        if "Cookie" in headers:
            headers["Cookie"] = known[1]
        return headers

    def _id(self, recorded: Any) -> Any:
        if not str(recorded).isdigit():
            return recorded
        return self.ids.get(int(recorded), self.subject.unknown_item(int(recorded)))

    def _headers_differ(self, response: requests.Response, recorded: dict[str, str]) -> str:
        for name in HEADERS:
            if (name in response.headers) != (name in recorded):
                return f"{name} is {'there' if name in response.headers else 'missing'}"
        names = self.subject.names
        for name in SAME_HEADERS.split():
            here = response.headers.get(name)
            if here is not None:
                here = names.user(here) if name == USER_HEADER else names.text(here)
            if here != recorded.get(name):
                return f"{name}: {here!r} instead of {recorded.get(name)!r}"
        return self._location_differs(names.text(response.headers.get("Location", "")), recorded.get("Location", ""))

    def _location_differs(self, here: str, recorded: str) -> str:
        items = [re.search(r"/queue/item/(\d+)/$", address) for address in (recorded, here)]
        if items[0] and items[1]:
            self.ids.setdefault(int(items[0][1]), int(items[1][1]))
        expected = re.sub(r"/queue/item/(\d+)", lambda match: f"/queue/item/{self._id(match[1])}", recorded)
        return "" if here == expected else f"Location {here} instead of {expected}"

    def _json_differs(self, path: str, response: requests.Response, recorded: dict[str, Any]) -> str:
        if "json" not in recorded:
            return ""
        here = response.json()
        if "crumb" in here:
            cookie = response.headers["Set-Cookie"].split(";")[0]
            self.crumbs[recorded["json"]["crumb"]] = (here["crumb"], cookie)
        ours = self.subject.narrowed(path, here, set(self.ids.values()))
        mine, theirs = plain_shape(self.subject.names.recorded(ours)), plain_shape(recorded["json"])
        return "" if mine == theirs else f"JSON {difference(mine, theirs)}"


def plain_shape(value: Any, key: str = "") -> Any:
    """JSON without what differs from run to run: numbers, digits in texts, addresses, the order of executors."""
    if isinstance(value, dict):
        return {name: plain_shape(one, name) for name, one in value.items()}
    if isinstance(value, list):
        items = [plain_shape(one) for one in value]
        return sorted(items, key=json.dumps) if key == "executors" else items
    if isinstance(value, str):
        return (
            "" if key in {"crumb", "path", "why"} and value else re.sub(r"\d+", "0", value.replace(RECORDED_ROOT, "/"))
        )
    return value if isinstance(value, bool) or value is None else 0


def difference(mine: Any, theirs: Any, where: str = "") -> str:
    """The first place where two shapes differ."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        if list(mine) != list(theirs):
            missing, more = (
                [name for name in one if name not in other] for one, other in ((theirs, mine), (mine, theirs))
            )
            return f"{where}: missing {missing}, more {more}" if missing or more else f"{where}: order {list(mine)}"
        pairs = ((mine[name], theirs[name], f"{where}.{name}") for name in mine)
    elif isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        pairs = ((one, other, f"{where}[{index}]") for index, (one, other) in enumerate(zip(mine, theirs, strict=True)))
    else:
        return "" if mine == theirs else f"{where}: {mine!r} instead of {theirs!r}"[:600]
    return next((found for pair in pairs if (found := difference(*pair))), "")
