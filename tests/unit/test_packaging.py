"""What is installed is what is in the tree, and nothing called `commands` lands beside other people's packages."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")


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


def lock(name: str) -> str:
    return (ROOT / name).read_text().lower().replace("_", "-")


@pytest.mark.parametrize("name", LOCKS)
def test_the_locks_name_no_package_index(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    assert not [line for line in lines if line.startswith("-") or "://" in line]
    assert all("--hash=sha256:" in line or "==" in line or line.startswith("#") or not line for line in lines)


def test_every_direct_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    for file, wanted in (("requirements.lock", project["dependencies"]), ("requirements-dev.lock", extras)):
        for requirement in wanted:
            name = requirement.split(">")[0].split("<")[0].strip().lower().replace("_", "-")
            assert f"\n{name}==" in lock(file), f"{name} is not in {file}: make lock"


def test_both_locks_agree() -> None:
    used, all_of_them = (set(re.findall(r"^\S+==\S+", lock(name), re.MULTILINE)) for name in LOCKS)
    assert used <= all_of_them


@pytest.mark.parametrize("module", ["kcibot.cli", "kcibot.core.engine", "kcibot.sdk"])
def test_starting_needs_no_vendor_library(module: str) -> None:
    vendors = ["slack_bolt", "irc", "jenkins", "git", "ansible_runner", "docker", "apscheduler", "alembic"]
    code = f"import sys, {module}; print([v for v in {vendors!r} if v in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
