"""A file server like storage.kernelci.org: root file systems, `last-commit_<config>` files, whatever jobs upload."""

import mimetypes
import threading
from pathlib import Path
from urllib.parse import unquote

from kcibot.sandbox.http import Request, Response, StandIn, json_response

TOKEN = "storage-token"

ROOTFS_FILES = (
    "initrd.cpio.gz",
    "rootfs.cpio.gz",
    "full.rootfs.tar.xz",
    "full.rootfs.cpio.gz",
    "rootfs.ext4.xz",
    "build_info.json",
)
"""What one root file system build uploads per architecture (2021)."""


def rootfs_folder(name: str, version: str, arch: str) -> str:
    """Where a root file system's files lie; `arch` is the root file system's own word (armhf, amd64)."""
    return f"images/rootfs/debian/{name}/{version}/{arch}"


class StorageStandIn(StandIn):
    """Serves files from a folder, which outlives it, or from memory without one.

    GET and HEAD are free for all; PUT wants the token, bare, in the Authorization header, and answers 201 for a new
    file and 200 for a replaced one. No path leads out of the folder.
    """

    def __init__(self, folder: Path | None = None, token: str = TOKEN) -> None:
        super().__init__()
        self._folder = folder
        self._token = token
        self._lock = threading.Lock()
        self._files: dict[str, bytes] = {}

    def put(self, path: str, content: bytes) -> None:
        """Write a file; ValueError if the path would lie outside."""
        parts = _parts(path)
        if not parts:
            raise ValueError(f"not a path below the storage's root: {path!r}")
        with self._lock:
            if self._folder is None:
                self._files["/".join(parts)] = content
                return
            target = self._folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            new = target.with_name(f".{target.name}.new")
            new.write_bytes(content)
            new.replace(target)

    def read(self, path: str) -> bytes | None:
        """A file's content, or None if there is no such file."""
        parts = _parts(path)
        with self._lock:
            if self._folder is None:
                return self._files.get("/".join(parts))
            return _read_below(self._folder, parts)

    def paths(self) -> tuple[str, ...]:
        """Every file, by its path from the root, sorted."""
        with self._lock:
            if self._folder is None:
                return tuple(sorted(self._files))
            files = (file for file in self._folder.rglob("*") if file.is_file() and not file.name.startswith("."))
            return tuple(sorted(file.relative_to(self._folder).as_posix() for file in files))

    def put_rootfs(self, name: str, version: str, arch: str) -> None:
        """Upload all files of one root file system build, small."""
        for file in ROOTFS_FILES:
            path = f"{rootfs_folder(name, version, arch)}/{file}"
            self.put(path, f"{path}\n".encode())

    def respond(self, request: Request) -> Response:
        path = unquote(request.path)
        match request.method:
            case "GET" | "HEAD":
                return self._file(path)
            case "PUT":
                return self._upload(path, request)
            case _:
                return json_response({"code": 405, "reason": "Operation not allowed"}, 405)

    def _file(self, path: str) -> Response:
        content = self.read(path)
        if content is None:
            return Response(404, b"<html>404 Not Found</html>", {"Content-Type": "text/html"})
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        return Response(200, content, {"Content-Type": kind})

    def _upload(self, path: str, request: Request) -> Response:
        if request.headers.get("Authorization") != self._token:
            return json_response({"code": 403, "reason": "Operation not permitted"}, 403)
        known = self.read(path) is not None
        try:
            self.put(path, request.body)
        except (ValueError, OSError) as error:
            return json_response({"code": 400, "reason": str(error)}, 400)
        status = 200 if known else 201
        return json_response({"code": status, "result": [{"filename": path.lstrip("/"), "status": status}]}, status)


def _parts(path: str) -> tuple[str, ...]:
    """The path's folders and name, or nothing if it could lead out of the root or names no file."""
    parts = tuple(part for part in path.split("/") if part)
    unsafe = any(part.startswith(".") or "\\" in part or "\0" in part for part in parts)
    return () if unsafe else parts


def _read_below(folder: Path, parts: tuple[str, ...]) -> bytes | None:
    target = folder.joinpath(*parts)
    # A link put into the folder by hand could lead out of it, even where the path looks harmless.
    if not parts or not target.is_file() or not target.resolve().is_relative_to(folder.resolve()):
        return None
    return target.read_bytes()
