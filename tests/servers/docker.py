"""A Docker engine and a registry, with their own folders: nothing of this machine's engine or network is touched."""

import io
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import requests

from tests.servers.floor import folder_for, free_port, needed, running, until


@contextmanager
def registry() -> Iterator[str]:
    """Its URL."""
    needed(["docker-registry"], "docker-registry")
    port = free_port()
    with folder_for("registry") as folder:
        (folder / "registry.yml").write_text(
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}\n"
            f"http: {{addr: 127.0.0.1:{port}}}\n"
        )
        url, log = f"http://127.0.0.1:{port}", folder / "log"
        with running(["docker-registry", "serve", str(folder / "registry.yml")], log):
            until(lambda: _answers(url), log)
            yield url


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/v2/", timeout=2).ok
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
