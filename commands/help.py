"""What a newcomer types first: help, and who and what the bot is."""

from importlib.metadata import version as installed_version

from kcibot.sdk import EVERYBODY, Call, Command, Field, Notice, Outcome, Person, UserError, Words, command, listed


@command("help", role=EVERYBODY, example="!help drain")
def help_(call: Call, verb: Words = ()) -> Outcome:
    """List the commands, or explain one."""
    commands = call.world.registry.commands
    name = " ".join(" ".join(verb).removeprefix("!").lower().split())
    if not name:
        return Outcome(_overview(list(commands.values())))
    if name in commands:
        return Outcome(_explained(commands[name]))
    family = list(call.world.registry.family(name.split()[0]))
    if not family:
        call.world.registry.find(tuple(name.split()))
        raise UserError(f"there is no help on {name}")
    return Outcome(Notice(f"Commands of !{name}", lines=tuple(f"{c.usage}: {c.help}" for c in family)))


@command("ping", role=EVERYBODY, example="!ping")
def ping(_call: Call, text: Words = ()) -> Outcome:
    """Answer at once, with the words given."""
    return Outcome(Notice(" ".join(("pong", *text))))


@command("version", role=EVERYBODY)
def version(_call: Call) -> Outcome:
    """Say which kcibot this is."""
    return Outcome(Notice(f"kcibot {installed_version('kcibot')}"))


@command("whoami", role=EVERYBODY)
def whoami(call: Call) -> Outcome:
    """Say who you are to the bot, and what you may do."""
    place, identity = call.event.place, call.event.identity
    if not call.person.id:
        vouched = f"{place.network} knows you as {identity}" if identity else f"{place.network} vouches for nobody"
        return Outcome(Notice(f"I do not know you: {vouched}, and no configured person has that identity."))
    roles = listed(sorted(call.world.people.roles(call.person)))
    return Outcome(Notice(f"You are {call.person.id} ({identity} on {place.network}), with the roles {roles}."))


@command("people", role="observer")
def people(call: Call) -> Outcome:
    """List the configured people, their roles, and as whom each network knows them."""
    return Outcome(Notice("People", fields=tuple(Field(p.id, _described(p)) for p in call.world.people)))


def _described(person: Person) -> str:
    known = listed([f"{identity} on {network}" for network, identity in sorted(person.identities)])
    return f"{listed(sorted(person.roles)) or 'no role'} ({known or 'known nowhere'})"


def _overview(commands: list[Command]) -> Notice:
    """One line per first word: nobody reads sixty lines in a channel."""
    families: dict[str, list[str]] = {}
    for spec in sorted(commands, key=lambda c: c.name):
        first, _, rest = spec.name.partition(" ")
        families.setdefault(first, []).append(rest)
    fields = tuple(
        Field(f"!{first}", " | ".join(r for r in rest if r) or _of(commands, first)) for first, rest in families.items()
    )
    return Notice("Commands (!help VERB explains one)", fields=fields)


def _of(commands: list[Command], name: str) -> str:
    return next(c.help for c in commands if c.name == name)


def _explained(spec: Command) -> Notice:
    who = "For everybody" if spec.role == EVERYBODY else f"Needs the role {spec.role}"
    return Notice(spec.usage, lines=(spec.help, f"{who}. Example: {spec.example}"))
