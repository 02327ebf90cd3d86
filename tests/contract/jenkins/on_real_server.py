"""A real Jenkins as the subject of a test, over nothing but HTTP.

Its jobs are ours alone: each test makes them with a random prefix and removes them at its end, whatever happened.
Time passes really. The token is in no error, no traceback and no address that is shown.
"""

import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote, unquote, urlsplit

import pytest
import requests
from requests.auth import AuthBase, HTTPBasicAuth

from kcibot.errors import KcibotError
from kcibot.services.jenkins.adapter import JenkinsServer
from tests.contract.jenkins.definitions import freestyle, with_shell
from tests.contract.jenkins.names import RECORDED_USER, Names
from tests.contract.jenkins.on_stand_in import NoLogin
from tests.contract.jenkins.subject import NoAnswer, Work, eventually

VARIABLE = "KCIBOT_TEST_JENKINS"
TIMEOUT = 30.0
CLEANING_SECONDS = 60.0
NOBODYS_ITEM = 10**15
XML = {"Content-Type": "text/xml; charset=utf-8"}
FOLDER = "<com.cloudbees.hudson.plugins.folder.Folder/>"
DONE = {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT, HTTPStatus.FOUND}
COMMON_GROUPS = {"", "authenticated"}
LISTS = {"items", "discoverableItems", "jobs"}


@dataclass(frozen=True, slots=True)
class Access:
    """`url` has no slash at its end."""

    url: str
    user: str
    token: str = field(repr=False)


def access() -> Access | None:
    """What the environment names. The address itself is never shown."""
    parts = urlsplit(os.environ.get(VARIABLE, ""))
    if not parts.netloc:
        return None
    login, _, host = parts.netloc.rpartition("@")
    user, _, token = login.partition(":")
    found = Access(f"{parts.scheme}://{host}{parts.path.rstrip('/')}", unquote(user), unquote(token))
    del parts, login, token
    if not (found.user and found.token and found.url.startswith("http")):
        raise pytest.UsageError(f"{VARIABLE} must look like http://user:token@host:port/")
    return found


class Discreet:
    """The adapter, whose errors keep their sentence and lose what they came from: requests, which hold the token."""

    def __init__(self, server: JenkinsServer) -> None:
        self._server = server

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._server, name)

        def call(*values: Any, **named: Any) -> Any:
            try:
                return method(*values, **named)
            except KcibotError as error:
                raise error.with_traceback(None) from None

        return call


class RealSubject:
    """Fulfils `Subject`. `version` is what the server says of itself."""

    patience = 4.0
    step = 0.1

    def __init__(self, access: Access) -> None:
        self.url = access.url
        self._access = access
        self._with_parameters: set[str] = set()
        self.names = Names((), prefix=f"kcibot-test-{secrets.token_hex(4)}-")
        root = self._get("/api/json", "mode,url")
        self.version = root.headers.get("X-Jenkins", "of an unknown version")
        me = self._get("/me/api/json", "id,fullName").json()
        configured = root.json().get("url") or ""
        roots = sorted({f"{self.url}/", configured} - {""}, key=len, reverse=True)
        self.names = Names(tuple(roots), self.names.prefix, (access.user, me["id"], me["fullName"]))

    # ---- asking ----

    def login(self, kind: str, user: str) -> AuthBase:
        assert kind in {"token", "anonymous"}, "a real server is asked with our token only"
        assert user == RECORDED_USER, "a real server knows no other user of the recordings"
        return self._credentials() if kind == "token" else NoLogin()

    def send(self, request: requests.Request) -> requests.Response:
        path = str(request.url).removeprefix(self.url)
        assert self.names.harmless(request.method, path, request.params or {}), f"{request.method} {path} is not ours"
        try:
            with requests.Session() as session:
                prepared = session.prepare_request(request)
                surroundings = session.merge_environment_settings(str(prepared.url), {}, None, None, None)
                return session.send(prepared, allow_redirects=False, timeout=TIMEOUT, **surroundings)
        except requests.RequestException as error:
            how = type(error).__name__
        raise NoAnswer(f"{request.method} {path} got no answer ({how}).")

    def narrowed(self, path: str, answer: Any, items: set[int]) -> Any:
        """Also without the groups of our user, which are the server's own matter."""
        if not isinstance(answer, dict) or not re.match(r"/+(queue/|whoAmI/)?api/", path):
            return answer
        ours = {name: [one for one in answer[name] if self.names.is_ours(one, items)] for name in LISTS & set(answer)}
        if "authorities" in answer:
            ours["authorities"] = [one for one in answer["authorities"] if one in COMMON_GROUPS]
        return {**answer, **ours}

    def unknown_item(self, recorded: int) -> int:
        return NOBODYS_ITEM

    def adapter(self) -> JenkinsServer:
        server = JenkinsServer(self.url, self._access.user, lambda: self._access.token, TIMEOUT)
        return cast("JenkinsServer", Discreet(server))

    def _credentials(self) -> AuthBase:
        """An object, so that no traceback shows what is in it."""
        return HTTPBasicAuth(self._access.user, self._access.token)

    def _get(self, path: str, tree: str) -> requests.Response:
        request = requests.Request("GET", self.url + path, params={"tree": tree}, auth=self._credentials())
        answer = self.send(request)
        assert answer.status_code == HTTPStatus.OK, f"GET {path} of the server in {VARIABLE}: {answer.status_code}"
        return answer

    def _post(self, path: str, query: Mapping[str, str] | None = None, body: Any = None) -> requests.Response:
        headers = XML if isinstance(body, bytes) else {}
        return self.send(
            requests.Request("POST", self.url + path, headers, None, body, query or {}, auth=self._credentials())
        )

    def _act(self, path: str, query: Mapping[str, str] | None = None, body: Any = None) -> requests.Response:
        answer = self._post(path, query, body)
        assert answer.status_code in DONE, f"POST {path} of the server in {VARIABLE}: {answer.status_code}"
        return answer

    def _job(self, name: str) -> str:
        return f"/job/{self.names.prefix}{quote(name)}"

    # ---- time ----

    def now(self) -> float:
        return time.monotonic()

    def pass_time(self, seconds: float) -> None:
        """Waiting is the only way."""
        threading.Event().wait(max(0.0, seconds))

    def align(self, second_of_tick: float) -> None:
        """When the server looks at its queue is not for us to choose."""

    def delayed(self, seconds: float) -> float:
        """What took longer here must not make what follows come sooner than recorded."""
        return seconds

    def await_start(self, name: str) -> bool:
        eventually(self, lambda: self._get(f"{self._job(name)}/api/json", "lastBuild[number]").json().get("lastBuild"))
        return True

    # ---- setting the scene ----

    def parametrised(self, *names: str) -> str:
        return freestyle({name: name.lower() for name in names})

    def job(self, name: str, xml: str, work: Work) -> None:
        body = with_shell(self.names.xml(xml), work).encode()
        if name in self._our_jobs():
            self._act(f"{self._job(name)}/config.xml", body=body)
        else:
            self._act("/createItem", {"name": self.names.prefix + name}, body)
        if "parameterDefinitions" in xml:
            self._with_parameters.add(name)

    def recorded_work(self, name: str, work: Work) -> None:
        """The recorded XML has a shell step."""

    def trigger(self, name: str, parameters: dict[str, str], quiet: float) -> int:
        action = "buildWithParameters" if name in self._with_parameters else "build"
        answer = self._act(f"{self._job(name)}/{action}", {"delay": f"{round(quiet)}sec"}, parameters)
        item = int(answer.headers["Location"].rstrip("/").rsplit("/", 1)[-1])
        if quiet == 0:
            eventually(self, lambda: self._is_settled(item))
        return item

    def _is_settled(self, item: int) -> bool:
        state = self._get(f"/queue/item/{item}/api/json", "blocked,cancelled,executable[number]").json()
        return bool(state.get("blocked") or state.get("executable") or state.get("cancelled"))

    def stop(self, name: str) -> None:
        builds = self._get(f"{self._job(name)}/api/json", "builds[number,building]").json().get("builds", ())
        for build in builds:
            if build["building"]:
                self._act(f"{self._job(name)}/{build['number']}/stop")

    def set_disabled(self, name: str, disabled: bool) -> None:
        self._act(f"{self._job(name)}/{'disable' if disabled else 'enable'}")

    def clear_queue(self) -> None:
        """An item that leaves meanwhile needs no cancelling."""
        queue = self._get("/queue/api/json", "items[id,task[name,url]]").json()
        for item in self.narrowed("/queue/api/json", queue, set())["items"]:
            self._post("/queue/cancelItem", {"id": str(item["id"])})

    @cached_property
    def has_folders(self) -> bool:
        """Found out by making one, which needs no permission to look at plugins."""
        made = self._post("/createItem", {"name": f"{self.names.prefix}folder"}, FOLDER.encode())
        if made.status_code == HTTPStatus.OK:
            self._act(f"{self._job('folder')}/doDelete")
        return made.status_code == HTTPStatus.OK

    # ---- leaving nothing behind ----

    def _our_jobs(self) -> list[str]:
        names = [str(job["name"]) for job in self._get("/api/json", "jobs[name]").json()["jobs"]]
        return [name.removeprefix(self.names.prefix) for name in names if name.startswith(self.names.prefix)]

    def clean_up(self) -> None:
        """Jenkins stops what runs of a job before it deletes it, which may take more than one try."""
        deadline, trouble = self.now() + CLEANING_SECONDS, "they are still there"
        while self.now() < deadline:
            try:
                if self._nothing_left():
                    return
            except (NoAnswer, AssertionError) as error:
                trouble = str(error)
            self.pass_time(self.step)
        raise AssertionError(f"Jobs {self.names.prefix}* may be left on the server: {trouble}")

    def _nothing_left(self) -> bool:
        self.clear_queue()
        for name in self._our_jobs():
            self.stop(name)
            self._post(f"{self._job(name)}/doDelete")
        return not self._our_jobs()


@contextmanager
def real_server(found: Access) -> Iterator[RealSubject]:
    subject = RealSubject(found)
    try:
        yield subject
    finally:
        subject.clean_up()
