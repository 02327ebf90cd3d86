"""The sandbox's configuration of the bot, as a newcomer may read it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

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


def config_text(
    *,
    repositories: Mapping[str, Path],
    labs: Mapping[str, str],
    lab_user: str,
    inbox: Mapping[str, object] | None = None,
    networks: Mapping[str, str] = MappingProxyType({}),
    **places: str | int,
) -> str:
    """The whole file; `labs` are their addresses by name, `places` addresses and ports of the other servers.

    `inbox` is where report mails come, if anywhere. `networks` are the blocks of further chat networks by
    their rooms (`irc:#kernelci`), on which everybody has the name of their role, as on the console.
    """
    shown = "\n".join(LAB.format(name=name, url=url, user=lab_user) for name, url in labs.items())
    rows = "\n".join(f'      {name}: "{path}"' for name, path in sorted(repositories.items()))
    return TEXT.format(
        repositories=rows,
        labs=shown or "    {}",
        inbox=INBOX.format(**inbox) if inbox else "",
        people="\n".join(_person(name, ["console", *(room.partition(":")[0] for room in networks)]) for name in ROLES),
        networks="".join(networks.values()),
        rooms=", ".join(f'"{room}"' for room in ("console:kernelci", *networks)),
        **places,
    )


def _person(name: str, networks: Sequence[str]) -> str:
    identities = ", ".join(f"{network}: {name}" for network in networks)
    return PERSON.format(name=name, roles=ROLES[name], identities=identities)
