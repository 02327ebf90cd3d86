"""The registry's side of Docker images: one repository, asked and changed by the distribution API v2."""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kcibot.errors import KcibotError, NotFound, OutcomeUnknown, PermanentError, TransientError
from kcibot.services.images.engine import LOOK_SECONDS, chain

if TYPE_CHECKING:
    import requests

Login = Callable[[], tuple[str, str]]

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
"""Asked for in every look: a registry shows a client that names none of them another manifest, with another digest."""

_ASKED = re.compile(r'(\w+)="([^"]*)"')
_ABSENT = frozenset({"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "BLOB_UNKNOWN"})


@dataclass(frozen=True, slots=True)
class Manifest:
    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(self.content).hexdigest()

    def parts(self) -> tuple[tuple[str, str], ...]:
        """Media type and digest of what must be there; layers with addresses of their own are kept elsewhere."""
        try:
            value = json.loads(self.content)
            parts = [*value.get("manifests", []), *value.get("layers", []), *filter(None, [value.get("config")])]
            return tuple((part["mediaType"], part["digest"]) for part in parts if not part.get("urls"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PermanentError(f"The registry's manifest {self.digest} cannot be read.") from error


class Registry:
    """One repository of the registry, by the distribution API v2, with a login or a token when it asks for one."""

    def __init__(self, root: str, name: str, login: Login | None) -> None:
        import requests  # noqa: PLC0415 (imported at first use: the bot starts without it)

        self._root, self._name, self._login = root, name, login
        self._session = requests.Session()
        self._session.trust_env = urlsplit(root).hostname not in {"127.0.0.1", "localhost", "::1"}
        self._authorization = ""

    def digest(self, reference: str) -> str | None:
        answer = self._look("HEAD", f"manifests/{reference}")
        if answer is None:
            return None
        shown = answer.headers.get("Docker-Content-Digest", "")
        if DIGEST.fullmatch(shown) and _media_type(answer) in MANIFESTS:
            return shown
        manifest = self.manifest(reference)
        return None if manifest is None else manifest.digest

    def manifest(self, reference: str) -> Manifest | None:
        answer = self._look("GET", f"manifests/{reference}")
        if answer is None:
            return None
        manifest = Manifest(_media_type(answer), answer.content)
        named = reference if DIGEST.fullmatch(reference) else answer.headers.get("Docker-Content-Digest")
        if manifest.media_type not in MANIFESTS or named not in {None, manifest.digest}:
            raise TransientError(f"What the registry sent for {self._name} is not the manifest that was asked for.")
        return manifest

    def prove(self, digest: str) -> None:
        """The manifest and everything it refers to is there, or NotFound."""
        manifest = self.manifest(digest)
        if manifest is None:
            raise NotFound(f"The registry has no {self._name} as {digest}.")
        for media_type, part in manifest.parts():
            if media_type in MANIFESTS:
                self.prove(part)
            elif self._look("HEAD", f"blobs/{part}") is None:
                raise NotFound(f"The registry has {self._name} as {digest}, but lost a part of it, {part}.")

    def put(self, tag: str, manifest: Manifest) -> None:
        answer = self._ask("PUT", f"manifests/{tag}", manifest)
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise OutcomeUnknown(f"The registry failed while {self._name}:{tag} was set ({answer.status_code}).")
        self._accepted(answer)

    def _look(self, method: str, where: str) -> "requests.Response | None":
        answer = self._ask(method, where)
        if method == "HEAD" and answer.status_code == HTTPStatus.NOT_FOUND:
            answer = self._ask("GET", where)  # only its body says what was not found
        if answer.status_code == HTTPStatus.NOT_FOUND and _codes(answer) & _ABSENT:
            return None
        return self._accepted(answer)

    def _ask(self, method: str, where: str, manifest: Manifest | None = None) -> "requests.Response":
        answer = self._sent(method, where, manifest)
        if answer.status_code != HTTPStatus.UNAUTHORIZED:
            return answer
        self._authorization = self._authorized(answer.headers.get("Www-Authenticate", ""))
        return self._sent(method, where, manifest)

    def _sent(self, method: str, where: str, manifest: Manifest | None) -> "requests.Response":
        url = f"{self._root}/v2/{self._name}/{where}"
        headers = {"Accept": ", ".join(MANIFESTS)} | ({"Content-Type": manifest.media_type} if manifest else {})
        content = manifest.content if manifest else None
        try:
            return self._session.request(
                method, url, data=content, headers=headers, auth=self._signed, timeout=LOOK_SECONDS
            )
        except OSError as error:
            raise self._lost(error, acting=method == "PUT") from error

    def _signed(self, request: "requests.PreparedRequest") -> "requests.PreparedRequest":
        if self._authorization:
            request.headers["Authorization"] = self._authorization
        return request

    def _lost(self, error: OSError, *, acting: bool) -> KcibotError:
        from urllib3.exceptions import ConnectTimeoutError, NewConnectionError  # noqa: PLC0415 (imported at first use: the bot starts without it)

        if any(isinstance(each, NewConnectionError | ConnectTimeoutError) for each in chain(error)):
            return TransientError(f"The image registry at {self._root} cannot be reached.")
        lost = OutcomeUnknown if acting else TransientError
        return lost(f"The connection to the image registry at {self._root} was lost, or it did not answer in time.")

    def _authorized(self, challenge: str) -> str:
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic":
            return self._basic()
        asked = dict(_ASKED.findall(rest))
        realm = asked.pop("realm", "")
        if scheme.lower() != "bearer" or not realm:
            raise PermanentError(
                f"The image registry at {self._root} asks for a login of a kind the bot does not know."
            )
        # A password goes to another host, or the same one on another port, only where nobody can read it on the way.
        safe = realm.startswith("https://") or urlsplit(realm)[:2] == urlsplit(self._root)[:2]
        self._authorization = self._basic() if self._login and safe else ""
        try:
            answer = self._session.get(realm, params=asked, auth=self._signed, timeout=LOOK_SECONDS)
            token = self._accepted(answer).json()
            return f"Bearer {token.get('token') or token['access_token']}"
        except (OSError, ValueError, KeyError) as error:
            raise TransientError(f"The image registry at {self._root} gave no token.") from error

    def _basic(self) -> str:
        if self._login is None:
            raise PermanentError(f"The image registry at {self._root} asks for a login, and none is configured.")
        return "Basic " + b64encode(":".join(self._login()).encode()).decode()

    def _accepted(self, answer: "requests.Response") -> "requests.Response":
        status, about = answer.status_code, f"The image registry at {self._root} answered for {self._name}"
        if answer.ok:
            return answer
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise PermanentError(f"The image registry at {self._root} refuses this login for {self._name}.")
        passing = {HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT}
        if status in passing or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise TransientError(f"{about} with status {status}.")
        raise PermanentError(f"{about} with status {status} ({', '.join(sorted(_codes(answer))) or 'no reason'}).")


def _media_type(answer: "requests.Response") -> str:
    return answer.headers.get("Content-Type", "").partition(";")[0].strip()


def _codes(answer: "requests.Response") -> set[str]:
    try:
        return {str(each["code"]) for each in answer.json()["errors"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
