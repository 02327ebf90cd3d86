"""KernelCI in miniature: the other ends of every protocol the bot speaks, on loopback, small but honest."""
