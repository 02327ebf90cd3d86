"""A Docker engine in miniature: the Engine API 1.41 as far as the docker SDK uses it for building and moving images.

Its answers were compared with docker.io 20.10.24. It builds nothing: the steps of a Dockerfile become layers that say
so. Pushes and pulls are real HTTP to the registry that the image's name begins with.
"""

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.docker_engine.dockerfile import Build, Cache, DockerfileError, StepFailed, parse, read_context
from kcibot.sandbox.docker_engine.facts import Built, Pushed, Trouble, TroubleKind, Troubles
from kcibot.sandbox.docker_engine.images import KNOWN_BASES, Image, ImageStore, Reference, base_image, short
from kcibot.sandbox.docker_engine.registry import RegistryClient, RegistryRefused
from kcibot.sandbox.http import Request, Response, StandIn, json_response
from kcibot.sandbox.registry import SCHEMA2, RegistryStandIn, sha256

API_VERSION = "1.41"
VERSION = {"Version": "20.10.24", "ApiVersion": API_VERSION, "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64"}

Line = dict[str, Any]


class DockerEngineStandIn(StandIn):
    """An engine next to a registry. A build takes `build_seconds` of the sandbox's time."""

    def __init__(self, registry: RegistryStandIn, clock: SandboxClock, build_seconds: float = 0.0) -> None:
        super().__init__()
        self.builds: list[Built] = []
        self.pushes: list[Pushed] = []
        self.images = ImageStore()
        self.registry = registry
        self._clock = clock
        self._build_time = timedelta(seconds=build_seconds)
        self._cache: Cache = {}
        self._hub: dict[str, Image] = {}
        self._lock = threading.Lock()
        self._salts = 0
        self._troubles = Troubles()

    def misbehave(self, trouble: Trouble) -> None:
        self._troubles.add(trouble)

    def seed(self, name: str, login: tuple[str, str] | None = None) -> str:
        """Put an older image of that name (`kernelci/x`) into the registry, as from the last release; its digest."""
        old = base_image("debian:buster").grown("2019-03-04T10:00:00Z", f"last release's {name}")
        return self._upload(old, Reference.parse(f"{self.registry.prefix}{name}"), login, [])

    def renew(self, name: str) -> str:
        """Docker Hub gets a newer image of a known base, such as debian:buster; its digest."""
        reference = str(Reference.parse(name))
        newer = (self._hub.get(reference) or base_image(reference)).grown(self._created(), f"newer {name}")
        self._hub[reference] = newer
        return sha256(newer.manifest)

    # ---- requests ---------------------------------------------------------------------------------------------

    def respond(self, request: Request) -> Response:
        path = re.sub(r"^/v\d+\.\d+(?=/)", "", unquote(request.path))
        for method, pattern, handler in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and method == request.method:
                return handler(self, request, *match.groups())
        return _message(404, "page not found")

    def ping(self, _request: Request) -> Response:
        return Response(200, b"OK", {"Content-Type": "text/plain", "Api-Version": API_VERSION})

    def version(self, _request: Request) -> Response:
        return json_response({**VERSION, "KernelVersion": "sandbox", "GitCommit": "sandbox", "Components": []})

    def info(self, _request: Request) -> Response:
        return json_response({"ID": "SAND:BOX", "Images": len(self.images.all()), "ServerVersion": VERSION["Version"]})

    def build(self, request: Request) -> Response:
        values = request.values()
        names = [str(Reference.parse(name)) for name in values.get("t", []) if name]
        try:
            context = read_context(request.body)
            instructions = parse(_dockerfile(context, values.get("dockerfile", ["Dockerfile"])[0]))
        except DockerfileError as error:
            return _message(error.status, str(error))
        no_cache = values.get("nocache", [""])[0].lower() not in {"", "0", "no", "false", "none"}
        started = self._clock.now()
        build = Build(
            context, self._base, self._check_step, self._created, self._cache, self._salt() if no_cache else ""
        )
        build.arguments = json.loads(values.get("buildargs", ["{}"])[0])
        time.sleep(self._clock.real_seconds(self._build_time))
        try:
            image = build.run(instructions)
        except StepFailed as error:
            return _stream([*build.lines, _failed(str(error), error.code)])
        for trouble in (TroubleKind.BUILD_CUT, TroubleKind.BUILD_STALL):
            if self._troubles.take(trouble, " ".join(names)):
                return _broken_stream(build.lines[: len(build.lines) // 2], trouble)
        self.images.keep(image, *names)
        base = self.images.find(build.base_name)
        for name in names:
            ids = (image.id, build.base_name, base.id if base else "")
            self.builds.append(Built(self._plain(name), *ids, no_cache, started, self._clock.now()))
        return _stream([*build.lines, *({"stream": f"Successfully tagged {name}\n"} for name in names)])

    def summaries(self, _request: Request) -> Response:
        return json_response([self._summary(image) for image in self.images.all()])

    def inspect(self, _request: Request, name: str) -> Response:
        image = self.images.find(name)
        if image is None:
            return _message(404, f"no such image: {name}: No such image: {Reference.parse(name)}")
        about = {"Architecture": "amd64", "Os": "linux", "Created": image.document["created"]}
        layers = [layer.diff_id for layer in image.layers]
        return json_response({**self._summary(image), **about, "RootFS": {"Type": "layers", "Layers": layers}})

    def tag(self, request: Request, name: str) -> Response:
        image = self.images.find(name)
        if image is None:
            return _message(404, f"No such image: {Reference.parse(name)}")
        values = request.values()
        reference = Reference.parse(values["repo"][0]).at(values.get("tag", ["latest"])[0])
        self.images.keep(image, str(reference))
        return Response(201)

    def remove(self, _request: Request, name: str) -> Response:
        lines = self.images.drop(name)
        return json_response(lines) if lines else _message(404, f"No such image: {Reference.parse(name)}")

    def push(self, request: Request, name: str) -> Response:
        if "X-Registry-Auth" not in request.headers and request.body[:1] != b"{":
            return _message(400, "Bad parameters and missing X-Registry-Auth: EOF")
        reference = Reference.parse(name).at(request.values().get("tag", ["latest"])[0])
        lines: list[Line] = [{"status": f"The push refers to repository [{reference.repository}]"}]
        image = self.images.find(str(reference))
        if image is None:
            missing = f"An image does not exist locally with the tag: {reference.repository}"
            return _stream([*lines, _failed(missing)])
        lines += [{"status": "Preparing", "progressDetail": {}, "id": short(each.diff_id)} for each in image.layers]
        trouble = self._troubles.take(TroubleKind.PUSH_ERROR, name)
        if trouble:
            return _stream([*lines, _failed(trouble.text)])
        if self._troubles.take(TroubleKind.PUSH_STALL, name):
            return _broken_stream(lines, TroubleKind.PUSH_STALL)
        return self._pushed(image, reference, _login(request), lines)

    def pull(self, request: Request) -> Response:
        values = request.values()
        reference = Reference.parse(values["fromImage"][0]).at(values.get("tag", ["latest"])[0] or "latest")
        first: Line = {"status": f"Pulling from {reference.path}", "id": reference.digest or reference.tag}
        trouble = self._troubles.take(TroubleKind.PULL_ERROR, str(reference))
        if trouble:
            return _stream([first, _failed(trouble.text)])
        if self._troubles.take(TroubleKind.PULL_LIE, str(reference)):
            return _stream([first, {"status": f"Status: Image is up to date for {reference}"}])
        known = self.images.find(str(reference))
        try:
            image, digest = self._pulled(reference, _login(request))
        except RegistryRefused as error:
            return _message(404 if error.missing else 500, str(error))
        fresh = known is None or known.id != image.id
        state = "Downloaded newer image for" if fresh else "Image is up to date for"
        return _stream([first, {"status": f"Digest: {digest}"}, {"status": f"Status: {state} {reference}"}])

    def distribution(self, request: Request, name: str) -> Response:
        try:
            digest, content = RegistryClient(Reference.parse(name), _login(request)).look()
        except RegistryRefused as error:
            if error.missing:
                return _message(404, "manifest unknown: manifest unknown")
            return _message(401 if "unauthorized" in str(error) else 500, str(error))
        about = {"mediaType": SCHEMA2, "digest": digest, "size": len(content)}
        return json_response({"Descriptor": about, "Platforms": [{"architecture": "amd64", "os": "linux"}]})

    # ---- parts ------------------------------------------------------------------------------------------------

    def _base(self, name: str) -> Image:
        """A local image; else one of the known bases; else pulled, as the real builder does."""
        found = self.images.find(name)
        if found is not None:
            return found
        try:
            return self._pulled(Reference.parse(name), None)[0]
        except RegistryRefused as error:
            raise StepFailed(str(error)) from error

    def _check_step(self, step: str) -> None:
        trouble = self._troubles.take(TroubleKind.BUILD_ERROR, step)
        if trouble:
            raise StepFailed(trouble.text, 1)

    def _pulled(self, reference: Reference, login: tuple[str, str] | None) -> tuple[Image, str]:
        if reference.repository in KNOWN_BASES or str(reference) in KNOWN_BASES:
            image = self._hub.get(str(reference)) or base_image(str(reference))
            digest = sha256(image.manifest)
            self.images.keep(image, str(reference), f"{reference.repository}@{digest}")
            return image, digest
        client = RegistryClient(reference, login)
        digest, content = client.look()
        image = client.download(content)
        self.images.keep(image, str(reference), f"{reference.repository}@{digest}")
        return image, digest

    def _pushed(self, image: Image, reference: Reference, login: tuple[str, str] | None, lines: list[Line]) -> Response:
        try:
            if self._troubles.take(TroubleKind.PUSH_LIE, str(reference)):
                digest = sha256(image.manifest)
            else:
                digest = self._upload(image, reference, login, lines)
        except RegistryRefused as error:
            return _stream([*lines, _failed(str(error))])
        self.images.keep(image, str(reference), f"{reference.repository}@{digest}")
        if self._troubles.take(TroubleKind.PUSH_CUT, str(reference)):
            return _broken_stream(lines, TroubleKind.PUSH_CUT)
        self.pushes.append(Pushed(self._plain(str(reference)), image.id, digest, self._clock.now()))
        size = len(image.manifest)
        lines.append({"status": f"{reference.tag}: digest: {digest} size: {size}"})
        lines.append({"progressDetail": {}, "aux": {"Tag": reference.tag, "Digest": digest, "Size": size}})
        return _stream(lines)

    @staticmethod
    def _upload(image: Image, reference: Reference, login: tuple[str, str] | None, lines: list[Line]) -> str:
        client = RegistryClient(reference, login)
        for layer in image.layers:
            known = client.has(layer)
            if not known:
                client.upload(layer.blob)
            state = "Layer already exists" if known else "Pushed"
            lines.append({"status": state, "progressDetail": {}, "id": short(layer.diff_id)})
        client.upload(image.config)
        return client.publish(image)

    def _salt(self) -> str:
        with self._lock:
            self._salts += 1
            return f"build {self._salts}"

    def _created(self) -> str:
        return self._clock.now().isoformat(timespec="microseconds")

    def _plain(self, name: str) -> str:
        """`kernelci/x` for what the engine knows as `127.0.0.1:1234/kernelci/x:latest`."""
        return Reference.parse(name).path

    def _summary(self, image: Image) -> Line:
        names = self.images.names(image)
        tags = [name for name in names if "@" not in name]
        digests = [name for name in names if "@" in name]
        size = sum(len(layer.blob) for layer in image.layers)
        return {"Id": image.id, "RepoTags": tags, "RepoDigests": digests, "Size": size, "ParentId": "", "Labels": None}


_ROUTES: tuple[tuple[str, str, Callable[..., Response]], ...] = (
    ("GET", "/_ping", DockerEngineStandIn.ping),
    ("HEAD", "/_ping", DockerEngineStandIn.ping),
    ("GET", "/version", DockerEngineStandIn.version),
    ("GET", "/info", DockerEngineStandIn.info),
    ("POST", "/build", DockerEngineStandIn.build),
    ("GET", "/images/json", DockerEngineStandIn.summaries),
    ("POST", "/images/create", DockerEngineStandIn.pull),
    ("GET", "/images/(.+)/json", DockerEngineStandIn.inspect),
    ("POST", "/images/(.+)/tag", DockerEngineStandIn.tag),
    ("POST", "/images/(.+)/push", DockerEngineStandIn.push),
    ("DELETE", "/images/(.+)", DockerEngineStandIn.remove),
    ("GET", "/distribution/(.+)/json", DockerEngineStandIn.distribution),
)


class _StreamHeaders(dict[str, str]):
    """Claims to have a length, so that the floor adds none: a stream of chunks must not name one."""

    def __contains__(self, name: object) -> bool:
        return name == "Content-Length" or super().__contains__(name)


_END = b"0\r\n\r\n"
_LEFT_OPEN = frozenset({TroubleKind.BUILD_STALL, TroubleKind.PUSH_STALL})


def _stream(lines: Iterable[Line]) -> Response:
    """JSON lines as chunks."""
    return Response(200, _chunks(lines) + _END, _StreamHeaders({**_CHUNKED, "Connection": "close"}))


def _broken_stream(lines: Iterable[Line], trouble: TroubleKind) -> Response:
    """The same without an end: the client sees a connection lost in the middle, or one that stays and says no more."""
    ending = {} if trouble in _LEFT_OPEN else {"Connection": "close"}
    return Response(200, _chunks(lines), _StreamHeaders({**_CHUNKED, **ending}))


_CHUNKED = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}


def _chunks(lines: Iterable[Line]) -> bytes:
    texts = [json.dumps(line).encode() + b"\r\n" for line in lines]
    return b"".join(f"{len(text):x}\r\n".encode() + text + b"\r\n" for text in texts)


def _message(status: int, text: str) -> Response:
    return json_response({"message": text}, status)


def _failed(text: str, code: int | None = None) -> Line:
    detail: dict[str, Any] = {"message": text} if code is None else {"code": code, "message": text}
    return {"errorDetail": detail, "error": text}


def _dockerfile(context: dict[str, bytes], name: str) -> str:
    if name not in context:
        raise DockerfileError(f"Cannot locate specified Dockerfile: {name}", 500)
    return context[name].decode()


def _login(request: Request) -> tuple[str, str] | None:
    text = request.headers.get("X-Registry-Auth", "")
    value = json.loads(base64.urlsafe_b64decode(text)) if text else {}
    return (value["username"], value["password"]) if value.get("username") else None
