"""What git and ssh say when something went wrong, and what can be concluded from it.

Lines that begin with `remote:` are a server's own words, or its hooks': they may say anything, and prove nothing.
"""

import re

from kcibot.errors import PermanentError, TransientError
from kcibot.services.git.login import is_local

QUOTED_CHARACTERS = 300
REMOTE_LINES = 4

_REFUSED = re.compile(
    r"Authentication failed|could not read (?:Username|Password)|Permission denied|access denied"
    r"|returned error: 40[13]",
    re.IGNORECASE,
)
_MISSING = re.compile(
    r"repository .*not found|does not appear to be a git repository|returned error: 404", re.IGNORECASE
)
_UNREACHED = re.compile(
    r"Could not resolve|Connection refused|Connection timed out|Failed to connect|No route to host|unable to connect"
    r"|Network is unreachable|Name or service not known|unable to access",
    re.IGNORECASE,
)
_REDIRECTED = re.compile(r"returned error: 30[12378]")
_HOST_KEY = "Host key verification failed"
_CHANGED_KEY = "HOST IDENTIFICATION HAS CHANGED"
_SENT = (
    "hung up unexpectedly",
    "disconnect",
    "RPC failed",
    "early EOF",
    "Broken pipe",
    "Connection reset",
    "Writing objects",
)
_HTTP_REFUSAL = re.compile(r"RPC failed; HTTP (401|403|404|413)\b")
_HTTP_LOGIN = re.compile(r"(?:Authentication failed|could not read (?:Username|Password)) for 'https?://")
"""Git asks for a login because the server answered 401, and gives up only after another one, or without an answer."""
_HTTP_MEANS = {
    "401": "it refused the login",
    "403": "this login may not push there",
    "404": "it does not have this repository",
    "413": "the push is larger than it takes",
}


def own(err: str) -> str:
    """The lines of git and ssh on this side."""
    return "\n".join(line for line in err.splitlines() if not line.startswith("remote:"))


def unreached(err: str) -> bool:
    """True if these words prove that the server was never spoken to, or that it refused to listen."""
    words = own(err)
    found = (_REFUSED, _MISSING, _UNREACHED, _REDIRECTED)
    return not was_sent(err) and (_HOST_KEY in words or any(pattern.search(words) for pattern in found))


def was_sent(err: str) -> bool:
    """True if something may have reached the server before the connection broke."""
    words = own(err)
    return any(word in words for word in _SENT)


def http_refusal(err: str) -> str:
    """Why an HTTP server did not take a push, if it said so before Git saw any of it; else empty."""
    found = _HTTP_REFUSAL.search(own(err))
    status = found[1] if found else "401" if _HTTP_LOGIN.search(own(err)) else ""
    return f"{_HTTP_MEANS[status]} (HTTP {status})" if status else ""


def connection_error(name: str, err: str, url: str) -> PermanentError | TransientError:
    """What a failed contact means, if nothing was sent yet."""
    words = own(err)
    if _HOST_KEY in words:
        return PermanentError(f"{name}: {_host_key(words)}")
    if _REDIRECTED.search(words):
        return PermanentError(
            f"{name}: the Git server says that this repository has another address now, and no redirection is "
            f"followed; configure the new one: {quoted(err)}"
        )
    if _REFUSED.search(words):
        return PermanentError(f"{name}: the Git server refused the login: {quoted(err)}")
    if _MISSING.search(words) and not is_local(url):
        return PermanentError(f"{name}: the Git server does not have this repository: {quoted(err)}")
    return TransientError(f"{name}: the Git server cannot be reached: {quoted(err)}")


def _host_key(words: str) -> str:
    if _CHANGED_KEY in words:
        return (
            "the Git server shows another host key than the one that is known, so nothing was sent. Either it got a "
            "new key, or somebody is in between: ask its administrators, and then change services.git.known_hosts"
        )
    return (
        "the host key of the Git server is not known, so nothing was sent. Put its line, from its administrators, "
        "into the file of services.git.known_hosts"
    )


def quoted(err: str) -> str:
    """The telling part of a complaint, on one line and fit to be shown."""
    lines = [" ".join(line.split()) for line in err.splitlines()]
    telling = [line for line in lines if _tells(line)] or [line for line in lines if line]
    text = "; ".join(dict.fromkeys(telling)) or "git gave no reason"
    return printable(text)[:QUOTED_CHARACTERS]


def _tells(line: str) -> bool:
    return line.startswith(("fatal:", "error:", "remote:", "ssh:")) or "Permission denied" in line


def remote_lines(err: str) -> list[str]:
    """What the server and its hooks said, without git's own advice."""
    lines = (line[len("remote:") :].strip() for line in err.splitlines() if line.startswith("remote:"))
    return list(dict.fromkeys(printable(line)[:200] for line in lines if line))[:REMOTE_LINES]


def printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())
