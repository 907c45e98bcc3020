"""A small receiver, right by default and wrong on demand: what the receiver modules are tried on."""
