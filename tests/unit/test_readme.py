"""The documents say what the code says: verbs, gates, programs, targets, links, versions.

`python -m tests.unit.test_readme` writes README.md's table of verbs anew.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from kcibot.app import registry
from kcibot.cli import main
from kcibot.config.gates import policies
from kcibot.core.command import Command
from kcibot.core.gate import StarterVote
from kcibot.core.hours import Hours
from kcibot.core.procedure import Step
from kcibot.core.registry import Registry

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCUMENTS = (README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))
START, END = "<!-- verbs -->\n", "<!-- /verbs -->"
FIRST = ("release", "approve", "reject", "withdraw", "hold", "unhold", "stop")
"""What one types in a release, before all others by the alphabet."""
COMMAND_LINE = re.compile(r"`kcibot ((?:[a-z-]+ ?)+)")
MAKE = re.compile(r"\bmake ([a-z]+)")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
VERB = re.compile(r"`!([a-z]+(?: [a-z]+)?)")


def rank(command: Command) -> tuple[int, str, str]:
    family = command.name.split()[0]
    return (FIRST.index(family) if family in FIRST else len(FIRST), family, command.name)


def verbs(commands: Registry) -> str:
    """The table of all commands."""
    rows = ["| type | who may | what it does |", "|---|---|---|"]
    for one in sorted(commands.commands.values(), key=rank):
        usage = one.usage.replace("|", "\\|")
        rows.append(f"| `{usage}` | {one.role} | {one.help} |")
    return "\n".join(rows) + "\n"


def parts(text: str) -> tuple[str, str, str]:
    """What stands before the table of verbs, the table, and what follows."""
    before, table = text.split(START)
    table, after = table.split(END)
    return before, table, after


def programs(group: click.Group) -> Iterator[str]:
    for name, command in group.commands.items():
        yield name
        if isinstance(command, click.Group):
            yield from (f"{name} {inner}" for inner in command.commands)


def plain(text: str) -> str:
    """Without what a program printed: its words are not ours."""
    return re.sub(r"<!-- transcript -->.*?<!-- /transcript -->", "", text, flags=re.DOTALL)


def test_the_table_of_verbs_is_that_of_the_commands() -> None:
    assert parts(README.read_text())[1] == verbs(registry()), "run: python -m tests.unit.test_readme"


def test_every_verb_that_is_named_exists() -> None:
    known = registry().commands
    named = {verb for page in DOCUMENTS for verb in VERB.findall(plain(page.read_text()))}
    assert sorted(verb for verb in named if verb not in known and verb.split()[0] not in known) == []


def test_every_gate_is_told_as_it_is() -> None:
    text = README.read_text()
    for gate, policy in policies({}, Hours()).items():
        [row] = re.findall(rf"^\| {gate} \|.*$", text, re.MULTILINE)
        starter = "yes" if policy.starter is StarterVote.ALLOWED else "no"
        assert row.endswith(f"| {policy.quorum} {policy.role} | {starter} |"), row


def test_every_step_of_a_release_is_told_in_its_order() -> None:
    told = README.read_text().split("## How a release goes")[1].split("\n## ")[0]
    titles = [f"**{item.title}**" for item in registry().procedure("release") if isinstance(item, Step)]
    assert [title for title in titles if title not in told] == []
    assert sorted(titles, key=told.index) == titles


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_programs_targets_and_links_exist(page: Path) -> None:
    text = plain(page.read_text())
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    known = set(programs(main))
    called = {" ".join(words.split()[:2]) for words in COMMAND_LINE.findall(text)}
    assert {words for words in called if words not in known and words.split()[0] not in known} == set()
    assert set(MAKE.findall(text)) <= targets
    assert [link for link in LINK.findall(text) if not (page.parent / link).exists()] == []


def test_every_direct_dependency_is_told_with_its_locked_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = [re.split(r"[<>=!~ ]", one)[0] for one in wanted]
    locked = dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", (ROOT / "requirements-dev.lock").read_text(), re.MULTILINE))
    text = (ROOT / "docs" / "dependencies.md").read_text()
    rows = dict(re.findall(r"^\| ([\w-]+) \| ([^ ]+) \|", text, re.MULTILINE))
    rows.pop("package", None)
    assert rows == {name: locked[name.lower().replace("_", "-")] for name in names}


if __name__ == "__main__":
    before, _, after = parts(README.read_text())
    README.write_text(f"{before}{START}{verbs(registry())}{END}{after}")
