"""What is installed is what is in the tree, and nothing called `commands` lands beside other people's packages."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_every_package_of_the_tree_is_packaged() -> None:
    named = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "kcibot").rglob("__init__.py")}
    commands = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "commands").rglob("__init__.py")}
    renamed = {name.replace("commands", "kcibot_commands", 1) for name in commands}
    assert named == found | renamed


def test_commands_refuse_to_be_imported_under_another_name() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import commands"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "import this package as kcibot_commands" in done.stderr


def test_the_lock_names_no_package_index() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert not [line for line in lines if line.startswith("-") or "://" in line]
    assert all("--hash=sha256:" in line or "==" in line or line.startswith("#") or not line for line in lines)


def test_every_direct_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    locked = (ROOT / "requirements.lock").read_text().lower().replace("_", "-")
    for requirement in [*project["dependencies"], *extras]:
        name = requirement.split(">")[0].split("<")[0].strip().lower().replace("_", "-")
        assert f"\n{name}==" in locked, f"{name} is not in requirements.lock: make lock"


@pytest.mark.parametrize("module", ["kcibot.cli", "kcibot.core.engine", "kcibot.sdk"])
def test_starting_needs_no_vendor_library(module: str) -> None:
    vendors = ["slack_bolt", "irc", "jenkins", "git", "ansible_runner", "docker", "apscheduler", "alembic"]
    code = f"import sys, {module}; print([v for v in {vendors!r} if v in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
