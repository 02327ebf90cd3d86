"""The sandbox's Ansible configurations of backend and frontend: playbooks that really deploy, on this machine."""

import sys
from datetime import datetime, timedelta
from pathlib import Path

from kcibot.sandbox import targets_control
from kcibot.sandbox.repositories.history import FILES, History

SUBJECTS = (
    "hosts: order the groups by name",
    "roles: restart the services by a handler",
    "roles: keep the old static files",
    "site.yml: do not gather facts",
    "roles: check out by force",
    "group_vars: deploy the production branch by default",
    "README.md: show the usual command",
    "roles: tag the tasks that touch secrets",
    "ansible.cfg: use pipelining",
    "roles: set the mode of the configuration file",
    "hosts: drop the old development machine",
    "README.md: list the hosts",
)


def ansible_config(name: str, code: Path, targets: Path, now: datetime) -> History:
    """The configuration that deploys `name` (backend or frontend) from the repository `code` to below `targets`."""
    history = History()
    history.write_all(FILES / f"{name}-config")
    history.write("group_vars/all.yml", _variables(code, targets))
    history.commit(f"Start from the playbooks of the {name}", now - timedelta(weeks=30))
    for number, subject in enumerate(SUBJECTS):
        history.append("README.md", f"- {subject.partition(': ')[2]}")
        history.commit(subject, now - timedelta(weeks=28 - 2 * number))
    return history


def _variables(code: Path, targets: Path) -> str:
    """Where things are in this sandbox; in production these are /srv and /usr/share/nginx/html, over SSH."""
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        # Everything belongs to the user who started the sandbox: `-b` on the command line has nothing to become.
        "ansible_become": "false",
        "hostname": "{{ inventory_hostname }}",
        "install_base": str(targets / "srv"),
        "web_root": str(targets / "www"),
        "git_url": str(code),
        "service_control": targets_control.__file__,
        "service_folder": str(targets),
    }
    lines = (f"{name}: {value if value == 'false' else repr(value)}\n" for name, value in variables.items())
    return "---\n# Written when the sandbox was made\n" + "".join(lines)
