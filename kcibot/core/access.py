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


NOBODY = Person("")
"""Somebody the configuration does not know: may do what is for everybody."""


class People:
    """The configured persons, and the roles that other roles imply."""

    def __init__(self, persons: Iterable[Person], implied: Mapping[str, frozenset[str]]) -> None:
        self._persons = {person.id: person for person in persons}
        self._by_identity = {identity: p for p in self._persons.values() for identity in p.identities}
        self._implied = implied

    def __iter__(self) -> Iterator[Person]:
        return iter(self._persons.values())

    def resolve(self, network: str, identity: str) -> Person:
        """The person the network vouches for, or NOBODY. An empty identity is nobody's."""
        return self._by_identity.get((network, identity), NOBODY) if identity else NOBODY

    def get(self, person_id: str) -> Person:
        return self._persons.get(person_id, NOBODY)

    def roles(self, person: Person) -> frozenset[str]:
        """Own roles and all that they imply, directly or not."""
        found: set[str] = set()
        waiting = [EVERYBODY, *person.roles]
        while waiting:
            role = waiting.pop()
            if role not in found:
                found.add(role)
                waiting.extend(self._implied.get(role, ()))
        return frozenset(found)

    def may(self, person: Person, role: str) -> bool:
        return role in self.roles(person)

    def having(self, role: str) -> tuple[Person, ...]:
        """Everyone who has that role, in the configured order."""
        return tuple(p for p in self._persons.values() if self.may(p, role))
