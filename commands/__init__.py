"""KernelCI's release procedure and its verbs: policy only, imported as `kcibot_commands`."""

if __name__ != "kcibot_commands":
    raise ImportError(f"import this package as kcibot_commands, not as {__name__}")
