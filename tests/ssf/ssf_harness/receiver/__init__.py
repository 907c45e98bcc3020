"""Modules for receivers: the harness is their transmitter."""
