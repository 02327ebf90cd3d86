"""A Docker registry in miniature: the distribution API v2 over HTTP, with true digests and the real one's error bodies.

Its answers were compared with docker-registry 2.8.2. One trap is kept on purpose: who does not say in `Accept` that it
knows schema 2 gets a tag's manifest converted to schema 1, under another digest.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from kcibot.sandbox.http import Request, Response, StandIn, json_response

SCHEMA2 = "application/vnd.docker.distribution.manifest.v2+json"
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
IMAGE_CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
SERVICE = "registry.sandbox"

_PART = r"[a-z0-9]+(?:(?:\.|__|_|-+)[a-z0-9]+)*"
_NAME = rf"(?P<name>{_PART}(?:/{_PART})*)"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}


class AuthScheme(StrEnum):
    """How a registry asks for its login: for everything, or like Docker Hub by tokens, where everybody may pull."""

    BASIC = "basic"
    BEARER = "bearer"


@dataclass(frozen=True, slots=True)
class Manifest:
    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        return sha256(self.content)


@dataclass(slots=True)
class _Repository:
    manifests: dict[str, Manifest] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    blobs: set[str] = field(default_factory=set)


class RegistryStandIn(StandIn):
    """A registry; with a `login` it is needed for every push, and under `AuthScheme.BASIC` for every look as well."""

    def __init__(self, login: tuple[str, str] | None = None, scheme: AuthScheme = AuthScheme.BASIC) -> None:
        super().__init__()
        self._login = login
        self._scheme = scheme
        self._lock = threading.RLock()
        self._repositories: dict[str, _Repository] = {}
        self._content: dict[str, bytes] = {}
        self._uploads: dict[str, bytes] = {}
        self._tokens: dict[str, frozenset[str]] = {}
        self._routes: tuple[tuple[re.Pattern[str], Mapping[str, _Handler]], ...] = _routes(self)

    # ---- facts ------------------------------------------------------------------------------------------------

    @property
    def prefix(self) -> str:
        """What stands before an image's name so that an engine goes to this registry."""
        return f"127.0.0.1:{self.port}/"

    def digest(self, name: str, tag: str = "latest") -> str | None:
        with self._lock:
            repository = self._repositories.get(name)
            return repository.tags.get(tag) if repository else None

    def names(self) -> tuple[str, ...]:
        """The repositories that have a tag."""
        with self._lock:
            return tuple(sorted(name for name, repository in self._repositories.items() if repository.tags))

    def lose(self, name: str, blob: str) -> None:
        """Misbehave: lose a layer or config of that repository, as a broken storage would."""
        with self._lock:
            self._repositories[name].blobs.discard(blob)

    # ---- requests ---------------------------------------------------------------------------------------------

    def respond(self, request: Request) -> Response:
        with self._lock:
            if request.path == "/token" and self._scheme is AuthScheme.BEARER:
                return self._token(request)
            for pattern, handlers in self._routes:
                match = pattern.fullmatch(request.path)
                if match:
                    refused = self._refused(request, match.groupdict().get("name"))
                    handler = handlers.get(request.method)
                    return refused or (handler(request, **match.groupdict()) if handler else Response(405))
        return Response(404, b"404 page not found\n", {"Content-Type": "text/plain; charset=utf-8", **_VERSION})

    def base(self, _request: Request) -> Response:
        return json_response({}, headers=_VERSION)

    def tags(self, _request: Request, name: str) -> Response:
        repository = self._repositories.get(name)
        if repository is None or not repository.tags:
            return _error(404, "NAME_UNKNOWN", "repository name not known to registry", {"name": name})
        return json_response({"name": name, "tags": sorted(repository.tags)}, headers=_VERSION)

    def get_manifest(self, request: Request, name: str, reference: str) -> Response:
        repository = self._repositories.get(name, _Repository())
        by_tag = not _DIGEST.fullmatch(reference)
        manifest = repository.manifests.get(repository.tags.get(reference, "") if by_tag else reference)
        if manifest is None:
            detail = {"Tag": reference} if by_tag else {"Name": name, "Revision": reference}
            return _error(404, "MANIFEST_UNKNOWN", "manifest unknown", detail)
        if by_tag and manifest.media_type == SCHEMA2 and SCHEMA2 not in _header(request, "Accept"):
            manifest = _as_schema1(name, reference, manifest)
        headers = {"Content-Type": manifest.media_type, "Docker-Content-Digest": manifest.digest, **_VERSION}
        return Response(200, manifest.content, {**headers, "Etag": f'"{manifest.digest}"'})

    def put_manifest(self, request: Request, name: str, reference: str) -> Response:
        manifest = Manifest(_header(request, "Content-Type"), request.body)
        wanted = _referenced(manifest.content)
        if wanted is None:
            return _error(400, "MANIFEST_INVALID", "manifest invalid", {})
        if _DIGEST.fullmatch(reference) and reference != manifest.digest:
            return _error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        known = self._repositories.get(name, _Repository())
        missing = [digest for digest in wanted if digest not in known.blobs and digest not in known.manifests]
        if missing:
            return _errors(400, [("MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", digest) for digest in missing])
        repository = self._repository(name)
        repository.manifests[manifest.digest] = manifest
        if not _DIGEST.fullmatch(reference):
            repository.tags[reference] = manifest.digest
        return self._created(f"/v2/{name}/manifests/{manifest.digest}", manifest.digest)

    def delete_manifest(self, _request: Request, name: str, reference: str) -> Response:
        if not _DIGEST.fullmatch(reference):
            return _error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        repository = self._repositories.get(name, _Repository())
        if repository.manifests.pop(reference, None) is None:
            return _error(404, "MANIFEST_UNKNOWN", "manifest unknown", {"Name": name, "Revision": reference})
        for tag in [tag for tag, digest in repository.tags.items() if digest == reference]:
            del repository.tags[tag]
        return Response(202, headers=_VERSION)

    def get_blob(self, _request: Request, name: str, digest: str) -> Response:
        if digest not in self._repositories.get(name, _Repository()).blobs:
            return _error(404, "BLOB_UNKNOWN", "blob unknown to registry", digest)
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest, **_VERSION}
        return Response(200, self._content[digest], headers)

    def delete_blob(self, _request: Request, name: str, digest: str) -> Response:
        repository = self._repositories.get(name, _Repository())
        if digest not in repository.blobs:
            return _error(404, "BLOB_UNKNOWN", "blob unknown to registry", digest)
        repository.blobs.discard(digest)
        return Response(202, headers=_VERSION)

    def start_upload(self, request: Request, name: str) -> Response:
        values = request.values()
        if "digest" in values:
            return self._finished(name, values["digest"][0], request.body)
        mount, source = values.get("mount", [""])[0], values.get("from", [""])[0]
        if mount in self._repositories.get(source, _Repository()).blobs:
            return self._finished(name, mount, self._content[mount])
        upload = f"{len(self._uploads):08x}-0000-4000-8000-{len(self.requests):012x}"
        self._uploads[upload] = b""
        return self._uploading(202, name, upload)

    def upload(self, request: Request, name: str, upload: str) -> Response:
        """Everything that happens to a begun upload: more of it, its end, a question how far it is, or its end."""
        if upload not in self._uploads:
            return _error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", {})
        if request.method == "GET":
            return self._uploading(204, name, upload)
        content = self._uploads.pop(upload) + request.body
        if request.method == "DELETE":
            return Response(204, headers=_VERSION)
        if request.method == "PUT":
            return self._finished(name, request.values().get("digest", [""])[0], content)
        self._uploads[upload] = content
        return self._uploading(202, name, upload)

    # ---- storage ----------------------------------------------------------------------------------------------

    def _repository(self, name: str) -> _Repository:
        return self._repositories.setdefault(name, _Repository())

    def _finished(self, name: str, digest: str, content: bytes) -> Response:
        if sha256(content) != digest:
            detail = {"Digest": digest, "Reason": {}}
            return _error(400, "DIGEST_INVALID", "provided digest did not match uploaded content", detail)
        self._content[digest] = content
        self._repository(name).blobs.add(digest)
        return self._created(f"/v2/{name}/blobs/{digest}", digest)

    def _created(self, path: str, digest: str) -> Response:
        return Response(201, headers={"Location": self.url + path, "Docker-Content-Digest": digest, **_VERSION})

    def _uploading(self, status: int, name: str, upload: str) -> Response:
        # The real one keeps its state in the address: clients must append the digest to the query, not begin one.
        location = f"{self.url}/v2/{name}/blobs/uploads/{upload}?_state=here"
        last = max(len(self._uploads[upload]) - 1, 0)
        return Response(
            status, headers={"Location": location, "Range": f"0-{last}", "Docker-Upload-Uuid": upload, **_VERSION}
        )

    # ---- who may ----------------------------------------------------------------------------------------------

    def _refused(self, request: Request, name: str | None) -> Response | None:
        if self._login is None:
            return None
        action = "pull" if request.method in {"GET", "HEAD"} else "push"
        if self._scheme is AuthScheme.BASIC:
            allowed = _credentials(request) == self._login
            challenge = 'Basic realm="sandbox"'
        else:
            scheme, _, token = _header(request, "Authorization").partition(" ")
            granted = self._tokens.get(token) if scheme == "Bearer" else None
            allowed = granted is not None and (name is None or f"{name}:{action}" in granted)
            scope = f',scope="repository:{name}:{"pull" if action == "pull" else "pull,push"}"' if name else ""
            challenge = f'Bearer realm="{self.url}/token",service="{SERVICE}"{scope}'
        if allowed:
            return None
        detail = [{"Type": "repository", "Class": "", "Name": name, "Action": action}] if name else None
        refused = _error(401, "UNAUTHORIZED", "authentication required", detail)
        return Response(401, refused.body, {**refused.headers, "Www-Authenticate": challenge})

    def _token(self, request: Request) -> Response:
        given = _credentials(request)
        if given is not None and given != self._login:
            return _error(401, "UNAUTHORIZED", "authentication required")
        granted = set()
        for scope in request.values().get("scope", []):
            _kind, name, actions = scope.split(":")
            granted |= {f"{name}:{action}" for action in actions.split(",") if given or action == "pull"}
        token = f"sandbox-token-{len(self._tokens)}"
        self._tokens[token] = frozenset(granted)
        return json_response({"token": token, "access_token": token, "expires_in": 300})


_Handler = Callable[..., Response]


def _routes(registry: RegistryStandIn) -> tuple[tuple[re.Pattern[str], Mapping[str, _Handler]], ...]:
    look, change = ("GET", "HEAD"), ("GET", "PATCH", "PUT", "DELETE")
    digest = rf"(?P<digest>{_DIGEST.pattern})"
    return (
        (re.compile("/v2/"), dict.fromkeys(look, registry.base)),
        (re.compile(f"/v2/{_NAME}/tags/list"), {"GET": registry.tags}),
        (
            re.compile(f"/v2/{_NAME}/manifests/(?P<reference>[^/]+)"),
            dict.fromkeys(look, registry.get_manifest)
            | {"PUT": registry.put_manifest, "DELETE": registry.delete_manifest},
        ),
        (
            re.compile(f"/v2/{_NAME}/blobs/{digest}"),
            dict.fromkeys(look, registry.get_blob) | {"DELETE": registry.delete_blob},
        ),
        (re.compile(f"/v2/{_NAME}/blobs/uploads/"), {"POST": registry.start_upload}),
        (re.compile(f"/v2/{_NAME}/blobs/uploads/(?P<upload>[0-9a-f-]+)"), dict.fromkeys(change, registry.upload)),
    )


def sha256(content: bytes) -> str:
    """The digest by which registries and engines name a content."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _header(request: Request, name: str) -> str:
    return next((value for key, value in request.headers.items() if key.lower() == name.lower()), "")


def _credentials(request: Request) -> tuple[str, str] | None:
    scheme, _, value = _header(request, "Authorization").partition(" ")
    if scheme.lower() != "basic":
        return None
    user, _, password = base64.b64decode(value).decode().partition(":")
    return user, password


def _error(status: int, code: str, message: str, detail: object = None) -> Response:
    return _errors(status, [(code, message, detail)])


def _errors(status: int, errors: list[tuple[str, str, object]]) -> Response:
    bodies = [{"code": code, "message": message, "detail": detail} for code, message, detail in errors]
    return json_response({"errors": bodies}, status, {"Content-Type": "application/json; charset=utf-8", **_VERSION})


def _referenced(content: bytes) -> list[str] | None:
    """The digests that must be there for a manifest to be taken; None if it is no manifest."""
    try:
        value = json.loads(content)
    except ValueError:
        return None
    return list(_digests(value)) if isinstance(value, dict) and ("config" in value or "manifests" in value) else None


def _digests(manifest: dict[str, Any]) -> Iterator[str]:
    if "config" in manifest:
        yield manifest["config"]["digest"]
    for part in [*manifest.get("layers", []), *manifest.get("manifests", [])]:
        yield part["digest"]


def _as_schema1(name: str, tag: str, manifest: Manifest) -> Manifest:
    layers = [{"blobSum": layer["digest"]} for layer in reversed(json.loads(manifest.content).get("layers", []))]
    old = {"schemaVersion": 1, "name": name, "tag": tag, "architecture": "amd64", "fsLayers": layers, "history": []}
    return Manifest(SCHEMA1, json.dumps(old, indent=3).encode())
