"""The file server's stand-in, and the adapter that asks it whether a file is there."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from kcibot.errors import PermanentError, TransientError
from kcibot.sandbox.http import Fault, FaultKind, Request, Response, StandIn
from kcibot.sandbox.storage import TOKEN, StorageStandIn, rootfs_folder
from kcibot.services.storage import HttpFileStore

ROOTFS = f"{rootfs_folder('buster', '20190506.0', 'armhf')}/initrd.cpio.gz"


@pytest.fixture(params=["memory", "folder"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StorageStandIn]:
    folder = tmp_path / "storage"
    folder.mkdir()
    (tmp_path / "secret").write_text("outside")
    stand_in = StorageStandIn(folder if request.param == "folder" else None)
    with stand_in:
        yield stand_in


def raw(storage: StorageStandIn, method: str, path: str, body: bytes = b"") -> int:
    """A request whose path nobody tidies up on the way."""
    connection = http.client.HTTPConnection("127.0.0.1", storage.port, timeout=5)
    connection.request(method, path, body, {"Authorization": TOKEN})
    status = connection.getresponse().status
    connection.close()
    return status


def test_what_is_uploaded_can_be_read(storage: StorageStandIn) -> None:
    url = f"{storage.url}/kernelci/last-commit_kernelci"
    assert requests.get(url, timeout=5).status_code == 404
    headers = {"Authorization": TOKEN}
    assert requests.put(url, b"a" * 40, headers=headers, timeout=5).status_code == 201
    assert requests.put(url, b"b" * 40, headers=headers, timeout=5).status_code == 200
    assert requests.get(url, timeout=5).content == b"b" * 40
    assert storage.read("kernelci/last-commit_kernelci") == b"b" * 40
    assert storage.paths() == ("kernelci/last-commit_kernelci",)


def test_an_upload_needs_the_token(storage: StorageStandIn) -> None:
    assert requests.put(f"{storage.url}/a", b"x", timeout=5).status_code == 403
    assert storage.paths() == ()


@pytest.mark.parametrize("path", ["/../secret", "/a/../../secret", "/%2e%2e/secret", "/..%2fsecret", "/.hidden", "/"])
def test_no_path_leads_out_of_the_folder(storage: StorageStandIn, path: str, tmp_path: Path) -> None:
    assert raw(storage, "GET", path) == 404
    assert raw(storage, "PUT", path, b"overwritten") == 400
    assert (tmp_path / "secret").read_text() == "outside"


def test_no_link_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    (tmp_path / "storage").mkdir()
    (tmp_path / "storage" / "link").symlink_to(tmp_path / "secret")
    storage = StorageStandIn(tmp_path / "storage")
    with storage:
        assert raw(storage, "GET", "/link") == 404


def test_a_folder_keeps_its_files_for_the_next_server(tmp_path: Path) -> None:
    first = StorageStandIn(tmp_path)
    with first:
        first.put_rootfs("buster", "20190506.0", "armhf")
    second = StorageStandIn(tmp_path)
    with second:
        assert HttpFileStore().exists(f"{second.url}/{ROOTFS}")


def test_exists_is_true_for_200_and_false_for_404(storage: StorageStandIn) -> None:
    storage.put_rootfs("buster", "20190506.0", "armhf")
    store = HttpFileStore()
    assert store.exists(f"{storage.url}/{ROOTFS}") is True
    assert store.exists(f"{storage.url}/{ROOTFS.replace('armhf', 'arm64')}") is False
    assert {request.method for request in storage.requests} == {"HEAD"}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(FaultKind.STATUS, status=500), TransientError),
        (Fault(FaultKind.STATUS, status=503), TransientError),
        (Fault(FaultKind.STATUS, status=429), TransientError),
        (Fault(FaultKind.STATUS, status=403), PermanentError),
        (Fault(FaultKind.STATUS, status=204), PermanentError),
        (Fault(FaultKind.HTML), TransientError),
        (Fault(FaultKind.HANG), TransientError),
        (Fault(FaultKind.RESET_BEFORE), TransientError),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else value.__name__,
)
def test_anything_else_raises_for_a_file_that_is_there(fault: Fault, error: type[Exception]) -> None:
    with StorageStandIn() as storage:
        assert isinstance(storage, StorageStandIn)
        storage.put(ROOTFS, b"x")
        storage.faults.add(Fault(fault.kind, status=fault.status))
        with pytest.raises(error):
            HttpFileStore(timeout_seconds=0.3).exists(f"{storage.url}/{ROOTFS}")


class Redirecting(StandIn):
    def __init__(self, target: str) -> None:
        super().__init__()
        self._target = target

    def respond(self, request: Request) -> Response:
        return Response(301, b"", {"Location": self._target})


def test_a_file_that_moved_to_another_host_under_its_path_is_found(storage: StorageStandIn) -> None:
    storage.put(ROOTFS, b"x")
    with Redirecting(f"{storage.url}/{ROOTFS}") as old:
        assert HttpFileStore().exists(f"{old.url}/{ROOTFS}") is True


def test_a_redirection_to_a_login_page_is_no_file(storage: StorageStandIn) -> None:
    storage.put("login", b"who are you?")
    with Redirecting(f"{storage.url}/login") as captive, pytest.raises(TransientError, match="sent the question"):
        HttpFileStore().exists(f"{captive.url}/{ROOTFS}")


def test_an_address_that_is_none_is_permanent() -> None:
    with pytest.raises(PermanentError):
        HttpFileStore().exists("storage.kernelci.org/no-scheme")
