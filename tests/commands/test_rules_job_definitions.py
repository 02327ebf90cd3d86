"""Definitions of Jenkins jobs, compared by what they mean."""

import pytest

from kcibot_commands.rules.job_definitions import (
    content_of,
    differences,
    read_definition,
    timer_specs,
    with_disabled,
    with_timer,
)
from kcibot_commands.rules.job_secrets import left_alone, refuse_hidden, secrets_in, with_secrets_of
from kcibot_commands.rules.problem import RuleError

SENT = """<?xml version='1.1' encoding='UTF-8'?>
<project><description>deploys</description><keepDependencies>false</keepDependencies><properties>\
<hudson.model.ParametersDefinitionProperty><parameterDefinitions>\
<hudson.model.StringParameterDefinition><name>VERSION</name><description></description><defaultValue>0</defaultValue>\
<trim>false</trim></hudson.model.StringParameterDefinition>\
<hudson.model.BooleanParameterDefinition><name>PUBLISH</name><defaultValue>true</defaultValue>\
</hudson.model.BooleanParameterDefinition>\
<hudson.model.ChoiceParameterDefinition><name>TARGET</name><choices class="java.util.Arrays$ArrayList">\
<a class="string-array"><string>staging</string><string>production</string></a></choices>\
</hudson.model.ChoiceParameterDefinition>\
<hudson.model.PasswordParameterDefinition><name>KEY</name><defaultValue>s3cret</defaultValue>\
</hudson.model.PasswordParameterDefinition>\
</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties><scm class="hudson.scm.NullSCM"/>\
<canRoam>true</canRoam><disabled>false</disabled><triggers><hudson.triggers.TimerTrigger><spec>H 3 * * *</spec>\
</hudson.triggers.TimerTrigger></triggers><concurrentBuild>false</concurrentBuild>\
<builders><hudson.tasks.Shell><command>echo one
echo two</command></hudson.tasks.Shell></builders><publishers></publishers><buildWrappers/></project>
"""
# The same as a server gives it back: another declaration, empty elements, plugin versions, order, line ends.
LIVE = (
    SENT.replace("'1.1' encoding='UTF-8'", '"1.0" encoding="UTF-8"')
    .replace("<publishers></publishers>", "<publishers/>")
    .replace("<concurrentBuild>false</concurrentBuild>", "")
    .replace("<project>", '<project plugin="x@1.2">\n  <actions><foo/></actions>\n')
    .replace("deploys", "deploys\n\nnow")
    .replace("echo one\n", "echo one  \r\n")
    .replace("<trim>false</trim>", "<trim>true</trim>")
)
PIPELINE = """<?xml version='1.1' encoding='UTF-8'?>
<flow-definition plugin="workflow-job@2.40">
  <properties>
    <org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty/>
    <org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty>
      <triggers>
        <hudson.triggers.TimerTrigger>
          <spec>H H/2 * * *</spec>
        </hudson.triggers.TimerTrigger>
      </triggers>
    </org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty>
  </properties>
  <definition class="org.jenkinsci.plugins.workflow.cps.CpsScmFlowDefinition" plugin="workflow-cps@2.87">
    <scm class="hudson.plugins.git.GitSCM" plugin="git@4.5.2">
      <branches><hudson.plugins.git.BranchSpec><name>kernelci.org</name></hudson.plugins.git.BranchSpec></branches>
    </scm>
    <scriptPath>jenkins/monitor.jpl</scriptPath>
  </definition>
  <authToken>hunter2</authToken>
</flow-definition>
"""


def test_a_definition_is_read_into_what_it_means():
    found = read_definition(SENT)
    assert [(one.name, one.kind, one.default) for one in found.parameters] == [
        ("VERSION", "String", "0"),
        ("PUBLISH", "Boolean", "true"),
        ("TARGET", "Choice", "staging"),
        ("KEY", "Password", "(secret)"),
    ]
    assert found.parameters[2].choices == ("staging", "production")
    assert found.triggers == ("hudson.triggers.TimerTrigger spec=H 3 * * *",)
    assert found.commands == ("echo one\necho two",)
    assert found.disabled is False
    assert found.other == {"canRoam": "true"}


def test_what_a_server_rewrites_is_no_difference():
    assert differences(LIVE, SENT) == ()
    assert read_definition(LIVE).canonical() == read_definition(SENT).canonical()


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("<disabled>false", "<disabled>true", ("the job becomes disabled",)),
        (">0<", ">1<", ("parameter VERSION: String, default '0' becomes String, default '1'",)),
        (
            "<name>PUBLISH</name>",
            "<name>EMAIL</name>",
            (
                "parameter PUBLISH removed (Boolean, default 'true')",
                "parameter EMAIL added (Boolean, default 'true')",
            ),
        ),
        (
            "<string>production</string>",
            "",
            (
                (
                    "parameter TARGET: Choice, default 'staging', choices staging/production becomes Choice, default "
                    "'staging', choices staging"
                ),
            ),
        ),
        (
            "H 3 * * *",
            "H * * * *",
            (
                "trigger removed: hudson.triggers.TimerTrigger spec=H 3 * * *",
                "trigger added: hudson.triggers.TimerTrigger spec=H * * * *",
            ),
        ),
        ("echo two", "echo three", ("commands changed:", "  -echo two", "  +echo three")),
        (
            "<canRoam>true</canRoam>",
            "<assignedNode>builder</assignedNode>",
            ("assignedNode: unset becomes builder", "canRoam: true becomes unset"),
        ),
    ],
)
def test_each_difference_with_a_meaning_is_one_line(old, new, lines):
    assert differences(LIVE, SENT.replace(old, new)) == lines
    assert read_definition(LIVE).canonical() != read_definition(SENT.replace(old, new)).canonical()


def test_the_order_of_parameters_has_no_meaning():
    first, rest = SENT.index("<hudson.model.StringP"), SENT.index("<hudson.model.BooleanP")
    end = SENT.index("</parameterDefinitions>")
    moved = SENT[:first] + SENT[rest:end] + SENT[first:rest] + SENT[end:]
    assert differences(SENT, moved) == ()
    assert read_definition(SENT).canonical() == read_definition(moved).canonical()


def test_a_pipelines_timer_branch_and_bare_properties_are_seen():
    found = read_definition(PIPELINE)
    assert timer_specs(PIPELINE) == ("H H/2 * * *",)
    assert "properties/org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty" in found.other
    lost = PIPELINE.replace("<spec>H H/2 * * *</spec>", "").replace(
        "<hudson.triggers.TimerTrigger>\n          \n        </hudson.triggers.TimerTrigger>", ""
    )
    assert timer_specs(lost) == ()
    assert differences(PIPELINE, lost) == ("trigger removed: hudson.triggers.TimerTrigger spec=H H/2 * * *",)
    (line,) = differences(PIPELINE, PIPELINE.replace(">kernelci.org<", ">master<"))
    assert line.endswith("kernelci.org becomes master")


def test_no_secret_is_shown():
    assert "hunter2" not in read_definition(PIPELINE).canonical()
    assert "s3cret" not in read_definition(SENT).canonical()
    assert "s3cret" not in repr(read_definition(SENT))
    assert differences(PIPELINE, PIPELINE.replace("hunter2", "hunter3")) == ("authToken: a secret changes",)
    assert differences(SENT, SENT.replace("s3cret", "other")) == ("parameter KEY: a secret changes",)
    assert differences(PIPELINE, PIPELINE.replace("<authToken>hunter2</authToken>", "")) == (
        "authToken: (secret) becomes unset",
    )


def test_what_a_new_job_brings_is_told_without_its_secrets():
    lines = content_of(SENT)
    assert "parameter VERSION added (String, default '0')" in lines
    assert "parameter KEY added (Password, default '(secret)')" in lines
    assert "trigger added: hudson.triggers.TimerTrigger spec=H 3 * * *" in lines
    assert content_of("<project/>") == ()


# ---- secrets ---------------------------------------------------------------------------------------------------

HOOK = "<triggers><a.Push><secretToken>{}</secretToken><useToken>{}</useToken></a.Push></triggers>"


def test_secrets_are_found_by_their_places():
    found = secrets_in(SENT.replace("<buildWrappers/>", HOOK.format("t0ken", "true") + "<x><password/></x>"))
    assert [(one.name, one.value) for one in found] == [
        ("parameter KEY", "s3cret"),
        ("triggers/a.Push/secretToken", "t0ken"),
        ("x/password", ""),
    ]
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize("head", ["", "\n ", "<?xml version='1.1' encoding='UTF-8'?>\n"])
@pytest.mark.parametrize("git", ["<authToken>placeholder é</authToken>", "<authToken/>", "<authToken ></authToken>"])
def test_secrets_of_the_live_definition_stay_and_nothing_else_does(head, git):
    live = "<project><x>&#x1b;[1m é</x><authToken plugin='a>b'>r&amp;al</authToken></project>"
    wanted = f"{head}<project><y>&#x1b;[1m é</y>{git}<z>1</z></project>"
    whole = with_secrets_of(wanted, live)
    assert read_definition(whole).secrets == {"authToken": "r&al"}
    assert differences(whole, wanted.replace(git, "<authToken>r&amp;al</authToken>")) == ()
    assert whole.startswith(f"{head}<project><y>&#x1b;[1m é</y><authToken")
    assert left_alone(wanted, live) == ("authToken",)
    assert with_secrets_of(whole, live) == whole


def test_passwords_are_told_apart_by_their_parameters():
    one = (
        "<hudson.model.PasswordParameterDefinition><defaultValue>{1}</defaultValue><name>{0}</name>"
        "</hudson.model.PasswordParameterDefinition>"
    )
    live = f"<project>{one.format('A', 'a-live')}{one.format('B', 'b-live')}</project>"
    wanted = f"<project>{one.format('C', 'c-git')}{one.format('B', 'b-git')}{one.format('A', '')}</project>"
    assert read_definition(with_secrets_of(wanted, live)).secrets == {
        "parameter C": "c-git",
        "parameter B": "b-live",
        "parameter A": "a-live",
    }


def test_secrets_that_cannot_be_told_apart_or_seen_are_not_guessed():
    two = "<project><a><token>{}</token></a><a><token>{}</token></a></project>"
    assert with_secrets_of(two.format("x", "y"), two.format("x", "y")) == two.format("x", "y")
    with pytest.raises(RuleError, match="which is which"):
        with_secrets_of(two.format("y", "x"), two.format("x", "y"))
    hidden = "<project><authToken>********</authToken></project>"
    with pytest.raises(RuleError, match="may not configure"):
        with_secrets_of(hidden, hidden)
    with pytest.raises(RuleError, match="may not configure"):
        refuse_hidden(hidden)


def test_a_flag_that_is_called_after_a_secret_is_compared_as_a_setting():
    live, wanted = (f"<project>{HOOK.format('t', flag)}</project>" for flag in ("false", "true"))
    assert read_definition(with_secrets_of(wanted, live)).triggers == ("a.Push secretToken=(secret) useToken=true",)


def test_control_characters_of_xml_1_1_are_read():
    found = read_definition(SENT.replace("echo one", "echo &#x1b;[1m one &#65;"))
    assert found.commands[0].startswith("echo \\x1b[1m one A")


@pytest.mark.parametrize(
    "xml",
    ["", "<html>", "not xml", '<!DOCTYPE x [<!ENTITY a "b">]><project>&a;</project>'],
)
def test_what_is_no_definition_is_refused(xml):
    with pytest.raises(RuleError):
        read_definition(xml)


def test_an_ambiguous_disabled_flag_is_not_guessed():
    nested = SENT.replace("<buildWrappers/>", "<buildWrappers><x><disabled>true</disabled></x></buildWrappers>")
    with pytest.raises(RuleError, match="by hand"):
        with_disabled(nested, disabled=True)


@pytest.mark.parametrize("disabled", [True, False])
@pytest.mark.parametrize("xml", [SENT, PIPELINE, PIPELINE.replace("  <authToken>", "  <disabled/><authToken>")])
def test_the_disabled_flag_can_be_set_in_the_text(xml, disabled):
    done = with_disabled(xml, disabled=disabled)
    assert read_definition(done).disabled is disabled
    rest = [line for line in differences(xml, done) if "disabled" not in line]
    assert rest == []


GROUP = "org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty"
RINGS = "<hudson.triggers.TimerTrigger>{}<spec>{}</spec></hudson.triggers.TimerTrigger>"
WITH_COMMENT = RINGS.format("", "# at night&#10;H 3 * * *")
POLL = "<hudson.triggers.SCMTrigger><spec>H * * * *</spec></hudson.triggers.SCMTrigger>"


@pytest.mark.parametrize(
    "xml",
    [
        "<project><disabled>true</disabled></project>",
        "<project><triggers/></project>",
        "<project>\n  <triggers>\n  </triggers>\n</project>\n",
        f'<project><triggers class="vector">{POLL}</triggers></project>',
        f"<project><triggers>{POLL}{RINGS.format('', 'H H * * *')}</triggers></project>",
        "<flow-definition/>".replace("/>", "></flow-definition>"),
        "<flow-definition><properties/></flow-definition>",
        f"<flow-definition><properties>\n<{GROUP}><triggers/></{GROUP}>\n</properties></flow-definition>",
        f"<flow-definition><properties><{GROUP}><triggers>{POLL}</triggers></{GROUP}></properties></flow-definition>",
        "<flow-definition><properties><a.B/></properties><script>x &lt; 1</script></flow-definition>",
        (
            f"<?xml version='1.1'?>\n<flow-definition><properties><{GROUP}><triggers>{WITH_COMMENT}</triggers>"
            f"</{GROUP}></properties></flow-definition>"
        ),
    ],
)
def test_a_timer_is_put_in_and_nothing_else_is_changed(xml):
    changed = with_timer(xml, "H H/2 * * *")
    assert timer_specs(changed) == ("H H/2 * * *",)
    assert all(line.startswith("trigger ") for line in differences(xml, changed))
    assert with_timer(changed, "H H/2 * * *") == changed


@pytest.mark.parametrize(
    "xml",
    [
        f"<project><triggers>{RINGS.format('', 'H * * * *') * 2}</triggers></project>",
        "<flow-definition><properties/><x><properties/></x></flow-definition>",
        "<project><triggers/><x><triggers/></x></project>",
        "<!DOCTYPE x><project/>",
    ],
)
def test_a_timer_is_not_put_where_its_place_is_a_guess(xml):
    with pytest.raises(RuleError):
        with_timer(xml, "H H/2 * * *")
