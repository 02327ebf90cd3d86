"""The audit log in the chat."""

from pathlib import Path

import pytest

from kcibot.core.registry import Registry
from kcibot_commands import audit, locks
from tests.fakes.bench import Bench, make_bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    registry = Registry()
    for module in (audit, locks):
        registry.add(module)
    return make_bench(tmp_path, registry=registry)


def shown(bench: Bench, text: str) -> tuple[str, ...]:
    """The entries; the hash of the head, which stands below them, is checked."""
    bench.say("observer", text)
    key = [key for key, title in bench.deliver().items() if title == "Audit log"][-1]
    *entries, head = bench.notices[key].lines
    assert head == f"Head: {bench.journal.audit_head()}"
    return tuple(entries)


def test_who_did_what_is_shown_newest_last_with_the_hash_of_the_head(bench: Bench) -> None:
    bench.say("operator", "!lock lunch")
    bench.say("operator", "!unlock")
    first, second = shown(bench, "!audit")
    assert first.endswith("operator lock lunch")
    assert second.endswith("operator unlock lunch")


def test_refusals_are_in_the_log(bench: Bench) -> None:
    bench.say("observer", "!lock lunch")
    assert "observer refused !lock lunch" in shown(bench, "!audit 1")[0]


def test_as_many_entries_as_asked_for_and_at_least_one(bench: Bench) -> None:
    for _ in range(3):
        bench.say("operator", "!lock lunch")
        bench.say("operator", "!unlock")
    assert len(shown(bench, "!audit 2")) == 2
    assert len(shown(bench, "!audit 0")) == 1
    assert len(shown(bench, "!audit 999")) == 6
