"""The Dockerfile builds, where an engine and its base image are at hand."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def docker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False)


@pytest.fixture
def engine() -> None:
    if not shutil.which("docker") or docker("version", "--format", "{{.Server.Version}}").returncode:
        pytest.skip("no Docker engine answers: apt-get install docker.io, and start dockerd")
    base = re.search(r"^FROM (\S+) AS build", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert base
    if docker("image", "inspect", base[1]).returncode:
        pytest.skip(f"the base image is not at hand: docker pull {base[1]}")


@pytest.mark.timeout(1800)
def test_the_image_builds_and_runs_as_nobody_special(engine: None) -> None:
    built = docker("build", "--quiet", "--tag", "kcibot:test", ".")
    assert built.returncode == 0, built.stderr
    version = docker("run", "--rm", "kcibot:test", "--version")
    assert version.stdout.startswith("kcibot")
    user = docker("run", "--rm", "--entrypoint", "id", "kcibot:test", "--user", "--name")
    assert user.stdout.strip() == "kcibot"


def test_the_dockerfile_has_a_health_check_and_an_ordinary_user() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert "\nHEALTHCHECK " in text
    assert "\nUSER kcibot\n" in text
    assert "--require-hashes" in text
