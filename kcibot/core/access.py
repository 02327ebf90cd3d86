"""Who is who, and who may do what. Authority belongs to configured persons, never to nicks."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

EVERYBODY = "everybody"
BREAK_GLASS = "break-glass"


@dataclass(frozen=True, slots=True)
class Person:
    """A configured human. `identities` are (network, identity) pairs that the networks vouch for."""

    id: str
    roles: frozenset[str] = frozenset()
    identities: frozenset[tuple[str, str]] = frozenset()

    def identity(self, network: str) -> str:
        """As whom that network knows them; empty if it does not."""
        return next((identity for at, identity in sorted(self.identities) if at == network), "")


NOBODY = Person("")
"""Somebody the configuration does not know: may do what is for everybody."""


@dataclass(frozen=True)
class Known:
    """Persons by their id and by (network, identity), and the roles that roles imply."""

    persons: Mapping[str, Person]
    by_identity: Mapping[tuple[str, str], Person]
    implied: Mapping[str, frozenset[str]]


class People:
    """The configured persons, and the roles that other roles imply."""

    def __init__(self, persons: Iterable[Person], implied: Mapping[str, frozenset[str]]) -> None:
        by_id = {person.id: person for person in persons}
        by_identity = {identity: person for person in by_id.values() for identity in person.identities}
        self.known = Known(by_id, by_identity, implied)

    def become(self, other: "People") -> tuple[str, ...]:
        """Take over what the other knows; what changed, a clause for each. Whoever asks next is answered by it."""
        before, self.known = self.known, other.known
        return (*_changed_persons(before.persons, other.known.persons), *_changed_roles(before, other.known))

    def __iter__(self) -> Iterator[Person]:
        return iter(self.known.persons.values())

    def resolve(self, network: str, identity: str) -> Person:
        """The person the network vouches for, or NOBODY. An empty identity is nobody's."""
        return self.known.by_identity.get((network, identity), NOBODY) if identity else NOBODY

    def get(self, person_id: str) -> Person:
        return self.known.persons.get(person_id, NOBODY)

    def roles(self, person: Person) -> frozenset[str]:
        """Own roles and all that they imply, directly or not."""
        found: set[str] = set()
        waiting = [EVERYBODY, *person.roles]
        while waiting:
            role = waiting.pop()
            if role not in found:
                found.add(role)
                waiting.extend(self.known.implied.get(role, ()))
        return frozenset(found)

    def may(self, person: Person, role: str) -> bool:
        return role in self.roles(person)

    def having(self, role: str) -> tuple[Person, ...]:
        """Everyone who has that role, in the configured order."""
        return tuple(p for p in self.known.persons.values() if self.may(p, role))


def _changed_persons(before: Mapping[str, Person], after: Mapping[str, Person]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None and new is not None:
            yield f"{name} is new: {_described(new)}"
        elif new is None:
            yield f"{name} is gone"
        elif old != new:
            yield f"{name} was {_described(old or NOBODY)} and is {_described(new)}"


def _described(person: Person) -> str:
    known = ", ".join(f"{network}: {identity}" for network, identity in sorted(person.identities))
    return f"{', '.join(sorted(person.roles)) or 'without a role'} ({known or 'known nowhere'})"


def _changed_roles(before: Known, after: Known) -> Iterator[str]:
    for role in sorted({*before.implied, *after.implied}):
        if before.implied.get(role) != after.implied.get(role):
            yield f"the role {role} implies {', '.join(sorted(after.implied.get(role, ()))) or 'no other'} now"
