"""A black-box conformance harness for OpenID Shared Signals Framework 1.0 receivers and transmitters.

Written from the public specifications alone (SSF 1.0, CAEP 1.0, RISC 1.0, CAEP Interoperability Profile, RFC 8417,
8935, 8936, 9493, 9967); its modules bear the names of the OpenID conformance modules whose purpose they share.
"""
