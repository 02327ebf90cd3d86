"""Gates: what is asked, who may answer, and what the answers amount to. Values and pure functions."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from kcibot.core.access import BREAK_GLASS, People, Person
from kcibot.core.digest import digest
from kcibot.core.hours import Hours

AGAINST = "against"
"""The fact of this name says what the bot proposes instead: whoever approves all the same says why."""
CODE_LENGTH = 6
SHOWN_LENGTH = 120


class StarterVote(StrEnum):
    """Whether the person who started the run may vote on it."""

    ALLOWED = "allowed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """Who must approve, and for how long the question stands and an approval is good, both from its asking on.

    `hours` limits when it is answered and when a step may begin by leave of it.
    """

    role: str = "release-manager"
    quorum: int = 1
    starter: StarterVote = StarterVote.REFUSED
    expires: timedelta | None = None
    hours: Hours | None = None
    remind: timedelta = timedelta(hours=4)


class Choice(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    OVERRIDE = "override"


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's answer on one network to one asking of a gate; `reacted` if it was given by a reaction."""

    run_id: int
    gate_id: str
    ask: int
    person: str
    network: str
    choice: Choice
    at: datetime
    reason: str = ""
    withdrawn: bool = False
    reacted: bool = False


class AskState(StrEnum):
    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    VOID = "void"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Ask:
    """One asking of a gate. `facts` maps each covered step to what was shown of it; votes are bound to their digest.

    `ask` counts the askings of this gate in this run from 1, so that a vote on an old prompt is never counted on a
    new one, even if the facts are the same.
    """

    run_id: int
    gate_id: str
    ask: int
    title: str
    facts: Mapping[str, object]
    display: tuple[str, ...]
    opened_at: datetime
    expires_at: datetime | None = None
    state: AskState = AskState.OPEN
    reminded_at: datetime | None = None

    @property
    def digest(self) -> str:
        return digest({"run": self.run_id, "gate": self.gate_id, "ask": self.ask, "facts": self.facts})

    @property
    def code(self) -> str:
        """What people type to name this asking."""
        return self.digest[:CODE_LENGTH]

    @property
    def against(self) -> str:
        """What the bot proposes instead of approving; empty if it does not."""
        return next((str(value) for path, value in _leaves(self.facts) if path[-1] == AGAINST), "")

    @property
    def to_approve(self) -> str:
        """What people type to approve."""
        return f"!approve {self.code} REASON" if self.against else f"!approve {self.code}"

    @property
    def message_key(self) -> str:
        return f"run:{self.run_id}:gate:{self.gate_id}:{self.ask}"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the votes amount to now."""

    approved_by: tuple[str, ...]
    rejected_by: tuple[str, ...]
    overridden_by: tuple[str, ...]
    missing: int

    @property
    def state(self) -> AskState:
        if self.rejected_by:
            return AskState.REJECTED
        return AskState.APPROVED if self.overridden_by or self.missing == 0 else AskState.OPEN


def may_vote(policy: GatePolicy, people: People, person: Person, starter: str, choice: Choice) -> str:
    """Why that person's vote does not count, in words for them; empty if it does."""
    if choice is Choice.OVERRIDE and not people.may(person, BREAK_GLASS):
        return f"an override is for people with the role {BREAK_GLASS}"
    if choice is Choice.OVERRIDE:
        return "whoever started the run may not override a gate of it" if person.id == starter else ""
    if not people.may(person, policy.role):
        return f"only a {policy.role} may answer this"
    if person.id == starter and policy.starter is StarterVote.REFUSED:
        return "whoever started the run may not approve this step of it"
    return ""


def standing(policy: GatePolicy, people: People, starter: str, votes: Iterable[Vote]) -> Standing:
    """Count the votes that stand: a person counts once, on however many networks they voted.

    A vote does not outlive its voter's right to give it: people and policies may be configured anew at any start.
    """
    valid = [
        vote
        for vote in votes
        if not vote.withdrawn and not may_vote(policy, people, people.get(vote.person), starter, vote.choice)
    ]

    def persons(choice: Choice) -> tuple[str, ...]:
        return tuple(dict.fromkeys(vote.person for vote in valid if vote.choice is choice))

    approved = persons(Choice.APPROVE)
    return Standing(approved, persons(Choice.REJECT), persons(Choice.OVERRIDE), max(0, policy.quorum - len(approved)))


def moved(shown: Mapping[str, object], now: Mapping[str, object]) -> tuple[str, ...]:
    """Which facts are no longer what was shown, a line each; empty if an approval still holds."""
    before, after = dict(_leaves(shown)), dict(_leaves(now))
    return tuple(
        f"{' '.join(path)}: was {_short(before.get(path, 'not there'))}, is now {_short(after.get(path, 'not there'))}"
        for path in dict.fromkeys([*before, *after])
        if (path in before) != (path in after) or digest(before.get(path)) != digest(after.get(path))
    )


def _leaves(facts: Mapping[str, object], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every fact under the path of its names, so that only what moved is told."""
    for name, value in facts.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*above, str(name)))
        else:
            yield (*above, str(name)), value


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 1]}…"
