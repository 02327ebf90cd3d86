"""Votes that were cast or taken back by reaction while a network, or the bot, was away."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from kcibot.core.gate import Ask, AskState, Choice, Vote
from kcibot.core.message import EventKind, Incoming, MessageRef, Place
from kcibot.core.ports import ChatAdapter, Reaction
from kcibot.core.reactions import choice_of
from kcibot.core.world import World
from kcibot.errors import KcibotError

STILL_MATTER = frozenset({AskState.OPEN, AskState.APPROVED})
Found = tuple[MessageRef, Reaction]
"""A reaction, and where it stands."""


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
        """Raises what the network raised, once all else was looked at: what that hid is to be looked for again."""
        journal = self._world.journal
        asks = [ask for run in journal.open_runs() for ask in journal.asks(run.id) if ask.state in STILL_MATTER]
        troubles = [trouble for ask in asks for trouble in self._look_at(ask, network)]
        if troubles:
            raise troubles[0]

    def _look_at(self, ask: Ask, network: str) -> list[KcibotError]:
        """What kept it from being seen. A vote stands in one of the rooms: it is gone if it is in none of them.

        The votes are read first: one that is given meanwhile must not look as if it had been taken back.
        """
        refs = self._world.journal.message_refs(ask.message_key, network)
        votes = {vote.person: vote for vote in self._world.journal.votes(ask) if vote.network == network}
        found, unseen, troubles = list[Found](), False, list[KcibotError]()
        for ref in refs:
            try:
                there = self._adapters[network].reactions(ref)
            except KcibotError as error:
                troubles.append(error)
                continue
            unseen = unseen or there is None
            found += [(ref, one) for one in there or ()]
        now = self._world.clock.now()
        gone = () if unseen or troubles else self._gone(refs, found, votes, now)
        for event in _strictest_first([*gone, *self._new(found, votes, now)]):
            self._accept(event)
        return troubles

    def _gone(
        self, refs: Sequence[MessageRef], found: Sequence[Found], votes: Mapping[str, Vote], now: datetime
    ) -> Iterator[Incoming]:
        """A reaction that was a vote, and is not there any more, nor a rejection in its place."""
        there = {(self._person(ref, one), choice_of(one.name)) for ref, one in found}
        for person, vote in votes.items() if refs else ():
            stands = (person, vote.choice) in there or (person, Choice.REJECT) in there
            if vote.reacted and not vote.withdrawn and not stands:
                ref, identity = refs[0], self._identity(person, vote.network)
                name = "+1" if vote.choice is Choice.APPROVE else "-1"
                event_id = f"gone:{ref.message_id}:{identity}:{vote.at.isoformat()}"
                yield _event(event_id, EventKind.REACTION_REMOVED, ref, Reaction(identity, person, name), now)

    def _new(self, found: Sequence[Found], votes: Mapping[str, Vote], now: datetime) -> Iterator[Incoming]:
        """A reaction that is no vote yet. Beside a standing approval a rejection counts, but not the reverse."""
        rejecting = {self._person(ref, one) for ref, one in found if choice_of(one.name) is Choice.REJECT}
        for ref, one in found:
            choice, person = choice_of(one.name), self._person(ref, one)
            vote = votes.get(person)
            rejects = vote is not None and choice is Choice.REJECT and vote.choice is not Choice.REJECT
            approves_beside = choice is Choice.APPROVE and person in rejecting
            if choice and person and not approves_beside and (vote is None or rejects):
                since = vote.at.isoformat() if vote else ""
                event_id = f"seen:{ref.message_id}:{one.identity}:{choice}:{since}"
                yield _event(event_id, EventKind.REACTION_ADDED, ref, one, now)

    def _person(self, ref: MessageRef, one: Reaction) -> str:
        return self._world.people.resolve(ref.network, one.identity).id

    def _identity(self, person: str, network: str) -> str:
        return self._world.people.get(person).identity(network)


def _strictest_first(events: Iterable[Incoming]) -> list[Incoming]:
    """Nobody knows in which order they came: an approval must not let anything begin that somebody rejects."""
    return sorted(events, key=_allows)


def _allows(event: Incoming) -> int:
    if event.kind is EventKind.REACTION_REMOVED:
        return 1
    return 0 if choice_of(event.text) is Choice.REJECT else 2


def _event(event_id: str, kind: EventKind, ref: MessageRef, one: Reaction, now: datetime) -> Incoming:
    return Incoming(event_id, kind, Place(ref.network, ref.channel), one.identity, one.nick, one.name, now, ref)
