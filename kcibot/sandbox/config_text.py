"""The sandbox's configuration of the bot, as a newcomer may read it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TEXT = """\
# Written by the sandbox at every start. config.example.yaml explains each key.

bot:
  state: state
  tick: 100ms
  stale: 30d  # minutes pass in no time here, and /time passes over days: what was typed is wanted all the same

chat:
  console: {{folder: room}}
{networks}  rooms: [{rooms}]

people:
{people}

# The sandbox never sleeps.
production_hours: {{days: [Mon, Tue, Wed, Thu, Fri, Sat, Sun], from: "00:00", to: "24:00"}}

services:
  jenkins: {{url: "{jenkins}", user: {user}, token: {{file: secrets/jenkins-token}}}}
  git:
    repositories:
{repositories}
    author_name: kcibot
    author_email: kcibot@example.org
  images: {{engine: "{engine}", registry: "{registry}", prefix: "{prefix}"}}
  mail: {{host: 127.0.0.1, port: {mail_port}, security: none, archive_url: "{archive}"}}
  results_api:
    url: "{api}"
    token: {{file: secrets/api-token}}
    versions: {{backend: "{backend}/version", frontend: "{frontend}/"}}
    task_probe: /task/ping
{inbox}  storage: {{url: "{storage}"}}
  labs:
{labs}

monitor:
  storage_url: "{storage}/kernelci/last-commit_kernelci"

pipecleaner:
  previous: "{baseline}"

# What the monitor builds after a release is followed for hours elsewhere.
first_results: {{watch: 1h, look: 2m, labs_after: 30m}}

# What test-configs.yaml says is on KernelCI's own file server is looked for on the sandbox's.
rootfs:
  storage: "{storage}"
  report_to: [release-list@example.org]

announce:
  sender: kcibot@example.org
  recipients: [release-list@example.org]

deploy:
  queue_of: backend
  playbooks:
    backend:
      repository: backend-config
      limit: api.kernelci.org
      become: false
      services: [kernelci-backend, kernelci-celery]
      running_for:
        ["{{{{ ansible_python_interpreter }}}}", -IS, "{{{{ service_control }}}}", "{{{{ service_folder }}}}", age,
         "{{service}}"]
      restart:
        ["{{{{ ansible_python_interpreter }}}}", -IS, "{{{{ service_control }}}}", "{{{{ service_folder }}}}", restart,
         "{{service}}"]
      worker: kernelci-celery
    frontend:
      repository: frontend-config
      limit: kernelci.org
      become: false
      services: [kernelci-frontend]
      running_for:
        ["{{{{ ansible_python_interpreter }}}}", -IS, "{{{{ service_control }}}}", "{{{{ service_folder }}}}", age,
         "{{service}}"]
      restart:
        ["{{{{ ansible_python_interpreter }}}}", -IS, "{{{{ service_control }}}}", "{{{{ service_folder }}}}", restart,
         "{{service}}"]
      static: "{frontend}/static/"
"""


ROLES = {
    "operator": "operator",
    "manager-1": "release-manager",
    "manager-2": "release-manager, break-glass",
    "observer": "observer",
}
PERSON = "  {name}: {{roles: [{roles}], identities: {{{identities}}}}}"
LAB = '    {name}: {{url: "{url}", user: {user}, token: {{file: secrets/lab-token}}}}'

INBOX = """\
  report_inbox:
    host: {host}
    port: {port}
    user: {user}
    password: {{file: secrets/inbox-password}}
    folder: {folder}
    ca_file: "{ca_file}"
"""


@dataclass(frozen=True)
class Network:
    """A further chat network of the bot: its room, its block under `chat`, and as whom it knows each person."""

    room: str
    block: str
    identity: Callable[[str], str] = str

    @property
    def name(self) -> str:
        return self.room.partition(":")[0]


CONSOLE = Network("console:kernelci", "")


def config_text(
    *,
    repositories: Mapping[str, Path],
    labs: Mapping[str, str],
    lab_user: str,
    inbox: Mapping[str, object] | None = None,
    networks: Sequence[Network] = (),
    **places: str | int,
) -> str:
    """The whole file; `labs` are their addresses by name, `places` addresses and ports of the other servers.

    `inbox` is where report mails come, if anywhere.
    """
    everywhere = (CONSOLE, *networks)
    shown = "\n".join(LAB.format(name=name, url=url, user=lab_user) for name, url in labs.items())
    rows = "\n".join(f'      {name}: "{path}"' for name, path in sorted(repositories.items()))
    return TEXT.format(
        repositories=rows,
        labs=shown or "    {}",
        inbox=INBOX.format(**inbox) if inbox else "",
        people="\n".join(_person(name, everywhere) for name in ROLES),
        networks="".join(network.block for network in networks),
        rooms=", ".join(f'"{network.room}"' for network in everywhere),
        **places,
    )


def _person(name: str, networks: Sequence[Network]) -> str:
    identities = ", ".join(f"{network.name}: {network.identity(name)}" for network in networks)
    return PERSON.format(name=name, roles=ROLES[name], identities=identities)
