"""A secret is never written in the configuration, and never said by anything that reads it."""

import os
import sys
from pathlib import Path

import pytest

from kcibot.config import ConfigProblems, SecretSource, check, load
from kcibot.config.secrets import SourceKind
from kcibot.core.redact import MASK, Redactor
from kcibot.errors import ConfigError
from tests.fakes.config_text import config_text, replaced

SECRET = "hunter2hunter2"
TOKEN = "{env: KCIBOT_TEST_JENKINS_TOKEN}"
INLINE = [
    SECRET,
    f'"{SECRET}"',
    "1234567890123",
    f"[{SECRET}]",
    f"{{{SECRET}}}",
    f"{{value: {SECRET}}}",
    f"{{env: {SECRET}}}",
    f"{{{SECRET}: {SECRET}}}",
    f"{{env: KCIBOT, file: {SECRET}}}",
    f"{{command: {SECRET}}}",
    f"{{command: [{{{SECRET}: x}}]}}",
    f"{{file: [{SECRET}]}}",
    f"#{SECRET}",
    f"*{SECRET}",
    f"!{SECRET}",
    f"&{SECRET}",
    f"%{SECRET}",
    f"@{SECRET}",
    f"a: {SECRET}",
    f"'{SECRET}",
]


def shown(folder: Path, text: str) -> str:
    path = folder / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigProblems) as caught:
        load(path, {})
    shown = [str(caught.value), repr(caught.value), repr(caught.value.problems)]
    return "\n".join([*shown, repr(caught.value.__cause__), repr(caught.value.__context__)])


@pytest.mark.parametrize("inline", INLINE)
def test_a_secret_in_the_file_is_refused_without_repeating_it(tmp_path: Path, inline: str) -> None:
    said = shown(tmp_path, replaced(TOKEN, inline))
    assert "config.yaml:36" in said
    assert SECRET not in said
    assert "1234567890123" not in said


def test_a_plain_text_is_answered_with_what_to_write_instead(tmp_path: Path) -> None:
    assert shown(tmp_path, replaced(TOKEN, SECRET)).splitlines()[0] == (
        "config.yaml:36: services.jenkins.token: a secret never stands in the configuration: use env, file or command."
        " Name exactly one source: {env: NAME}, {file: path} or {command: [program, argument]}."
    )


URLS = {
    "http://127.0.0.1:8080": "services.jenkins.user and services.jenkins.token",
    "http://127.0.0.1:8081\n": "services.results_api.token",
    "http://127.0.0.1:5000": "services.images.login",
    "http://127.0.0.1:8082": "Remove them: nothing here needs a login",
    "https://github.com/kernelci/kernelci-backend.git": "services.git.token or services.git.ssh_key",
}


@pytest.mark.parametrize(("url", "where"), URLS.items())
@pytest.mark.parametrize("login", [f"user:{SECRET}@", f"{SECRET}@", f"{SECRET}:@"])
def test_a_login_in_an_address_is_refused_and_sent_to_its_place(
    tmp_path: Path, url: str, where: str, login: str
) -> None:
    said = shown(tmp_path, replaced(url, url.replace("://", f"://{login}")))
    assert "must not hold credentials: an address is shown in logs and in the channel" in said
    assert where in said
    assert SECRET not in said


@pytest.mark.parametrize(
    "url",
    [
        f"https://example.org/?token={SECRET}",
        f"http://[{SECRET}",
        f"ftp://{SECRET}",
        SECRET,
        f"ssh://git:{SECRET}@host/x",
    ],
)
def test_an_address_that_is_refused_is_not_repeated(tmp_path: Path, url: str) -> None:
    assert SECRET not in shown(tmp_path, replaced("http://127.0.0.1:8082", url))
    assert SECRET not in shown(tmp_path, replaced("https://github.com/kernelci/kernelci-backend.git", f'"{url}"'))


def test_what_does_not_look_like_a_key_is_not_shown_as_one(tmp_path: Path) -> None:
    text = replaced(
        "    security: none", f'    security: none\n    "password {SECRET}": x\n    https://u:{SECRET}@host: x'
    )
    said = shown(tmp_path, text)
    assert "services.mail.?: is unknown here" in said
    assert SECRET not in said


def test_a_variable_of_ansible_that_is_named_like_a_secret_is_refused(tmp_path: Path) -> None:
    text = replaced(
        "  images:\n    engine", f"  ansible:\n    environment: {{X_PASSWORD: {SECRET}}}\n  images:\n    engine"
    )
    said = shown(tmp_path, text)
    assert "services.ansible.environment: holds a variable that is named like a secret" in said
    assert SECRET not in said


# ---- reading ---------------------------------------------------------------------------------------------------


def source(kind: SourceKind, *words: object) -> SecretSource:
    return SecretSource(kind, tuple(str(word) for word in words))


def program(folder: Path, text: str) -> SecretSource:
    script = folder / "give"
    script.write_text(f"import sys, time\n{text}\n")
    return source(SourceKind.COMMAND, sys.executable, script, SECRET)


def refusal(secret: SecretSource) -> str:
    with pytest.raises(ConfigError) as caught:
        secret.read(Redactor())
    said = f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    assert SECRET not in said
    return str(caught.value)


def test_each_source_gives_the_secret_without_its_last_newline_and_masks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KCIBOT_X", SECRET)
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o600)
    command = program(tmp_path, f"print({SECRET!r})")
    for secret in (source(SourceKind.ENV, "KCIBOT_X"), source(SourceKind.FILE, file), command):
        redactor = Redactor()
        assert secret.read(redactor) == SECRET
        assert redactor.text(f"it is {SECRET}") == f"it is {MASK}"


def test_only_one_newline_is_taken_off(tmp_path: Path) -> None:
    assert program(tmp_path, f"sys.stdout.write({SECRET!r} + ' \\n\\n')").read(Redactor()) == f"{SECRET} \n"


def test_a_file_is_read_anew_and_a_command_runs_once(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("first")
    file.chmod(0o600)
    read = source(SourceKind.FILE, file).reader(Redactor())
    assert read() == "first"
    file.write_text("second")
    assert read() == "second"
    once = program(tmp_path, f"open({str(tmp_path / 'log')!r}, 'a').write('x'); print({SECRET!r})").reader(Redactor())
    assert [once(), once()] == [SECRET, SECRET]
    assert (tmp_path / "log").read_text() == "x"


def test_what_is_missing_or_too_short_to_be_masked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KCIBOT_X", raising=False)
    env = source(SourceKind.ENV, "KCIBOT_X")
    assert refusal(env) == "The environment variable KCIBOT_X is not set. Set it for the bot's process."
    monkeypatch.setenv("KCIBOT_X", " \n")
    assert refusal(env).startswith("The environment variable KCIBOT_X holds no secret: it is empty.")
    monkeypatch.setenv("KCIBOT_X", "abc\n")
    assert "holds less than 4 characters" in refusal(env)
    assert "cannot be read: No such file or directory" in refusal(source(SourceKind.FILE, tmp_path / "absent"))
    assert "cannot be started" in refusal(source(SourceKind.COMMAND, tmp_path / "absent", SECRET))


def test_a_file_that_everybody_can_read_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    file.chmod(0o644)
    assert refusal(source(SourceKind.FILE, file)).endswith(f"can be read by everybody. Run `chmod 600 {file}`.")
    file.chmod(0o640)
    assert source(SourceKind.FILE, file).read(Redactor()) == SECRET


def test_what_is_no_ordinary_text_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "is no regular file" in refusal(source(SourceKind.FILE, tmp_path / "pipe"))
    assert "Is a directory" in refusal(source(SourceKind.FILE, tmp_path))
    file = tmp_path / "secret"
    file.write_bytes(b"\xff" + SECRET.encode())
    file.chmod(0o600)
    assert "holds no UTF-8 text" in refusal(source(SourceKind.FILE, file))
    file.write_bytes(b"x" * 100_000)
    assert "is larger than 65536 bytes" in refusal(source(SourceKind.FILE, file))


FAILING = {
    "it prints the secret as its error": (f"sys.stderr.write({SECRET!r}); sys.exit(3)", "exit status 3"),
    "it prints the secret everywhere": (f"print({SECRET!r}); sys.exit({SECRET!r})", "exit status 1"),
    "it raises with the secret": (f"raise ValueError({SECRET!r})", "exit status 1"),
    "it says nothing": ("", "is empty"),
}


@pytest.mark.parametrize(("text", "said"), FAILING.values(), ids=FAILING)
def test_a_failing_command_is_named_and_nothing_of_its_output_is_repeated(tmp_path: Path, text: str, said: str) -> None:
    refused = refusal(program(tmp_path, text))
    assert refused.startswith(f"The command {Path(sys.executable).name} ")
    assert said in refused


def test_a_command_that_does_not_end_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kcibot.config.secrets.COMMAND_SECONDS", 0.3)
    child = "import subprocess; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    assert "did not end within" in refusal(program(tmp_path, child))


def test_no_shell_reads_the_command(tmp_path: Path) -> None:
    assert program(tmp_path, "print(sys.argv[1] + '; $HOME')").read(Redactor()) == f"{SECRET}; $HOME"


def test_a_source_shows_neither_arguments_nor_values() -> None:
    assert repr(source(SourceKind.COMMAND, "/usr/bin/pass", SECRET)) == "SecretSource(the command pass)"


def test_a_loaded_configuration_has_no_secret_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KCIBOT_TEST_JENKINS_TOKEN", SECRET)
    (tmp_path / "config.yaml").write_text(config_text())
    config = load(tmp_path / "config.yaml", {})
    assert SECRET not in repr(config)
    assert config.services.jenkins.token.read(Redactor()) == SECRET


def test_check_reads_every_secret_and_shows_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KCIBOT_TEST_JENKINS_TOKEN", "x")
    token = tmp_path / "api-token"
    token.write_text(SECRET)
    token.chmod(0o604)
    (tmp_path / "config.yaml").write_text(config_text())
    said = check(tmp_path / "config.yaml", {})
    assert [line.split(" The ")[0] for line in said] == [
        "config.yaml:36: services.jenkins.token:",
        "config.yaml:53: services.results_api.token:",
    ]
    assert SECRET not in "".join(said)
