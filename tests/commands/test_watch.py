"""A paused monitor is not forgotten, and one that comes back is asked about."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from kcibot.core.journal import Change, Say
from kcibot.core.notice import Level, Notice
from kcibot.core.ports import Ports
from kcibot.core.run import RunState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot_commands.watch import FLAG, REMINDER
from tests.fakes.ci_bench import MONITOR, CiBench, ci_bench

S = TypeVar("S")


@dataclass
class Looking:
    """A watcher over the bench's world."""

    ci: CiBench

    @property
    def ports(self) -> Ports:
        return self.ci.bench.world.ports

    @property
    def now(self) -> datetime:
        return self.ci.bench.clock.now()

    def settings(self, kind: type[S]) -> S:
        return self.ci.bench.world.settings(kind)

    def recall(self, topic: str) -> Mapping[str, object]:
        return self.ci.bench.journal.recall(topic)

    def say(self, key: str, notice: Notice) -> tuple[Change, ...]:
        return self.ci.bench.world.everywhere(key, notice)

    def look(self, watch) -> Notice | None:  # type: ignore[no-untyped-def]
        """What one look has it say; what it wants to be committed is."""
        changes = watch.look(self)
        self.ci.bench.journal.commit(changes)
        return next((change.notice for change in changes if isinstance(change, Say)), None)


@pytest.fixture
def ci(tmp_path: Path) -> Iterator[CiBench]:
    with ci_bench(tmp_path) as bench:
        yield bench


@pytest.fixture
def looking(ci: CiBench) -> Looking:
    return Looking(ci)


def test_nothing_is_said_while_nothing_is_paused(looking: Looking) -> None:
    assert looking.look(REMINDER) is None
    assert looking.look(FLAG) is None


def test_a_paused_monitor_is_reminded_of_louder_each_time(ci: CiBench, looking: Looking) -> None:
    ci.say("!monitor pause the storage is being moved")
    assert looking.look(REMINDER) is None
    heard: list[Notice] = []
    for _ in range(4):
        ci.forward(hours=2)
        notice = looking.look(REMINDER)
        assert notice is not None
        assert looking.look(REMINDER) is None, "once an interval"
        heard.append(notice)
    assert [notice.level for notice in heard] == [Level.INFO, Level.WARNING, Level.ALERT, Level.ALERT]
    assert [notice.mentions for notice in heard] == [(), ("operator",), ("operator",), ("operator",)]
    assert all("Paused by operator, " in notice.lines[0] for notice in heard)
    assert all("the storage is being moved" in notice.lines[0] for notice in heard)
    assert heard[0].title == "The monitor is paused for 2 h 00 min now"


def test_a_new_pause_begins_to_be_reminded_of_quietly(ci: CiBench, looking: Looking) -> None:
    ci.say("!monitor pause")
    for _ in range(3):
        ci.forward(hours=2)
        looking.look(REMINDER)
    ci.say("!monitor resume")
    ci.tick_until_ended(timedelta(seconds=5))
    assert looking.look(REMINDER) is None
    ci.say("!monitor pause")
    ci.forward(hours=2)
    notice = looking.look(REMINDER)
    assert notice is not None
    assert notice.level is Level.INFO


def test_a_monitor_that_somebody_enabled_is_asked_about_and_not_touched(ci: CiBench, looking: Looking) -> None:
    ci.say("!monitor pause")
    assert looking.look(FLAG) is None
    ci.server.enable(MONITOR)
    notice = looking.look(FLAG)
    assert notice is not None
    assert notice.title == f"{MONITOR} is enabled, although the monitor is paused. Who wants what?"
    assert [button.command for button in notice.buttons] == ["!monitor pause", "!monitor resume"]
    assert not ci.server.job(MONITOR).disabled
    ci.forward(minutes=5)
    assert looking.look(FLAG) is None
    ci.forward(hours=2)
    assert looking.look(FLAG) is not None


def test_a_start_that_we_make_is_not_asked_about_unless_it_stays_open(ci: CiBench, looking: Looking) -> None:
    ci.say("!monitor pause")
    run = ci.say("!monitor run kernelci")
    assert run.state is RunState.WAITING
    assert not ci.server.job(MONITOR).disabled
    assert looking.look(FLAG) is None
    ci.forward(minutes=11)
    assert looking.look(FLAG) is not None


def test_a_jenkins_that_cannot_be_seen_is_not_asked_about(ci: CiBench, looking: Looking) -> None:
    ci.say("!monitor pause")
    ci.server.enable(MONITOR)
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, status=503))
    assert looking.look(FLAG) is None
    assert looking.look(FLAG) is not None
