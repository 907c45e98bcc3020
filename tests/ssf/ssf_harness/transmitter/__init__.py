"""Modules for transmitters: the harness is their receiver."""
