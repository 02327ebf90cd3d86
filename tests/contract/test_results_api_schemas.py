"""What the sandbox's KernelCI API serves, and takes, against the schemas that the backend publishes.

`get_*.json` describe one document each as GET answers with it; `post_send.json` describes the body of a POST to /send.
There is none of /report, of the envelope around the documents, or of what labs post. The schemas require nothing of a
document and forbid nothing, so by themselves they would let an empty one pass: here a document must also hold what the
bot reads, and nothing that the schema does not know but what is named as newer than it.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
from pydantic import BaseModel

from kcibot.sandbox.results_api import ResultsApiStandIn
from kcibot.services.kernelci_api import documents

SCHEMAS = Path(__file__).parents[3] / "shared" / "data" / "kernelci" / "api-schema"
TOKEN = "api-token"
REVISION = ("kernelci", "kernelci.org", "v5.1")
QUERY = dict(zip(("job", "git_branch", "kernel"), REVISION, strict=True))
ALL_ENDS = {"login": "PASS", "dmesg.crit": "FAIL", "dmesg.alert": "SKIP", "kms.pipe.flip": "ERROR"}


@dataclass(frozen=True)
class Kind:
    """A document: where it is served, by what schema, what is newer than that schema, and what the bot reads of it."""

    path: str
    schema: str
    newer: frozenset[str]
    read: type[BaseModel]


_GIT = frozenset({"git_branch", "git_commit", "git_describe", "git_url"})
_COMPILER = frozenset({"compiler", "compiler_version", "compiler_version_ext"})
KINDS = (
    Kind("/job", "get_job", frozenset(), documents.DatedJob),
    Kind("/build", "get_build", frozenset({"build_environment"}), documents.Build),
    Kind("/boot", "get_boot", frozenset({"build_environment", "git_url"}), documents.Boot),
    Kind(
        "/test/group",
        "get_test_group",
        _GIT | _COMPILER | {"build_environment", "device_type", "parent_id", "file_server_resource", "kernel_image"},
        documents.Group,
    ),
    Kind("/test/case", "get_test_case", frozenset({"index", "test_group_name"}), documents.Case),
)
UNTOLD = {"file_server_url"}
"""The bot reads it where it is, but builds of 2019 do not name their file server."""


def schema(name: str) -> dict[str, Any]:
    """The schema as published, or a skip."""
    file = SCHEMAS / f"{name}.json"
    if not file.exists():
        pytest.skip("the KernelCI API's schemas are not beside this repository")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def usable(published: dict[str, Any]) -> dict[str, Any]:
    """Without what cannot be met: references to unpublished schemas, and lists that are older than 2019's trees."""
    wanted = deepcopy(published)
    for described in wanted["properties"].values():
        described.pop("items", None)
    wanted["properties"].get("arch", {}).pop("enum", None)  # arm, arm64, mips and x86 only, but no arc, i386 or riscv
    wanted["properties"].get("format", {}).pop("enum", None)  # of strings, for what is an array: nothing can be both
    return wanted


@pytest.fixture
def api() -> Iterator[ResultsApiStandIn]:
    with ResultsApiStandIn(TOKEN, lambda: "2019.5.0") as stand_in:
        stand_in.preload(*REVISION, kernels=40, labs=4)
        stand_in.post_kernel(*REVISION, "a" * 40, "riscv", "defconfig+debug", "gcc-8", "UNKNOWN", warnings=3)
        stand_in.post_tests(*REVISION, "lab-new", "panda", "igt", 0, 0, cases=ALL_ENDS)
        stand_in.post_tests(*REVISION, "lab-new", "panda", "boot", 0, 0, cases=ALL_ENDS)
        yield stand_in


def served(api: ResultsApiStandIn, kind: Kind) -> list[dict[str, Any]]:
    answer = requests.get(f"{api.url}{kind.path}", headers={"Authorization": TOKEN}, timeout=5)
    found: list[dict[str, Any]] = answer.json()["result"]
    assert len(found) == answer.json()["count"] > 0
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.schema)
def test_every_document_fits_its_published_schema(api: ResultsApiStandIn, kind: Kind) -> None:
    validator = jsonschema.Draft4Validator(usable(schema(kind.schema)))
    for document in served(api, kind):
        validator.validate(document)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.schema)
def test_no_document_holds_what_no_backend_has(api: ResultsApiStandIn, kind: Kind) -> None:
    known = schema(kind.schema)["properties"].keys()
    assert {name for document in served(api, kind) for name in document} - known <= kind.newer
    assert not known & (kind.newer - _GIT - _COMPILER), "the schema knows it after all"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.schema)
def test_every_document_holds_what_the_bot_reads_of_it(api: ResultsApiStandIn, kind: Kind) -> None:
    read = {field.alias or name for name, field in kind.read.model_fields.items()} - UNTOLD
    for document in served(api, kind):
        assert read <= document.keys()
        kind.read.model_validate(document)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.schema)
def test_what_the_bot_reads_is_known_to_the_schema_or_named_as_newer(kind: Kind) -> None:
    """Holds without the stand-in: the adapter against the real backend's own description."""
    read = {field.alias or name for name, field in kind.read.model_fields.items()}
    assert read <= schema(kind.schema)["properties"].keys() | kind.newer


REPORT = {**QUERY, "send_to": ["kernelci-results@example.org"], "delay": 60}
SENDS = {
    "build": {**REPORT, "report_type": "build", "format": ["txt", "html"]},
    "boot": {**REPORT, "boot_report": True, "boot_send_to": "owner@example.org", "subject": "boots"},
    "test": {**REPORT, "report_type": "test", "plan": "igt", "send_cc": ["a@example.org"], "in_reply_to": "<1@x>"},
    "without a kernel": {name: value for name, value in REPORT.items() if name != "kernel"} | {"report_type": "build"},
    "without a tree": {name: value for name, value in REPORT.items() if name != "job"} | {"report_type": "build"},
}


@pytest.mark.parametrize("case", SENDS)
def test_a_report_is_scheduled_if_and_only_if_its_request_fits_the_schema(api: ResultsApiStandIn, case: str) -> None:
    fits = jsonschema.Draft4Validator(usable(schema("post_send"))).is_valid(SENDS[case])
    answer = requests.post(f"{api.url}/send", json=SENDS[case], headers={"Authorization": TOKEN}, timeout=5)
    assert answer.status_code == (202 if fits else 400)
    assert fits == (case in {"build", "boot", "test"})
