"""A scripted person's voice in the sandbox's room on IRC."""

from kcibot.sandbox.irc.person import IrcPerson, Seen

THUMB = "\N{THUMBS UP SIGN}"


class IrcVoice:
    """Fulfils `voices.Voice` with somebody who is in that channel."""

    def __init__(self, person: IrcPerson, channel: str, bot: str) -> None:
        self._person = person
        self._channel = channel
        self._bot = bot

    def meet(self) -> None:
        """Wait until the bot is in the channel."""
        self._person.wait(self._shows_the_bot)

    def say(self, text: str) -> None:
        self._person.say(self._channel, text)

    def approve(self, code: str) -> None:
        prompt = self._person.wait_for_text(f"!approve {code}", self._bot)
        self._person.react(self._channel, prompt.msgid, THUMB)

    def close(self) -> None:
        self._person.close()

    def _shows_the_bot(self, one: Seen) -> bool:
        if one.command == "353":
            return self._bot in (name.lstrip("@+") for name in one.text.split())
        return one.command == "JOIN" and one.nick == self._bot
