"""The engine stand-in's way to a registry: it really uploads and downloads, and fails in the engine's words."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

import requests

from kcibot.sandbox.docker_engine.images import Image, Layer, Reference
from kcibot.sandbox.registry import SCHEMA2, sha256

_SECONDS = 30.0
_ASKED = re.compile(r'(\w+)="([^"]*)"')


class RegistryRefused(Exception):
    """The registry could not be used; the text is what the engine would say. `missing` when it has no such image."""

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


class RegistryClient:
    """One use of the registry that a reference names, with a login or without one."""

    def __init__(self, reference: Reference, login: tuple[str, str] | None) -> None:
        self._reference = reference
        self._login = login
        self._root = f"http://{reference.host}"
        self._session = requests.Session()
        self._session.trust_env = False
        if not reference.host:
            hub = "https://registry-1.docker.io/v2/"
            raise RegistryRefused(f'Get "{hub}": dial tcp: lookup registry-1.docker.io: no such host')

    def has(self, layer: Layer) -> bool:
        return self._ask("HEAD", f"blobs/{layer.digest}").ok

    def upload(self, content: bytes) -> None:
        """One blob, in two parts like the real engine."""
        begun = self._accepted(self._ask("POST", "blobs/uploads/"))
        kind = {"Content-Type": "application/octet-stream"}
        more = self._accepted(self._ask("PATCH", begun.headers["Location"], data=content, headers=kind))
        end = f"{more.headers['Location']}&digest={sha256(content)}"
        self._accepted(self._ask("PUT", end, headers=kind))

    def publish(self, image: Image) -> str:
        """Put the manifest under the reference's tag, after its parts were uploaded; its digest."""
        kind = {"Content-Type": SCHEMA2}
        answer = self._accepted(self._ask("PUT", f"manifests/{self._reference.tag}", data=image.manifest, headers=kind))
        return answer.headers["Docker-Content-Digest"]

    def look(self) -> tuple[str, bytes]:
        """The digest and content of the manifest."""
        answer = self._ask("GET", f"manifests/{self._reference.wanted}", headers={"Accept": SCHEMA2})
        if answer.status_code == requests.codes.not_found:
            problem = "manifest unknown: manifest unknown"
            raise RegistryRefused(f"manifest for {self._reference} not found: {problem}", missing=True)
        return self._accepted(answer).headers["Docker-Content-Digest"], answer.content

    def download(self, content: bytes) -> Image:
        """The image of that manifest."""
        manifest: dict[str, Any] = json.loads(content)
        config = self._blob(manifest["config"]["digest"])
        diff_ids = json.loads(config)["rootfs"]["diff_ids"]
        blobs = [self._blob(layer["digest"]) for layer in manifest["layers"]]
        return Image(config, tuple(Layer(diff_id, blob) for diff_id, blob in zip(diff_ids, blobs, strict=True)))

    def _blob(self, digest: str) -> bytes:
        return self._accepted(self._ask("GET", f"blobs/{digest}")).content

    def _ask(
        self, method: str, where: str, *, data: bytes | None = None, headers: dict[str, str] | None = None
    ) -> requests.Response:
        url = where if where.startswith("http") else f"{self._root}/v2/{self._reference.path}/{where}"
        answer = self._sent(method, url, data, dict(headers or {}))
        if answer.status_code != requests.codes.unauthorized:
            return answer
        authorization = self._authorization(answer.headers.get("Www-Authenticate", ""))
        return self._sent(method, url, data, {**(headers or {}), "Authorization": authorization})

    def _sent(self, method: str, url: str, data: bytes | None, headers: dict[str, str]) -> requests.Response:
        try:
            return self._session.request(method, url, data=data, headers=headers, timeout=_SECONDS)
        except requests.ConnectionError as error:
            at = urlsplit(url).netloc
            raise RegistryRefused(f'Get "{self._root}/v2/": dial tcp {at}: connect: connection refused') from error

    def _authorization(self, challenge: str) -> str:
        scheme, _, asked = challenge.partition(" ")
        if scheme == "Basic":
            if self._login is None:
                raise RegistryRefused("no basic auth credentials")
            return requests.auth._basic_auth_str(*self._login)  # noqa: SLF001 (the only public face needs a request)
        parameters = dict(_ASKED.findall(asked))
        realm = parameters.pop("realm")
        answer = self._session.get(realm, params=parameters, auth=self._login, timeout=_SECONDS)
        return f"Bearer {self._accepted(answer).json()['token']}"

    @staticmethod
    def _accepted(answer: requests.Response) -> requests.Response:
        if answer.ok:
            return answer
        if answer.status_code == requests.codes.unauthorized:
            raise RegistryRefused("unauthorized: authentication required")
        try:
            error = answer.json()["errors"][0]
            text = f"{error['code'].lower().replace('_', ' ')}: {error['message']}"
        except (ValueError, KeyError, IndexError):
            text = f"received unexpected HTTP status: {answer.status_code} {answer.reason}"
        raise RegistryRefused(text)
