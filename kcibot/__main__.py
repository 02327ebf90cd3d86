"""`python -m kcibot` is `kcibot`."""

from kcibot.cli import main

main()
