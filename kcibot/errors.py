"""Every error the bot raises on purpose, named after what may be done about it.

A vendor's exception never leaves `services/` or `chat/`: the adapter translates it into one of these, and its
message is a sentence for the person in the channel.
"""


class KcibotError(Exception):
    """Base of all; its text may be shown in the channel."""


class UserError(KcibotError):
    """What was asked for cannot be done as asked; say it to the person."""


class PermissionDenied(UserError):
    """The person may not do this."""


class ConfigError(KcibotError):
    """The configuration is wrong; nothing was started."""


class TransientError(KcibotError):
    """It certainly had no effect, and may work when tried again."""


class PermanentError(KcibotError):
    """It certainly had no effect, and trying again the same way will not help."""


class NotFound(PermanentError):
    """The other end positively answered that the thing does not exist. An error or silence is never this."""


class NotText(PermanentError):
    """A file that was to be read as text is none."""


class OutcomeUnknown(KcibotError):
    """It may or may not have had its effect: never retry, look at the world."""


class BrokenOff(KcibotError):
    """It is over and was done in part: nothing more arrives, and people look at what it left before it begins again."""


class Aborted(KcibotError):
    """People stopped it."""
