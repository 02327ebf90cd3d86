"""A chat-ops bot that drives long, gated procedures from a team's channel."""
