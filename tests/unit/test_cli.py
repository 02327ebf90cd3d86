"""The command line: what it prints, and the exit status that scripts rely on."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.config_text import config_text

GOOD = 0
BAD = 2

COMMAND = '''
from kcibot.sdk import EVERYBODY, Call, Notice, Outcome, command


@command("mine", role=EVERYBODY)
def mine(call: Call) -> Outcome:
    """A command of one's own."""
    return Outcome(Notice("mine"))
'''


def kcibot(*words: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "kcibot", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(config_text())
    return path


def test_help_is_there_without_a_configuration() -> None:
    done = kcibot("--help")
    assert done.returncode == GOOD
    for word in ("run", "demo", "room", "check-config", "audit", "db", "health"):
        assert word in done.stdout


@pytest.mark.parametrize(
    "words", [("run",), ("check-config",), ("health",), ("audit", "verify"), ("db", "backup", "x")]
)
def test_a_missing_configuration_is_one_line_and_status_2(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = kcibot(*words[:2], "--config", tmp_path / "none.yaml", *words[2:])
    assert done.returncode == BAD
    assert "there is no such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_configuration_is_told_whole_without_a_trace(config: Path) -> None:
    config.write_text(config.read_text().replace("jenkins:", "jenkns:").replace("bot:", "bto:"))
    done = kcibot("run", "--config", config)
    assert done.returncode == BAD
    assert "Traceback" not in done.stderr
    assert done.stderr.count("config.yaml:") >= 2


def test_a_bot_that_never_ran_is_not_healthy(config: Path) -> None:
    done = kcibot("health", "--config", config)
    assert done.returncode == 1
    assert "no tick yet" in done.stderr


def test_commands_of_ones_own_are_found(config: Path, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.py").write_text(COMMAND)
    config.write_text(f"{config.read_text()}\ncommands_path: own\n")
    code = (
        "import sys; from pathlib import Path; from kcibot import config; from kcibot.app import registry;"
        "print('mine' in registry(config.commands_path(Path(sys.argv[1]))).commands)"
    )
    done = subprocess.run([sys.executable, "-c", code, config], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_a_commands_path_that_is_no_folder_is_said(config: Path) -> None:
    config.write_text(f"{config.read_text()}\ncommands_path: nowhere\n")
    done = kcibot("check-config", "--config", config)
    assert done.returncode == BAD
    assert "commands_path" in done.stderr
