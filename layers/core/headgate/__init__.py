"""Headgate: one gate, in your own AWS account, to every AI provider."""

__version__ = "0.1.0"
