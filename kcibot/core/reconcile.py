"""Votes that were cast or taken back by reaction while a network, or the bot, was away."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from kcibot.core.gate import Ask, AskState, Choice, Vote
from kcibot.core.message import EventKind, Incoming, MessageRef, Place
from kcibot.core.ports import ChatAdapter, Reaction
from kcibot.core.reactions import choice_of
from kcibot.core.world import World

STILL_MATTER = frozenset({AskState.OPEN, AskState.APPROVED})


class Reconciler:
    """Compares the reactions to every prompt that still matters with the votes in the journal.

    What differs is handed on as the events that were missed, so that it is judged like every other vote. A vote that
    was given in words is not compared: no reaction was ever there. Nor is one that was withdrawn in words.
    """

    def __init__(self, world: World, adapters: Mapping[str, ChatAdapter], accept: Callable[[Incoming], bool]) -> None:
        self._world = world
        self._adapters = adapters
        self._accept = accept

    def look(self, network: str) -> None:
        """Raises what the network raises: then nobody knows, and it is looked for after the next connection."""
        journal = self._world.journal
        for run in journal.open_runs():
            for ask in journal.asks(run.id):
                if ask.state in STILL_MATTER:
                    for ref in journal.message_refs(ask.message_key, network):
                        self._look_at(ask, ref)

    def _look_at(self, ask: Ask, ref: MessageRef) -> None:
        found = self._adapters[ref.network].reactions(ref)
        if found is None:
            return
        votes = {vote.person: vote for vote in self._world.journal.votes(ask) if vote.network == ref.network}
        now = self._world.clock.now()
        for event in (*self._gone(ref, found, votes, now), *self._new(ref, found, votes, now)):
            self._accept(event)

    def _gone(
        self, ref: MessageRef, found: tuple[Reaction, ...], votes: Mapping[str, Vote], now: datetime
    ) -> Iterator[Incoming]:
        """A reaction that was a vote, and is not there any more."""
        there = {(self._person(ref, one), choice_of(one.name)) for one in found}
        for person, vote in votes.items():
            if vote.reacted and not vote.withdrawn and (person, vote.choice) not in there:
                identity = self._identity(person, ref.network)
                name = "+1" if vote.choice is Choice.APPROVE else "-1"
                event_id = f"gone:{ref.message_id}:{identity}:{vote.at.isoformat()}"
                yield _event(event_id, EventKind.REACTION_REMOVED, ref, Reaction(identity, person, name), now)

    def _new(
        self, ref: MessageRef, found: tuple[Reaction, ...], votes: Mapping[str, Vote], now: datetime
    ) -> Iterator[Incoming]:
        """A reaction that is no vote yet. Beside a standing approval a rejection counts, but not the reverse."""
        for one in found:
            choice, person = choice_of(one.name), self._person(ref, one)
            vote = votes.get(person)
            rejects = vote is not None and choice is Choice.REJECT and vote.choice is not Choice.REJECT
            if choice and person and (vote is None or rejects):
                since = vote.at.isoformat() if vote else ""
                event_id = f"seen:{ref.message_id}:{one.identity}:{choice}:{since}"
                yield _event(event_id, EventKind.REACTION_ADDED, ref, one, now)

    def _person(self, ref: MessageRef, one: Reaction) -> str:
        return self._world.people.resolve(ref.network, one.identity).id

    def _identity(self, person: str, network: str) -> str:
        return self._world.people.get(person).identity(network)


def _event(event_id: str, kind: EventKind, ref: MessageRef, one: Reaction, now: datetime) -> Incoming:
    return Incoming(event_id, kind, Place(ref.network, ref.channel), one.identity, one.nick, one.name, now, ref)
