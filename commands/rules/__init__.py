"""KernelCI's rules as pure functions of values: no I/O, no clock, no vendor."""
