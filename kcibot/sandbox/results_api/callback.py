"""What a lab posts when a LAVA job has ended, read as far as the results need it."""

import json
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
    """The end of one LAVA job. `statuses` are of its cases, in LAVA's words: pass, fail, skip."""

    revision: Revision
    plan: str
    device: str
    complete: bool
    statuses: tuple[str, ...]


def parse_callback(body: bytes) -> LavaCallback:
    """Read the JSON, the job definition's metadata and the results, both YAML inside it."""
    try:
        posted = json.loads(body)
        metadata = yaml.safe_load(posted["definition"])["metadata"]
        missing = [name for name in _METADATA if not metadata.get(name)]
        results = {suite: yaml.safe_load(cases) for suite, cases in posted.get("results", {}).items()}
        statuses = _statuses(results)
        status = str(posted.get("status_string", ""))
    except (ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise BadCallback(f"Provided JSON is not valid: {error}") from error
    if missing:
        raise BadCallback(f"missing mandatory LAVA metadata: {', '.join(missing)}")
    tree, branch, kernel, plan, device = (str(metadata[name]) for name in _METADATA)
    return LavaCallback(Revision(tree, branch, kernel), plan, device, status == "complete", statuses)


def _statuses(results: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(case["result"]) for suite, cases in results.items() if suite != _LAVA_SUITE for case in cases)
