"""Which reactions are votes, under the names and signs by which the networks know them."""

from kcibot.core.gate import Choice

_THUMB, _MARKS = "\N{THUMBS UP SIGN}", ("\N{WHITE HEAVY CHECK MARK}", "\N{HEAVY CHECK MARK}")
APPROVING = frozenset({"+1", "thumbsup", "white_check_mark", "heavy_check_mark", _THUMB, *_MARKS})
REJECTING = frozenset({"-1", "thumbsdown", "x", "no_entry", "\N{THUMBS DOWN SIGN}", "\N{CROSS MARK}"})
SKIN_TONES = frozenset(chr(number) for number in range(0x1F3FB, 0x1F400))
PRESENTATION = "\N{VARIATION SELECTOR-16}"


def choice_of(name: str) -> Choice | None:
    """What a reaction says of a gate, in any skin tone; None for one that is no vote."""
    plain = name.partition("::")[0].strip(":").rstrip(PRESENTATION)
    if len(plain) > 1 and plain[-1] in SKIN_TONES:
        plain = plain[:-1]
    if plain in APPROVING:
        return Choice.APPROVE
    return Choice.REJECT if plain in REJECTING else None
