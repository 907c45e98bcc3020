"""Makes receipts; for tests only."""

from make import Log, b64, root


def receipt_of(log: Log, index: int) -> str:
    """Makes a receipt straight from the definition of an inclusion proof (RFC 9162 section 2.1.3.1)."""
    def path(at, hashes):
        if len(hashes) == 1:
            return []
        middle = 1 << (len(hashes) - 1).bit_length() - 1
        if at < middle:
            return [*path(at, hashes[:middle]), root(hashes[middle:])]
        return [*path(at - middle, hashes[middle:]), root(hashes[:middle])]

    proof = "".join(b64(one) + "\n" for one in path(index, log.hashes))
    return f"c2sp.org/tlog-proof@v1\nindex {index}\n{proof}\n{log.checkpoint().decode()}"
