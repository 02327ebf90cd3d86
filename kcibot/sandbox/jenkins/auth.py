"""Who asks, what they may do, and the crumbs that a password needs."""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from enum import StrEnum

from kcibot.sandbox.http import Request

SESSION_COOKIE = "JSESSIONID.4039e798"
CRUMB_FIELD = "Jenkins-Crumb"


class Permission(StrEnum):
    """The value of X-Required-Permission."""

    ADMINISTER = "hudson.model.Hudson.Administer"
    READ = "hudson.model.Hudson.Read"
    JOB_READ = "hudson.model.Item.Read"
    BUILD = "hudson.model.Item.Build"
    CANCEL = "hudson.model.Item.Cancel"
    CONFIGURE = "hudson.model.Item.Configure"
    CREATE = "hudson.model.Item.Create"
    DELETE = "hudson.model.Item.Delete"

    @property
    def shown(self) -> str:
        """As on the page: `Job/Build`."""
        group, name = self.value.split(".")[-2:]
        return f"{'Overall' if group == 'Hudson' else 'Job'}/{name}"

    @property
    def implied_by(self) -> str:
        """The header that Jenkins sends along; empty for the permission that nothing implies."""
        generic = {
            Permission.ADMINISTER: [],
            Permission.READ: ["GenericRead"],
            Permission.JOB_READ: ["GenericRead"],
            Permission.CONFIGURE: ["GenericConfigure", "GenericUpdate", "GenericWrite"],
            Permission.CREATE: ["GenericCreate", "GenericWrite"],
            Permission.DELETE: ["GenericDelete", "GenericWrite"],
        }.get(self, ["GenericUpdate", "GenericWrite"])
        names = [f"hudson.security.Permission.{name}" for name in generic]
        return ", ".join([*names, Permission.ADMINISTER.value]) if names else ""


VIEWER = frozenset({Permission.READ, Permission.JOB_READ})
ADMINISTRATOR = frozenset(Permission)


@dataclass(frozen=True, slots=True)
class User:
    """An empty password or token fits nothing."""

    name: str
    token: str = ""
    password: str = ""
    permissions: frozenset[Permission] = ADMINISTRATOR


ANONYMOUS = User("anonymous", permissions=frozenset())


class WrongCredentials(Exception):
    """Names the user as whom somebody tried."""


@dataclass(frozen=True, slots=True)
class Caller:
    """`session` is the cookie's value, empty without one. An API token needs no crumb."""

    user: User
    session: str = ""
    by_token: bool = False

    @property
    def anonymous(self) -> bool:
        return self.user is ANONYMOUS

    def may(self, permission: Permission) -> bool:
        return permission in self.user.permissions


@dataclass(slots=True)
class Gatekeeper:
    """The user database and the crumb issuer."""

    users: dict[str, User] = field(default_factory=dict)
    salt: str = "sandbox"

    def identify(self, request: Request) -> Caller:
        """Raises WrongCredentials."""
        session = _cookie(_header(request, "Cookie"))
        basic = _header(request, "Authorization")
        if not basic.startswith("Basic "):
            return Caller(ANONYMOUS, session)
        name, _, secret = base64.b64decode(basic.removeprefix("Basic ")).decode(errors="replace").partition(":")
        user = self.users.get(name)
        if user and secret and secret in {user.token, user.password}:
            return Caller(user, session, by_token=secret == user.token)
        raise WrongCredentials(name)

    def crumb(self, caller: Caller, session: str) -> str:
        return hashlib.sha256(f"{self.salt}/{caller.user.name}/{session}".encode()).hexdigest()

    def crumb_fits(self, caller: Caller, request: Request) -> bool:
        """A crumb belongs to its user and to the session cookie that it came with."""
        if caller.by_token:
            return True
        given = _header(request, CRUMB_FIELD) or request.form().get(CRUMB_FIELD, [""])[0]
        return bool(caller.session) and given == self.crumb(caller, caller.session)


def crumb_given(request: Request) -> bool:
    return bool(_header(request, CRUMB_FIELD))


def _header(request: Request, name: str) -> str:
    return next((value for key, value in request.headers.items() if key.lower() == name.lower()), "")


def _cookie(header: str) -> str:
    match = re.search(r"JSESSIONID[^=]*=([^;]+)", header)
    return match[1] if match else ""
