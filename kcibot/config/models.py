"""The blocks of the configuration that are not services: the bot itself, its rooms, its people, its procedures."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from kcibot.config.chat import Chat
from kcibot.config.fields import Block, Duration, FilePath, Name, ProductionHours, Text, Timeout, complain
from kcibot.config.gates import MANAGER, OPERATOR, GateBlock
from kcibot.config.services import Services
from kcibot.core.access import BREAK_GLASS, EVERYBODY, People, Person

IMPLIED: Mapping[str, tuple[str, ...]] = {
    BREAK_GLASS: (),
    MANAGER: (OPERATOR,),
    OPERATOR: ("observer",),
    "observer": (),
}
"""The roles there are without any configuration, and the roles that each of them implies."""


class Bot(Block):
    """The bot's own process. `state` holds the database, the mirrors and work files.

    `flood` is how many commands one user may give in a minute, and all of a network who have no account there together;
    0 means as many as they like. A command that was typed longer ago than `stale`, while the bot was away, is reported
    and not run.
    """

    name: Name = Field(default="kcibot", examples=["kcibot"])
    state: FilePath = Field(default="state", validate_default=True, examples=['"/var/lib/kcibot"'])
    flood: int = Field(default=60, ge=0, le=100_000, examples=["60"])
    stale: Duration = Field(default=timedelta(minutes=5), examples=['"5m"'])
    tick: Timeout = Field(default=timedelta(seconds=1), examples=['"1s"'])
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class PersonBlock(Block):
    """A person: their roles, and who they are on each network, by what the network vouches for."""

    roles: tuple[Text, ...] = Field(min_length=1, examples=["[operator]"])
    identities: Mapping[Name, Text] = Field(min_length=1, examples=["{console: operator}"])


def _steps(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) != len(value):
        raise complain("names a step twice", "A step has one place in a procedure: keep one of the two")
    return value


Steps = Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(_steps)]


class Authority(Block):
    """The blocks that say who may do what, and when."""

    people: Mapping[Name, PersonBlock] = Field(
        min_length=1, examples=["{operator: {roles: [operator], identities: {console: operator}}}"]
    )
    roles: Mapping[Name, tuple[Text, ...]] = Field(default={}, examples=["{observer: []}"])
    production_hours: ProductionHours = ProductionHours()
    gates: Mapping[Name, GateBlock] = Field(default={}, examples=["{go: {quorum: 2}}"])

    def known(self) -> People:
        """The persons, with the roles that roles imply."""
        persons = (Person(key, frozenset(p.roles), frozenset(p.identities.items())) for key, p in self.people.items())
        return People(persons, {role: frozenset(implied) for role, implied in {**IMPLIED, **self.roles}.items()})


class Root(Authority):
    """The whole file, but for the commands' sections."""

    bot: Bot = Field(default={}, validate_default=True)
    chat: Chat = Field(examples=['{console: {folder: "room"}, rooms: ["console:#kernelci"]}'])
    services: Services
    procedures: Mapping[Name, Steps] = Field(default={}, examples=["{release: [plan, prepare, create-tags]}"])
    commands_path: FilePath | None = Field(default=None, examples=['"/etc/kcibot/commands"'])


NOT_ROLES = frozenset({EVERYBODY})
"""Everybody has it, known or not: it can neither be given nor be asked for."""
