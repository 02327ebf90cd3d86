"""What a newcomer types first, and what every declared command owes them."""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import kcibot_commands
from kcibot.core.access import BREAK_GLASS, EVERYBODY
from kcibot.core.command import Argument, Command, Reason
from kcibot.core.dispatch import _words
from kcibot.core.registry import Registry
from kcibot_commands import approvals, audit, locks, runs, tags
from kcibot_commands import help as help_module
from kcibot_commands.announce import steps as announce
from kcibot_commands.deploy import steps as deploy
from kcibot_commands.images import verbs as images
from tests.fakes.bench import Bench, make_bench

MINE = (announce, approvals, audit, deploy, help_module, images, locks, runs, tags)
ROLES = {EVERYBODY, "observer", "operator", "release-manager", BREAK_GLASS}


def every_command() -> Iterator[Command]:
    """Of every module that can be imported; one that cannot is another test's matter."""
    for found in pkgutil.walk_packages(kcibot_commands.__path__, "kcibot_commands."):
        registry = Registry()
        registry.add(importlib.import_module(found.name))
        yield from registry.commands.values()


def takes_all_words(command: Command) -> bool:
    return any(argument.kind is Reason or argument.shown.endswith("...") for argument in command.positional)


EVERY = tuple(every_command())
STRICT = tuple(command for command in EVERY if not takes_all_words(command))
ASKING = tuple(command for command in EVERY if any(argument.required for argument in command.positional))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    registry = Registry()
    for module in MINE:
        registry.add(module)
    return make_bench(tmp_path, registry=registry)


def last(bench: Bench) -> str:
    """The whole of the newest reply."""
    key = [key for key in bench.deliver() if key.startswith("reply:")][-1]
    notice = bench.notices[key]
    return "\n".join((notice.title, *notice.lines, *(f"{field.name}: {field.value}" for field in notice.fields)))


def ask(bench: Bench, text: str, who: str = "operator") -> str:
    bench.say(who, text)
    return last(bench)


# ---- every command ---------------------------------------------------------------------------------------------


def test_no_two_modules_declare_the_same_verb() -> None:
    names = [command.name for command in EVERY]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("command", EVERY, ids=lambda command: command.name)
def test_a_command_has_a_help_line_a_known_role_and_an_example_that_works(command: Command) -> None:
    assert command.help.endswith("."), "the help is a sentence"
    assert len(command.help) <= 120
    assert command.role in ROLES
    assert command.example.startswith(f"!{command.name}")
    command.bind(_words(command.example.removeprefix(f"!{command.name}")))


@pytest.mark.parametrize("command", STRICT, ids=lambda command: command.name)
def test_too_many_words_and_unknown_options_are_answered_with_the_usage(command: Command) -> None:
    words = tuple(_good(argument) for argument in command.positional)
    for wrong in ("surplus", "--no-such-option"):
        with pytest.raises(Exception, match=r"Usage: !" + command.name):
            command.bind((*words, wrong))


@pytest.mark.parametrize("command", ASKING, ids=lambda command: command.name)
def test_a_missing_argument_is_answered_with_the_usage(command: Command) -> None:
    with pytest.raises(Exception, match=r"Usage: !|Why\? Say it in one line"):
        command.bind(())


def _good(argument: Argument) -> str:
    """A word that fits the argument."""
    if argument.kind is int:
        return "3"
    return argument.shown.split("|", maxsplit=1)[0]


# ---- help ------------------------------------------------------------------------------------------------------


def test_help_lists_every_family_once(bench: Bench) -> None:
    said = ask(bench, "!help")
    assert "!release: " in said
    assert "!images: build | plan | push | status" in said
    assert "!lock: Keep every run from changing production until !unlock." in said


def test_help_on_a_family_lists_its_verbs(bench: Bench) -> None:
    said = ask(bench, "!help release")
    assert "!release retry [STEP] [--run RUN] [--not-done]: " in said
    assert "!release abort REASON [--run RUN]: End the run where it is, and say what it leaves behind." in said


def test_help_on_a_verb_says_who_may_and_gives_an_example(bench: Bench) -> None:
    for text in ("!help deploy", "!help !deploy", "!HELP Deploy"):
        said = ask(bench, text)
        assert said.startswith("!deploy backend|frontend [REVISION]")
        assert "Needs the role operator. Example: !deploy backend 2021.5.0" in said


def test_help_on_nonsense_says_so(bench: Bench) -> None:
    assert ask(bench, "!help nonsense").startswith("“!nonsense” is no command.")


def test_help_on_a_misspelt_verb_names_the_nearest(bench: Bench) -> None:
    assert "Did you mean !deploy backend|frontend [REVISION]?" in ask(bench, "!help depoy")


@pytest.mark.parametrize("text", ['!help ""', "!help !", "!help  "])
def test_help_on_nothing_is_the_overview(bench: Bench, text: str) -> None:
    assert "!images: build | plan | push | status" in ask(bench, text)


# ---- the rest --------------------------------------------------------------------------------------------------


def test_an_unknown_command_is_answered_with_the_nearest_and_its_usage(bench: Bench) -> None:
    said = ask(bench, "!depoly backend")
    assert "“!depoly” is no command." in said
    assert "Did you mean !deploy backend|frontend [REVISION]?" in said


def test_an_unknown_verb_of_a_family_lists_the_family(bench: Bench) -> None:
    said = ask(bench, "!images bulid")
    assert "!images build" in said


def test_who_one_is_and_may_do(bench: Bench) -> None:
    assert ask(bench, "!whoami", "manager-2") == (
        "You are manager-2 (manager-2 on console), with the roles "
        "break-glass, everybody, observer, operator and release-manager."
    )
    assert ask(bench, "!whoami", "stranger").startswith("I do not know you: console knows you as stranger")


def test_people_are_listed_with_their_roles(bench: Bench) -> None:
    assert "manager-2: break-glass and release-manager" in ask(bench, "!people")


def test_ping_answers_with_the_words_given(bench: Bench) -> None:
    assert ask(bench, "!ping are you there", "stranger") == "pong are you there"


def test_the_version_is_that_of_the_installed_package(bench: Bench) -> None:
    assert ask(bench, "!version", "stranger").startswith("kcibot ")


def test_a_stranger_may_not_ask_for_the_audit_log(bench: Bench) -> None:
    assert "!audit needs the role observer" in ask(bench, "!audit", "stranger")
