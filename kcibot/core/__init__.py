"""The mechanism: commands, procedures, gates and their engine. Pure: no vendor, no I/O, only ports."""
