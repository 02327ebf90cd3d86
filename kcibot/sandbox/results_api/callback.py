"""What a lab posts when a LAVA job has ended, read as far as the results need it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from kcibot.core.ports import Revision

_METADATA = ("kernel.tree", "git.branch", "kernel.version", "test.plan", "device.type")
_LAVA_SUITE = "lava"
"""LAVA's own suite, about its infrastructure: no test result."""


class BadCallback(Exception):
    """The callback cannot be read: 400."""


@dataclass(frozen=True, slots=True)
class LavaCallback:
    """The end of one LAVA job. `cases` maps the path of a case below its plan to its status, in the backend's words.

    As the backend does: a suite of the plan's name is the plan itself, another one is a group below it, and a test
    set is a group below its suite.
    """

    revision: Revision
    plan: str
    device: str
    complete: bool
    cases: Mapping[str, str]


def parse_callback(body: bytes) -> LavaCallback:
    """Read the JSON, the job definition's metadata and the results, both YAML inside it."""
    try:
        posted = json.loads(body)
        metadata = yaml.safe_load(posted["definition"])["metadata"]
        missing = [name for name in _METADATA if not metadata.get(name)]
        results = {suite: yaml.safe_load(found) for suite, found in posted.get("results", {}).items()}
        cases = _cases(results, str(metadata.get("test.plan")))
        status = str(posted.get("status_string", ""))
    except (ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise BadCallback(f"Provided JSON is not valid: {error}") from error
    if missing:
        raise BadCallback(f"missing mandatory LAVA metadata: {', '.join(missing)}")
    tree, branch, kernel, plan, device = (str(metadata[name]) for name in _METADATA)
    return LavaCallback(Revision(tree, branch, kernel), plan, device, status == "complete", cases)


def _cases(results: Mapping[str, Any], plan: str) -> Mapping[str, str]:
    return {
        ".".join([*_above(suite, plan), *_set(case), str(case["name"])]): str(case["result"]).upper()
        for suite, cases in results.items()
        if suite != _LAVA_SUITE
        for case in cases
    }


def _above(suite: str, plan: str) -> tuple[str, ...]:
    """LAVA puts a number before a suite's name: `0_igt`."""
    name = suite.partition("_")[2] or suite
    return () if name == plan else (name,)


def _set(case: Mapping[str, Any]) -> tuple[str, ...]:
    return (str(case["set"]),) if case.get("set") else ()
