"""A Docker engine and a registry, with their own folders: nothing of this machine's engine or network is touched."""

import io
import os
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import docker
import requests

from tests.servers.floor import folder_for, free_port, needed, running, until

Login = tuple[str, str]


class RegistryServer:
    """A registry of its own folder and port, which it keeps over a restart. With a login it lets nobody else in."""

    def __init__(self, folder: Path, login: Login | None) -> None:
        self.folder = folder
        self.port = free_port()
        self._pid = 0
        self._stack = ExitStack()
        access = _only(folder, login) if login else ""
        (folder / "registry.yml").write_text(
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}\n"
            f"http: {{addr: 127.0.0.1:{self.port}}}\n{access}"
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        """What stands before the names of its images."""
        return f"127.0.0.1:{self.port}/"

    def start(self) -> None:
        log = self.folder / "log"
        argv = ["docker-registry", "serve", str(self.folder / "registry.yml")]
        self._pid = self._stack.enter_context(running(argv, log))
        until(lambda: _answers(self.url), log)

    def kill(self) -> None:
        """At once, whatever it is doing."""
        os.killpg(self._pid, signal.SIGKILL)
        self._stack.close()

    def stop(self) -> None:
        self._stack.close()

    def blob(self, digest: str) -> Path:
        """The file that holds it."""
        word = digest.removeprefix("sha256:")
        return self.folder / "data/docker/registry/v2/blobs/sha256" / word[:2] / word / "data"

    def uploads(self, name: str) -> Path:
        """Where it keeps what has not arrived as a whole."""
        return self.folder / "data/docker/registry/v2/repositories" / name / "_uploads"


def _only(folder: Path, login: Login) -> str:
    user, password = login
    needed(["htpasswd"], "apache2-utils")
    file = folder / "htpasswd"
    subprocess.run(["htpasswd", "-Bci", str(file), user], input=password.encode(), check=True, capture_output=True)
    return f"auth: {{htpasswd: {{realm: test, path: {file}}}}}\n"


@contextmanager
def registry(login: Login | None = None) -> Iterator[RegistryServer]:
    """It runs."""
    needed(["docker-registry"], "docker-registry")
    with folder_for("registry") as folder:
        server = RegistryServer(folder, login)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/v2/", timeout=2).status_code in {200, 401}
    except requests.ConnectionError:
        return False


@contextmanager
def engine() -> Iterator[str]:
    """The URL of its socket. It has one image, debian:buster, which holds a shell and nothing of Debian."""
    needed(["dockerd", "docker", "busybox"], "docker.io iptables busybox-static", root=True)
    with folder_for("engine") as folder:
        url, log = f"unix://{folder}/docker.sock", folder / "log"
        with running(_engine_argv(folder), log):
            until(lambda: _pings(url), log)
            _import_base(url)
            yield url


def _engine_argv(folder: Path) -> list[str]:
    """No bridge and no forwarding: the machine's own network stays as it is."""
    return [
        *("dockerd", f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid"),
        *("-H", f"unix://{folder}/docker.sock", "--insecure-registry", "127.0.0.0/8", "--bridge=none"),
        *("--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"),
        *("--storage-driver=overlay2", "--exec-opt", "native.cgroupdriver=cgroupfs"),
    ]


def _client(url: str, seconds: float) -> docker.APIClient:
    return docker.APIClient(url, version="1.41", timeout=seconds)


def _pings(url: str) -> bool:
    try:
        return bool(_client(url, 2).ping())
    except (requests.RequestException, docker.errors.DockerException):
        return False


def _import_base(url: str) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        tar.add(str(shutil.which("busybox")), arcname="bin/busybox")
        shell = tarfile.TarInfo("bin/sh")
        shell.type, shell.linkname = tarfile.SYMTYPE, "busybox"
        tar.addfile(shell)
    _client(url, 20).import_image_from_data(raw.getvalue(), repository="debian", tag="buster")
