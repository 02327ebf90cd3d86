"""A LAVA lab: which jobs of ours are open there. Asked over REST or, for older servers, XML-RPC."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

from kcibot.core.ports.labs import Device, DeviceStatus, LabJobState, LabLook, OpenJob
from kcibot.errors import ConfigError, PermanentError
from kcibot.services.lava.http import LavaServer
from kcibot.services.lava.rest import RestApi
from kcibot.services.lava.xmlrpc import XmlRpcApi

if TYPE_CHECKING:
    import requests

Api = Literal["rest", "xmlrpc"]

BEGUN = tuple(state for state in LabJobState if state.has_begun)
WAITING = tuple(state for state in LabJobState if not state.has_begun)


class _Talk(Protocol):
    """What both interfaces tell."""

    def user(self, session: "requests.Session") -> str | None: ...

    def count(self, session: "requests.Session", states: Iterable[LabJobState]) -> int: ...

    def open_jobs(self, session: "requests.Session") -> list[OpenJob]: ...

    def devices(self, session: "requests.Session") -> list[Device]: ...


class LavaLab:
    """Fulfils `Lab`.

    `url` is the server's root, with or without `/RPC2/`. `token` is one of the tokens of `user`, asked at every look;
    the jobs that are told about are that user's. `api` is `rest` from 2020 on, `xmlrpc` for every version.
    `timeout_seconds` is for one request; a look is at least four.
    """

    def __init__(
        self, name: str, url: str, user: str, token: Callable[[], str], api: Api, timeout_seconds: float = 10.0
    ) -> None:
        self._name = name
        self._user = user
        self._token = token
        make_header, talk = (self._rest_login, RestApi) if api == "rest" else (self._xmlrpc_login, XmlRpcApi)
        self._server = LavaServer(name, url, user, make_header, timeout_seconds)
        self._talk: _Talk = talk(self._server)

    @property
    def name(self) -> str:
        return self._name

    def look(self) -> LabLook:
        """Waiting jobs are counted before those that have begun: one that begins meanwhile counts twice, not never."""
        with self._known() as session:
            waiting = self._talk.count(session, WAITING)
            begun = self._talk.count(session, BEGUN)
            devices = self._talk.devices(session)
        online = sum(device.status is not DeviceStatus.OFFLINE for device in devices)
        return LabLook(self._name, waiting, begun, online, len(devices))

    def open_jobs(self) -> tuple[OpenJob, ...]:
        """Ours that have not finished, oldest first."""
        with self._known() as session:
            return tuple(self._talk.open_jobs(session))

    def devices(self) -> tuple[Device, ...]:
        """Every board that the user may see, by name."""
        with self._known() as session:
            return tuple(sorted(self._talk.devices(session), key=lambda device: device.name))

    @contextmanager
    def _known(self) -> "Iterator[requests.Session]":
        """A session in which the lab takes us for our user: to others it shows fewer jobs, without saying so."""
        with self._server.session() as session:
            user = self._talk.user(session)
            if user is None:
                raise PermanentError(f"The lab {self._name} takes us for a stranger: our login does not reach it.")
            if user != self._user:
                raise PermanentError(f"The token for the lab {self._name} is one of {user}, not of {self._user}.")
            yield session

    def _rest_login(self) -> str:
        return f"Token {self._secret()}"

    def _xmlrpc_login(self) -> str:
        return "Basic " + b64encode(f"{self._user}:{self._secret()}".encode()).decode()

    def _secret(self) -> str:
        secret = self._token()
        if not (secret and secret.isascii() and secret.isprintable() and " " not in secret):
            raise ConfigError(f"The token of the lab {self._name} is empty, or holds a line break or another odd sign.")
        return secret
