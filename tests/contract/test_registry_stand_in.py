"""The registry stand-in answers like docker-registry: same questions to both, where the machine has the real one."""

import json
from collections.abc import Iterator

import pytest
import requests

from kcibot.sandbox.registry import IMAGE_CONFIG, LAYER, SCHEMA1, SCHEMA2, AuthScheme, RegistryStandIn, sha256
from tests.servers.docker import registry

NOWHERE = "sha256:" + "0" * 64
OCTETS = {"Content-Type": "application/octet-stream"}


@pytest.fixture(params=["stand-in", pytest.param("real", marks=pytest.mark.slow)])
def root(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "real":
        yield request.getfixturevalue("real_registry")
        return
    with RegistryStandIn() as stand_in:
        yield stand_in.url


@pytest.fixture
def real_registry() -> Iterator[str]:
    with registry() as server:
        yield server.url


def _upload(root: str, name: str, content: bytes) -> str:
    begun = requests.post(f"{root}/v2/{name}/blobs/uploads/", timeout=5)
    assert (begun.status_code, begun.headers["Range"]) == (202, "0-0")
    url = f"{begun.headers['Location']}&digest={sha256(content)}"
    done = requests.put(url, data=content, headers=OCTETS, timeout=5)
    assert (done.status_code, done.headers["Docker-Content-Digest"]) == (201, sha256(content))
    return sha256(content)


def _manifest(config: bytes, layer: bytes) -> bytes:
    parts = {
        "config": {"mediaType": IMAGE_CONFIG, "size": len(config), "digest": sha256(config)},
        "layers": [{"mediaType": LAYER, "size": len(layer), "digest": sha256(layer)}],
    }
    return json.dumps({"schemaVersion": 2, "mediaType": SCHEMA2, **parts}).encode()


def _config() -> bytes:
    """Enough of an image for a registry to make a schema 1 manifest of it."""
    history = [{"created": "2019-03-04T10:00:00Z", "created_by": "made up"}]
    rootfs = {"type": "layers", "diff_ids": [NOWHERE]}
    about = {"architecture": "amd64", "os": "linux", "created": "2019-03-04T10:00:00Z", "config": {}}
    return json.dumps({**about, "history": history, "rootfs": rootfs}).encode()


def _put(root: str, name: str, reference: str, manifest: bytes) -> requests.Response:
    url = f"{root}/v2/{name}/manifests/{reference}"
    return requests.put(url, data=manifest, headers={"Content-Type": SCHEMA2}, timeout=5)


def _get(root: str, name: str, reference: str, accept: str = SCHEMA2, method: str = "GET") -> requests.Response:
    url = f"{root}/v2/{name}/manifests/{reference}"
    return requests.request(method, url, headers={"Accept": accept}, timeout=5)


def _image(root: str, name: str = "kernelci/base", tag: str = "latest") -> bytes:
    config, layer = _config(), b"a layer"
    _upload(root, name, config)
    _upload(root, name, layer)
    manifest = _manifest(config, layer)
    assert _put(root, name, tag, manifest).status_code == 201
    return manifest


def _code(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["code"]


def test_it_says_that_it_speaks_version_2(root: str) -> None:
    answer = requests.get(f"{root}/v2/", timeout=5)
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


def test_a_manifest_is_had_by_tag_and_by_the_digest_of_its_bytes(root: str) -> None:
    manifest = _image(root)
    for reference in ("latest", sha256(manifest)):
        answer = _get(root, "kernelci/base", reference)
        assert answer.content == manifest
        assert answer.headers["Content-Type"] == SCHEMA2
        assert answer.headers["Docker-Content-Digest"] == sha256(manifest)
        head = _get(root, "kernelci/base", reference, method="HEAD")
        assert head.headers["Docker-Content-Digest"] == sha256(manifest)
        assert int(head.headers["Content-Length"]) == len(manifest)


def test_who_does_not_ask_for_schema_2_is_shown_another_digest(root: str) -> None:
    manifest = _image(root)
    old = _get(root, "kernelci/base", "latest", accept="*/*")
    assert old.headers["Content-Type"] == SCHEMA1
    assert old.headers["Docker-Content-Digest"] != sha256(manifest)
    assert _get(root, "kernelci/base", sha256(manifest), accept="*/*").content == manifest


def test_what_is_unknown_is_said_by_its_code(root: str) -> None:
    _image(root)
    assert _code(_get(root, "kernelci/base", "nope")) == (404, "MANIFEST_UNKNOWN")
    assert _code(_get(root, "kernelci/nope", "latest")) == (404, "MANIFEST_UNKNOWN")
    assert _code(_get(root, "kernelci/base", NOWHERE)) == (404, "MANIFEST_UNKNOWN")
    assert _code(requests.get(f"{root}/v2/kernelci/nope/tags/list", timeout=5)) == (404, "NAME_UNKNOWN")
    assert _code(requests.get(f"{root}/v2/kernelci/base/blobs/{NOWHERE}", timeout=5)) == (404, "BLOB_UNKNOWN")
    page = requests.get(f"{root}/v2/kernelci/Base/manifests/latest", timeout=5)
    assert (page.status_code, page.text) == (404, "404 page not found\n")


def test_a_manifest_needs_its_parts_in_the_same_repository(root: str) -> None:
    manifest = _image(root)
    answer = _put(root, "kernelci/other", "latest", manifest)
    assert _code(answer) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert len(answer.json()["errors"]) == 2
    assert _code(_put(root, "kernelci/base", "latest", b'{"a": 1}')) == (400, "MANIFEST_INVALID")
    assert _code(_put(root, "kernelci/base", NOWHERE, manifest)) == (400, "DIGEST_INVALID")


def test_a_tag_can_be_set_to_a_manifest_that_is_there(root: str) -> None:
    manifest = _image(root)
    answer = _put(root, "kernelci/base", "old", manifest)
    assert answer.headers["Docker-Content-Digest"] == sha256(manifest)
    tags = requests.get(f"{root}/v2/kernelci/base/tags/list", timeout=5).json()
    assert (tags["name"], sorted(tags["tags"])) == ("kernelci/base", ["latest", "old"])


def test_a_manifest_is_deleted_by_its_digest_only(root: str) -> None:
    manifest = _image(root)
    url = f"{root}/v2/kernelci/base/manifests"
    assert _code(requests.delete(f"{url}/latest", timeout=5)) == (400, "DIGEST_INVALID")
    assert requests.delete(f"{url}/{sha256(manifest)}", timeout=5).status_code == 202
    assert _code(_get(root, "kernelci/base", sha256(manifest))) == (404, "MANIFEST_UNKNOWN")
    assert _code(_get(root, "kernelci/base", "latest")) == (404, "MANIFEST_UNKNOWN")


def test_a_blob_can_be_sent_in_parts(root: str) -> None:
    begun = requests.post(f"{root}/v2/kernelci/base/blobs/uploads/", timeout=5)
    more = requests.patch(begun.headers["Location"], data=b"hello", headers=OCTETS, timeout=5)
    assert (more.status_code, more.headers["Range"]) == (202, "0-4")
    assert requests.get(more.headers["Location"], timeout=5).status_code == 204
    done = requests.put(f"{more.headers['Location']}&digest={sha256(b'hello')}", headers=OCTETS, timeout=5)
    assert done.status_code == 201
    assert _code(requests.get(more.headers["Location"], timeout=5)) == (404, "BLOB_UPLOAD_UNKNOWN")
    blob = f"{root}/v2/kernelci/base/blobs/{sha256(b'hello')}"
    assert requests.get(blob, timeout=5).content == b"hello"
    assert requests.head(blob, timeout=5).headers["Content-Length"] == "5"
    assert requests.delete(blob, timeout=5).status_code == 202
    assert requests.head(blob, timeout=5).status_code == 404


def test_a_blob_that_is_not_what_its_digest_says_is_refused(root: str) -> None:
    begun = requests.post(f"{root}/v2/kernelci/base/blobs/uploads/", timeout=5)
    url = f"{begun.headers['Location']}&digest={NOWHERE}"
    assert _code(requests.put(url, data=b"hello", headers=OCTETS, timeout=5)) == (400, "DIGEST_INVALID")


def test_a_blob_of_one_repository_can_be_mounted_into_another(root: str) -> None:
    digest = _upload(root, "kernelci/base", b"shared")
    url = f"{root}/v2/kernelci/other/blobs/uploads/"
    assert requests.head(f"{root}/v2/kernelci/other/blobs/{digest}", timeout=5).status_code == 404
    assert requests.post(url, params={"mount": digest, "from": "kernelci/base"}, timeout=5).status_code == 201
    assert requests.head(f"{root}/v2/kernelci/other/blobs/{digest}", timeout=5).status_code == 200
    unknown = requests.post(url, params={"mount": NOWHERE, "from": "kernelci/base"}, timeout=5)
    assert unknown.status_code == 202


# ---- the stand-in alone -----------------------------------------------------------------------------------------


def test_a_blob_can_be_sent_at_once() -> None:
    with RegistryStandIn() as registry:
        url = f"{registry.url}/v2/kernelci/base/blobs/uploads/?digest={sha256(b'hello')}"
        assert requests.post(url, data=b"hello", headers=OCTETS, timeout=5).status_code == 201


def test_a_checker_can_ask_for_its_facts() -> None:
    with RegistryStandIn() as registry:
        manifest = _image(registry.url)
        assert registry.digest("kernelci/base") == sha256(manifest)
        assert registry.digest("kernelci/base", "old") is None
        assert registry.digest("kernelci/nope") is None
        assert registry.names() == ("kernelci/base",)


def test_with_a_login_a_basic_registry_answers_nobody_else() -> None:
    with RegistryStandIn(("bot", "pw")) as registry:
        url = f"{registry.url}/v2/kernelci/base/manifests/latest"
        for auth in (None, ("bot", "bad")):
            answer = requests.get(url, auth=auth, timeout=5)
            assert _code(answer) == (401, "UNAUTHORIZED")
            assert answer.headers["Www-Authenticate"] == 'Basic realm="sandbox"'
        assert requests.get(url, auth=("bot", "pw"), timeout=5).status_code == 404


def test_a_token_allows_what_it_was_asked_for_and_a_stranger_may_only_pull() -> None:
    with RegistryStandIn(("bot", "pw"), AuthScheme.BEARER) as registry:
        scope = {"service": "registry.sandbox", "scope": "repository:kernelci/base:pull,push"}
        url = f"{registry.url}/v2/kernelci/base/blobs/uploads/"
        challenge = requests.post(url, timeout=5).headers["Www-Authenticate"]
        assert 'scope="repository:kernelci/base:pull,push"' in challenge
        statuses = {}
        for auth in (None, ("bot", "pw")):
            token = requests.get(f"{registry.url}/token", params=scope, auth=auth, timeout=5).json()["token"]
            bearer = {"Authorization": f"Bearer {token}"}
            look = requests.get(f"{registry.url}/v2/kernelci/base/tags/list", headers=bearer, timeout=5)
            statuses[auth] = (look.status_code, requests.post(url, headers=bearer, timeout=5).status_code)
        assert statuses == {None: (404, 401), ("bot", "pw"): (404, 202)}
        assert requests.get(f"{registry.url}/token", auth=("bot", "bad"), timeout=5).status_code == 401
