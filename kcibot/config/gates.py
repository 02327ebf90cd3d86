"""The gates' defaults, what `gates:` changes of them, and whether the configured people can open them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import Field

from kcibot.config.fields import Block, Text, Timeout
from kcibot.core.access import People
from kcibot.core.gate import GatePolicy, StarterVote
from kcibot.core.hours import Hours
from kcibot.core.wording import listed

MANAGER = "release-manager"
OPERATOR = "operator"


class GateBlock(Block):
    """What is written about one gate. Only the keys that are there count; see `policy`."""

    role: Text = Field(default=MANAGER, examples=[MANAGER])
    quorum: int = Field(default=1, ge=1, le=20, examples=["2"])
    starter_may_vote: bool = Field(default=False, examples=["false"])
    expires: Timeout | None = Field(default=None, examples=['"48h"'])
    in_production_hours: bool = Field(default=False, examples=["true"])
    remind: Timeout = Field(default=GatePolicy().remind, examples=['"4h"'])


OPERATORS_OWN = GateBlock(role=OPERATOR, starter_may_vote=True)

DEFAULTS: Mapping[str, GateBlock] = {
    "prepare": OPERATORS_OWN,
    "announce": OPERATORS_OWN,
    "go": GateBlock(in_production_hours=True),
    "force": GateBlock(quorum=2),
    "images": OPERATORS_OWN,
    "rootfs": OPERATORS_OWN,
    "bisections": OPERATORS_OWN,
    "timer": OPERATORS_OWN,
    "accept": GateBlock(),
    "amend": GateBlock(),
    "rollback": GateBlock(),
    "unlock": GateBlock(),
    "definition-removal": GateBlock(),
    "definitions": GateBlock(),
    "deploy": GateBlock(),
    "pipecleaner": GateBlock(),
    "restart": GateBlock(),
}
"""Who must approve what, unless configured; a gate that is not here is as strict as GatePolicy's own defaults."""


def policies(given: Mapping[str, GateBlock], hours: Hours) -> dict[str, GatePolicy]:
    """The policy of every gate: its defaults, with the keys that were given for it."""
    return {
        gate: _policy(gate, given.get(gate), hours) for gate in [*DEFAULTS, *(g for g in given if g not in DEFAULTS)]
    }


def _policy(gate: str, given: GateBlock | None, hours: Hours) -> GatePolicy:
    block = DEFAULTS.get(gate, GateBlock())
    if given is not None:
        block = block.model_copy(update={key: getattr(given, key) for key in given.model_fields_set})
    starter = StarterVote.ALLOWED if block.starter_may_vote else StarterVote.REFUSED
    opens = hours if block.in_production_hours else None
    return GatePolicy(block.role, block.quorum, starter, block.expires, opens, block.remind)


@dataclass(frozen=True, slots=True)
class Shortage:
    """Gates that the configured people can never open, for one reason."""

    gates: tuple[str, ...]
    policy: GatePolicy
    voters: tuple[str, ...]

    @property
    def reason(self) -> str:
        """Such as `needs 2 approvals by a release-manager, but only manager-1 could give one`."""
        approvals = "an approval" if self.policy.quorum == 1 else f"{self.policy.quorum} approvals"
        other = " other than the starter" if self.policy.starter is StarterVote.REFUSED else ""
        role = f"{'an' if self.policy.role[0] in 'aeiou' else 'a'} {self.policy.role}"
        return f"needs {approvals} by {role}{other}, but {self._but}"

    @property
    def _but(self) -> str:
        if not self.voters:
            return "nobody has that role"
        if len(self.voters) < self.policy.quorum:
            return f"only {listed(self.voters)} could give one"
        return f"{'one of ' * (len(self.voters) > 1)}{listed(self.voters)} is always the starter"


def shortages(policies: Mapping[str, GatePolicy], people: People) -> Iterator[Shortage]:
    """Quorums out of reach. A starter who may not vote costs a voter, unless somebody can start who is no voter."""
    grouped: dict[tuple[str, int, StarterVote], list[str]] = {}
    for gate, policy in policies.items():
        grouped.setdefault((policy.role, policy.quorum, policy.starter), []).append(gate)
    for gates in grouped.values():
        policy = policies[gates[0]]
        voters = [person.id for person in people.having(policy.role)]
        lost = policy.starter is StarterVote.REFUSED and all(p.id in voters for p in people.having(OPERATOR))
        if len(voters) - lost < policy.quorum:
            yield Shortage(tuple(gates), policy, tuple(voters))
