"""Images as the engine stand-in keeps them: real configs, layers and manifests in the formats of Docker's schema 2."""

import gzip
import io
import json
import tarfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from kcibot.sandbox.registry import IMAGE_CONFIG, LAYER, SCHEMA2, sha256

KNOWN_BASES = frozenset(
    {"busybox", "debian:stretch", "debian:buster", "debian:buster-slim", "debian:bullseye", "debian:bookworm"}
    | {"debian:sid", "debian", "alpine", "ubuntu:18.04", "ubuntu:20.04", "python:3"}
)
"""What stands for Docker Hub: images that can be built upon without any network."""

_HUB_EPOCH = "2019-03-01T00:00:00Z"


@dataclass(frozen=True)
class Layer:
    """One layer: `diff_id` names the unpacked tar file, `digest` the packed one that travels."""

    diff_id: str
    blob: bytes

    @cached_property
    def digest(self) -> str:
        return sha256(self.blob)


def layer_of(files: Mapping[str, bytes]) -> Layer:
    """A layer of those files. Same files, same bytes."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return Layer(sha256(raw.getvalue()), gzip.compress(raw.getvalue(), mtime=0))


@dataclass(frozen=True)
class Image:
    """`config` is the JSON document whose digest is the image's id."""

    config: bytes
    layers: tuple[Layer, ...]

    @cached_property
    def id(self) -> str:
        return sha256(self.config)

    @property
    def short(self) -> str:
        return short(self.id)

    @cached_property
    def document(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.config)
        return value

    @cached_property
    def manifest(self) -> bytes:
        config = {"mediaType": IMAGE_CONFIG, "size": len(self.config), "digest": self.id}
        layers = [{"mediaType": LAYER, "size": len(layer.blob), "digest": layer.digest} for layer in self.layers]
        value = {"schemaVersion": 2, "mediaType": SCHEMA2, "config": config, "layers": layers}
        return json.dumps(value, indent=3).encode()

    def grown(self, created: str, command: str, layer: Layer | None = None) -> "Image":
        """The image after one more step, with what it was done by in its history."""
        layers = self.layers if layer is None else (*self.layers, layer)
        step = {"created": created, "created_by": command, **({} if layer else {"empty_layer": True})}
        return _image(created, [*self.document["history"], step], layers)


def short(name: str) -> str:
    """The twelve digits by which engines show ids in a stream."""
    return name.removeprefix("sha256:")[:12]


def base_image(name: str) -> Image:
    """A base image as from Docker Hub: the same at every call."""
    layer = layer_of({"etc/os-release": f"PRETTY_NAME={name}\n".encode()})
    return _image(_HUB_EPOCH, [{"created": _HUB_EPOCH, "created_by": f"/bin/sh -c #(nop) ADD {name} in /"}], (layer,))


def scratch(created: str) -> Image:
    return _image(created, [], ())


def _image(created: str, history: list[dict[str, Any]], layers: tuple[Layer, ...]) -> Image:
    rootfs = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
    value = {"architecture": "amd64", "os": "linux", "created": created, "config": {"Env": []}}
    return Image(json.dumps({**value, "history": history, "rootfs": rootfs}).encode(), layers)


@dataclass(frozen=True)
class Reference:
    """A parsed image name: `host` is empty for Docker Hub."""

    host: str
    path: str
    tag: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> "Reference":
        name, _, digest = text.removeprefix("docker.io/").removeprefix("library/").partition("@")
        head, _, tail = name.rpartition("/")
        last, _, tag = tail.partition(":")
        path = f"{head}/{last}" if head else last
        host, _, rest = path.partition("/")
        if rest and ("." in host or ":" in host or host == "localhost"):
            return cls(host, rest, tag or "latest", digest)
        return cls("", path, tag or "latest", digest)

    def at(self, tag: str) -> "Reference":
        """The same repository under another tag, or under a digest, as the pull request has it in one parameter."""
        return replace(self, tag="latest", digest=tag) if ":" in tag else replace(self, tag=tag, digest="")

    @property
    def repository(self) -> str:
        return f"{self.host}/{self.path}" if self.host else self.path

    @property
    def wanted(self) -> str:
        """What to ask the registry for."""
        return self.digest or self.tag

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"


class ImageStore:
    """The engine's own images, by id, under their tags and under the digests that registries know them by."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._images: dict[str, Image] = {}
        self._names: dict[str, str] = {}

    def keep(self, image: Image, *names: str) -> None:
        """Take in an image under full names (`repository:tag`, `repository@digest`), which move to it."""
        with self._lock:
            self._images[image.id] = image
            self._names.update(dict.fromkeys(names, image.id))

    def find(self, text: str) -> Image | None:
        with self._lock:
            found = self._images.get(self._names.get(str(Reference.parse(text)), ""))
            wanted = text.removeprefix("sha256:")
            if found is None and len(wanted) >= len("0123456789ab"):
                return next(
                    (image for key, image in self._images.items() if key[len("sha256:") :].startswith(wanted)), None
                )
            return found

    def names(self, image: Image) -> tuple[str, ...]:
        with self._lock:
            return tuple(sorted(name for name, key in self._names.items() if key == image.id))

    def all(self) -> tuple[Image, ...]:
        """The images that have a name."""
        with self._lock:
            return tuple(self._images[key] for key in dict.fromkeys(self._names.values()))

    def drop(self, text: str) -> list[dict[str, str]]:
        """Remove a name, and with its last tag the image; what was done, in the engine's words."""
        image = self.find(text)
        if image is None:
            return []
        named = str(Reference.parse(text))
        gone = [named] if named in self.names(image) else list(self.names(image))
        gone += [name for name in self.names(image) if name.startswith(Reference.parse(text).repository + "@")]
        with self._lock:
            for name in gone:
                self._names.pop(name, None)
            lines = [{"Untagged": name} for name in dict.fromkeys(gone)]
            if image.id not in self._names.values():
                del self._images[image.id]
                lines.append({"Deleted": image.id})
            return lines
