"""Every broken configuration is answered with the line, the key and the fix, all at once."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from kcibot.config import ConfigProblems, load
from kcibot.errors import ConfigError
from tests.fakes.config_text import config_text, replaced


@dataclass(frozen=True)
class Series:
    name: str
    keep: int = 3


@dataclass(frozen=True)
class DrainSettings:
    section: ClassVar[str] = "drain"
    quiet_for: timedelta = timedelta(seconds=30)
    jobs: tuple[str, ...] = ()
    series: tuple[Series, ...] = ()
    limits: dict[str, timedelta] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.quiet_for > timedelta(hours=1):
            raise ValueError("quiet_for must not be longer than an hour")


SECTIONS = {"drain": DrainSettings}


def lines(folder: Path, text: str | bytes) -> list[str]:
    path = folder / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigProblems) as caught:
        load(path, SECTIONS)
    return str(caught.value).splitlines()


SECTION_FAULTS = {
    "quiet_for: 30": 'is a number without a unit. Write a length of time, such as "90s", "15m" or "24h".',
    "quiet_fro: 30s": "drain.quiet_fro: is unknown here. Did you mean quiet_for?",
    "jobs: one": 'drain.jobs: must be a list. Write it as ["a", "b"], or as one "- entry" a line.',
    "series: [{}]": "drain.series[0].name: is missing. See config.example.yaml.",
    "series: [{name: x, kep: 1}]": "drain.series[0].kep: is unknown here. Did you mean keep?",
    "limits: {a: soon}": 'drain.limits.a: is no length of time. Write it as "90s", "15m", "24h" or "1d12h".',
    "quiet_for: 2h": "drain: quiet_for must not be longer than an hour. Change the values of this block.",
}


@pytest.mark.parametrize(("text", "said"), SECTION_FAULTS.items(), ids=SECTION_FAULTS)
def test_a_commands_section_is_checked_as_strictly_as_the_bots_own_blocks(tmp_path: Path, text: str, said: str) -> None:
    [line] = lines(tmp_path, config_text({"drain": f"\n  {text}\n"}))
    assert line.endswith(said)
    assert line.startswith(("config.yaml:58: drain: ", "config.yaml:59: drain."))


def test_all_faults_are_said_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = replaced("tick: 1s", "tick: 1").replace("[observer]", "[obsrver]").replace("port: 1025", "port: x")
    assert [line.split(": ")[:2] for line in lines(tmp_path, text + "drian: {}\n")] == [
        ["config.yaml:5", "bot.tick"],
        ["config.yaml:23", "people.observer.roles[0]"],
        ["config.yaml:49", "services.mail.port"],
        ["config.yaml:58", "drian"],
    ]


def test_default_gates_that_nobody_can_open_are_said_of_the_people(tmp_path: Path) -> None:
    people = "\n  boss:\n    roles: [release-manager]\n    identities: {console: boss}\n"
    found = lines(tmp_path, config_text({"people": people, "gates": ""}))
    assert found == [
        (
            "config.yaml:12: people: each of the gates go, accept, amend, rollback, unlock, definition-removal,"
            " definitions, deploy, pipecleaner and restart needs an approval by a release-manager"
            " other than the starter, but boss is always the starter. Give more people the role release-manager,"
            " or change gates.go, gates.accept, gates.amend, gates.rollback, gates.unlock,"
            " gates.definition-removal, gates.definitions, gates.deploy, gates.pipecleaner and"
            " gates.restart."
        ),
        (
            "config.yaml:12: people: the gate force needs 2 approvals by a release-manager other than the starter,"
            " but only boss could give one. Give more people the role release-manager, or change gates.force."
        ),
    ]


def test_an_empty_file_names_the_blocks_that_it_needs(tmp_path: Path) -> None:
    assert [line.split(". ")[0] for line in lines(tmp_path, "# nothing yet\n")] == [
        "config.yaml:1: people: is missing",
        "config.yaml:1: chat: is missing",
        "config.yaml:1: services: is missing",
    ]


def test_a_file_that_is_not_there_or_not_text_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^absent\.yaml: there is no such file\. Copy config\.example\.yaml there"):
        load(tmp_path / "absent.yaml", {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, {})
    assert lines(tmp_path, b"bot:\n  name: \xff\n") == [
        "config.yaml:2: this line is not UTF-8 text. Save the file as UTF-8."
    ]
    assert lines(tmp_path, "- a\n- b\n") == [
        "config.yaml:1: the file must be a block of keys. Write keys as `key: value`."
    ]


def test_a_section_that_hides_a_block_of_the_bot_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(config_text())
    with pytest.raises(ConfigError, match="declares the section gates"):
        load(tmp_path / "config.yaml", {"gates": DrainSettings})
