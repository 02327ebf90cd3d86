"""A sound configuration gives the core its people, policies, rooms and settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from kcibot.config import Config, SecretSource, check, load
from kcibot.core.gate import GatePolicy, StarterVote
from kcibot.core.hours import Hours
from kcibot.core.message import Place
from kcibot.core.redact import Redactor
from tests.fakes.config_text import config_text, replaced


class Counting(StrEnum):
    ALL_DAYS = "all-days"
    WORKING_DAYS = "working-days"


@dataclass(frozen=True, slots=True)
class Window:
    length: timedelta = timedelta(hours=24)
    counting: Counting = Counting.ALL_DAYS


@dataclass(frozen=True)
class AnnounceSettings:
    section: ClassVar[str] = "announce"
    recipients: tuple[str, ...] = ("kernelci@groups.io",)
    window: Window = Window()
    windows: Mapping[str, Window] = field(default_factory=dict)
    ratio: float = 0.5
    copy: bool = False
    archive: Path | None = None
    hours: Hours | None = None
    room: Place | None = None
    token: SecretSource | None = None
    limits: Mapping[str, tuple[timedelta, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Playbook:
    private_key: str = ""


@dataclass(frozen=True)
class DeploySettings:
    section: ClassVar[str] = "deploy"
    playbooks: Mapping[str, Playbook] = field(default_factory=dict)


def loaded(folder: Path, text: str) -> Config:
    path = folder / "config.yaml"
    path.write_text(text)
    return load(path, {"announce": AnnounceSettings})


def test_people_are_resolved_by_what_their_network_vouches_for(tmp_path: Path) -> None:
    people = loaded(tmp_path, config_text()).people()
    manager = people.resolve("console", "manager-2")
    assert manager.id == "manager-2"
    assert people.roles(manager) == {"everybody", "break-glass", "release-manager", "operator", "observer"}
    assert [person.id for person in people.having("operator")] == ["operator", "manager-1", "manager-2"]
    assert people.resolve("slack", "manager-2").id == ""


def test_roles_are_added_to_those_there_are(tmp_path: Path) -> None:
    text = config_text({"roles": "\n  lab-admin: [operator]\n"}).replace("roles: [observer]", "roles: [lab-admin]")
    people = loaded(tmp_path, text).people()
    assert people.may(people.get("observer"), "operator")
    assert people.may(people.get("manager-1"), "operator")


def test_gates_have_the_defaults_of_the_procedure(tmp_path: Path) -> None:
    policies = loaded(tmp_path, config_text({"gates": ""})).policies()
    strict = GatePolicy("release-manager", 1, StarterVote.REFUSED)
    own = GatePolicy("operator", 1, StarterVote.ALLOWED)
    hours = Hours(frozenset({0, 1, 2, 3}), time(8), time(16))
    assert policies == {
        **dict.fromkeys(["prepare", "announce", "images", "rootfs", "bisections", "timer"], own),
        **dict.fromkeys(["accept", "amend", "rollback", "unlock", "definition-removal"], strict),
        **dict.fromkeys(["definitions", "deploy", "pipecleaner", "restart"], strict),
        "go": GatePolicy("release-manager", 1, StarterVote.REFUSED, hours=hours),
        "force": GatePolicy("release-manager", 2, StarterVote.REFUSED),
    }


def test_a_gate_keeps_the_defaults_of_the_keys_that_are_not_written(tmp_path: Path) -> None:
    config = loaded(tmp_path, replaced("go: {expires: 8h}", "go: {expires: 8h, remind: 30m, in_production_hours: no}"))
    policies = config.policies()
    assert policies["go"] == GatePolicy(expires=timedelta(hours=8), remind=timedelta(minutes=30))
    assert policies["images"] == GatePolicy("operator", 2, StarterVote.ALLOWED)


def test_a_team_of_one_can_be_configured_by_letting_the_starter_vote(tmp_path: Path) -> None:
    people = "\n  boss: {roles: [release-manager], identities: {console: boss}}\n"
    gates = ["go", "force", "accept", "amend", "rollback", "unlock", "definition-removal"]
    gates += ["definitions", "deploy", "pipecleaner", "restart"]
    block = "\n" + "".join(f"  {gate}: {{quorum: 1, starter_may_vote: true}}\n" for gate in gates)
    policies = loaded(tmp_path, config_text({"people": people, "gates": block})).policies()
    assert all(policy.quorum == 1 and policy.starter is StarterVote.ALLOWED for policy in policies.values())


def test_rooms_hours_and_folders_come_out_as_the_core_wants_them(tmp_path: Path) -> None:
    config = loaded(tmp_path, config_text())
    assert config.rooms() == (Place("console", "#kernelci"),)
    assert config.hours.is_open(datetime(2019, 5, 6, 15, 59, tzinfo=UTC))
    assert not config.hours.is_open(datetime(2019, 5, 10, 12, tzinfo=UTC))
    assert config.bot.state == tmp_path / "state"
    assert config.bot.tick == timedelta(seconds=1)


def test_hours_may_end_with_the_day(tmp_path: Path) -> None:
    text = replaced('from: "08:00"\n  to: "16:00"', 'from: "00:00"\n  to: "24:00"')
    hours = loaded(tmp_path, text).hours
    assert hours == Hours(frozenset({0, 1, 2, 3}), time(0), time(0))
    assert hours.is_open(datetime(2019, 5, 6, 23, 59, tzinfo=UTC))
    assert not hours.is_open(datetime(2019, 5, 10, 0, 0, tzinfo=UTC))


def test_a_tick_may_be_shorter_than_a_second(tmp_path: Path) -> None:
    assert loaded(tmp_path, replaced("tick: 1s", "tick: 100ms")).bot.tick == timedelta(milliseconds=100)


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    config = loaded(tmp_path, config_text({"bot": "", "production_hours": "", "gates": ""}))
    assert (config.bot.name, config.bot.state) == ("kcibot", tmp_path / "state")
    assert config.hours == Hours(frozenset(range(5)), time(8), time(16))
    assert config.services.ansible.become_password is None
    assert config.section(AnnounceSettings) == AnnounceSettings()
    assert config.sections == {AnnounceSettings: AnnounceSettings()}


def test_a_section_is_read_into_its_own_dataclass_at_any_depth(tmp_path: Path) -> None:
    announce = """
  recipients: [list@example.org]
  window: {length: 2d}
  windows: {friday: {length: 90m, counting: working-days}}
  ratio: 1
  copy: true
  archive: mails
  hours: {days: [Sat], from: "10:00"}
  room: "console:#announce"
  token: {file: token}
  limits: {a: [1h, 500ms]}
"""
    assert loaded(tmp_path, config_text({"announce": announce})).section(AnnounceSettings) == AnnounceSettings(
        recipients=("list@example.org",),
        window=Window(timedelta(days=2)),
        windows={"friday": Window(timedelta(minutes=90), Counting.WORKING_DAYS)},
        ratio=1.0,
        copy=True,
        archive=tmp_path / "mails",
        hours=Hours(frozenset({5}), time(10), time(16)),
        room=Place("console", "#announce"),
        token=loaded(tmp_path, replaced("file: api-token", "file: token")).services.results_api.token,
        limits={"a": (timedelta(hours=1), timedelta(milliseconds=500))},
    )


def test_procedures_are_lists_of_steps(tmp_path: Path) -> None:
    config = loaded(tmp_path, config_text({"procedures": "\n  release: [plan, create-tags]\n"}))
    assert config.procedures == {"release": ("plan", "create-tags")}


def test_anchors_serve_to_write_a_thing_once(tmp_path: Path) -> None:
    text = replaced("token: {env: KCIBOT_TEST_JENKINS_TOKEN}", "token: &token {file: api-token}")
    config = loaded(tmp_path, text.replace("token: {file: api-token}\n    versions", "token: *token\n    versions"))
    assert config.services.jenkins.token == config.services.results_api.token


def test_check_finds_nothing_in_a_sound_configuration(tmp_path: Path) -> None:
    sound(tmp_path)
    assert check(tmp_path / "config.yaml", {"announce": AnnounceSettings}) == []
    assert not (tmp_path / "state").exists()


def test_check_looks_at_folders_and_keys(tmp_path: Path) -> None:
    sound(tmp_path)
    key = tmp_path / "key"
    key.write_text("a key")
    key.chmod(0o640)
    (tmp_path / "room").write_text("in the way")
    path = tmp_path / "config.yaml"
    path.write_text(path.read_text().replace("author_email:", "ssh_key: key\n    author_email:"))
    path.write_text(path.read_text().replace("security: none", "security: none\n    ca_file: absent"))
    assert check(path, {}) == [
        f"config.yaml:9: chat.console.folder: {tmp_path}/room is no folder. Name a folder that the bot may write to.",
        (
            f"config.yaml:42: services.git.ssh_key: {key} can be used by others, and ssh will refuse it."
            f" Run `chmod 600 {key}`."
        ),
        (
            f"config.yaml:52: services.mail.ca_file: {tmp_path}/absent is no file that can be read."
            " Check the path and its owner."
        ),
    ]


def test_check_looks_at_the_keys_of_sections_too(tmp_path: Path) -> None:
    sound(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(path.read_text() + "deploy:\n  playbooks:\n    backend: {private_key: /absent}\n")
    [line] = check(path, {"deploy": DeploySettings})
    assert line.startswith("config.yaml:60: deploy.playbooks.backend.private_key: /absent is no file that can be read.")


def test_check_reads_the_secrets_of_sections_too(tmp_path: Path) -> None:
    sound(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(path.read_text() + "announce:\n  token: {file: absent}\n")
    [line] = check(path, {"announce": AnnounceSettings})
    assert line.startswith("config.yaml:59: announce.token: The file ")


def test_check_reads_the_secrets_of_the_networks_and_looks_at_their_files(tmp_path: Path) -> None:
    sound(tmp_path)
    certificate = tmp_path / "irc.pem"
    certificate.write_text("a certificate and its key")
    certificate.chmod(0o644)
    sasl = f"{{mechanism: external, account: kcibot, certificate: {certificate}}}"
    irc = f"irc: {{server: localhost, ca_file: absent, sasl: {sasl}}}"
    slack = "slack: {bot_token: {file: no-bot-token}, app_token: {file: no-app-token}}"
    path = tmp_path / "config.yaml"
    path.write_text(path.read_text().replace("  rooms:", f"  {irc}\n  {slack}\n  rooms:"))
    assert [line.split(": ")[1] for line in check(path, {})] == [
        "chat.irc.ca_file",
        "chat.irc.sasl.certificate",
        "chat.slack.bot_token",
        "chat.slack.app_token",
    ]


def test_check_answers_a_broken_configuration_with_its_problems(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(replaced("tick: 1s", "tik: 1s"))
    assert check(tmp_path / "config.yaml", {}) == ["config.yaml:5: bot.tik: is unknown here. Did you mean tick?"]


def sound(folder: Path) -> None:
    """The good configuration with its secrets in files."""
    token = folder / "api-token"
    token.write_text("a token\n")
    token.chmod(0o600)
    (folder / "config.yaml").write_text(replaced("{env: KCIBOT_TEST_JENKINS_TOKEN}", "{file: api-token}"))
    assert load(folder / "config.yaml", {}).services.jenkins.token.read(Redactor()) == "a token"
