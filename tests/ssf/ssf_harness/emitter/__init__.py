"""A transmitter: the harness's own, which receivers are tested with and on which the transmitter modules are tried."""
