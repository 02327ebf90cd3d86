"""The header "Jenkins parameters" of a pipeline."""

import pytest

from kcibot_commands.rules.jpl import JplParameter, jpl_differences, jpl_parameters

TRIGGER = """\
#!/usr/bin/env groovy

/*
  Copyright (C) 2019
*/

/* ----------------------------------------------------------------------------
 * Jenkins parameters

The following parameters need to be defined in the Jenkins pipeline job, with
typical default values in brackets:

BUILD_CONFIG
  Name of the build configuration
PUBLISH (boolean)
  Publish build results via the KernelCI backend API
EMAIL (boolean, true)
KCI_API_URL (https://api.kernelci.org)
  URL of the KernelCI backend API,
  without a slash
ALLOW_REBUILD (false)
  Allow building the same revision again.
*/

@Library('kernelci') _
FOO (bar)
"""


def test_the_header_is_read_into_names_kinds_and_defaults():
    assert jpl_parameters(TRIGGER) == (
        JplParameter("BUILD_CONFIG", "string", "", "Name of the build configuration"),
        JplParameter("PUBLISH", "boolean", "", "Publish build results via the KernelCI backend API"),
        JplParameter("EMAIL", "boolean", "true", ""),
        JplParameter(
            "KCI_API_URL", "string", "https://api.kernelci.org", "URL of the KernelCI backend API, without a slash"
        ),
        JplParameter("ALLOW_REBUILD", "boolean", "false", "Allow building the same revision again."),
    )


@pytest.mark.parametrize("text", ["", "/* no header */", "node { }"])
def test_a_file_without_the_header_has_no_parameters(text):
    assert jpl_parameters(text) == ()


def test_differences_are_added_removed_and_other_defaults_but_not_words():
    new = (
        TRIGGER.replace("BUILD_CONFIG\n", "LABS_WHITELIST\n")
        .replace("(https://api.kernelci.org)", "(https://api.example.org)")
        .replace("again.", "once more.")
    )
    assert jpl_differences(TRIGGER, new) == (
        "parameter BUILD_CONFIG removed",
        "parameter LABS_WHITELIST added (string)",
        (
            "parameter KCI_API_URL: string, default https://api.kernelci.org becomes string, default "
            "https://api.example.org"
        ),
    )
    assert jpl_differences(TRIGGER, TRIGGER) == ()
