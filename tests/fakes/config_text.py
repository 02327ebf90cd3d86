"""A small good configuration as text, to be changed by the test that needs it otherwise."""

from collections.abc import Mapping

GOOD: Mapping[str, str] = {
    "bot": """
  name: kcibot
  stale: "5m"
  state: state
  tick: 1s
  log_level: info
""",
    "chat": """
  console:
    folder: room
  rooms:
    - "console:#kernelci"
""",
    "people": """
  operator:
    roles: [operator]
    identities: {console: operator}
  manager-1:
    roles: [release-manager]
    identities: {console: manager-1}
  manager-2:
    roles: [release-manager, break-glass]
    identities: {console: manager-2}
  observer:
    roles: [observer]
    identities: {console: observer}
""",
    "production_hours": """
  days: [Mon, Tue, Wed, Thu]
  from: "08:00"
  to: "16:00"
""",
    "gates": """
  go: {expires: 8h}
  images: {quorum: 2, starter_may_vote: true}
""",
    "services": """
  jenkins:
    url: http://127.0.0.1:8080
    user: kcibot
    token: {env: KCIBOT_TEST_JENKINS_TOKEN}
  git:
    repositories:
      core: git@github.com:kernelci/kernelci-core.git
      backend: https://github.com/kernelci/kernelci-backend.git
    author_name: KernelCI bot
    author_email: bot@kernelci.org
  images:
    engine: http://127.0.0.1:2375
    registry: http://127.0.0.1:5000
    prefix: "127.0.0.1:5000/"
  mail:
    host: 127.0.0.1
    port: 1025
    security: none
  results_api:
    url: http://127.0.0.1:8081
    token: {file: api-token}
    versions:
      backend: http://127.0.0.1:8081/version
  storage:
    url: http://127.0.0.1:8082
""",
}
"""Top-level key -> the text below it."""


def config_text(changes: Mapping[str, str] | None = None, *, header: str = "") -> str:
    """The good configuration, with whole top-level blocks replaced or added; an empty text leaves a block out.

    A block's text is indented by two blanks, or stands on the key's own line (`" {}"`).
    """
    blocks = {**GOOD, **(changes or {})}
    return header + "".join(f"{key}:{text.rstrip()}\n" for key, text in blocks.items() if text)


def replaced(old: str, new: str) -> str:
    """The good configuration with one piece of its text replaced; the piece must be there exactly once."""
    text = config_text()
    if text.count(old) != 1:
        raise ValueError(f"{old!r} is {text.count(old)} times in the good configuration")
    return text.replace(old, new)
