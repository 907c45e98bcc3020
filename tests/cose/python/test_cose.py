"""COSE receipts (RFC 9942) that cross between our encoder and pycose, in both directions."""

import hashlib
import json
import os
import subprocess

import cbor2
import pytest
from pycose.algorithms import EdDSA
from pycose.headers import KID, Algorithm
from pycose.keys import OKPKey
from pycose.keys.curves import Ed25519
from pycose.messages import CoseMessage, Sign1Message

VDS, VDP, INCLUSION, CLAIMS = 395, 396, -1, 15


def ask(theirs=""):
    done = subprocess.run(
        [os.environ["COSE_PEER"]], input=theirs + "\n", capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def root_of(leaf, proof):
    """RFC 9162 section 2.1.3.2, for index 0."""
    size, index, path = cbor2.loads(proof)
    assert (size, index) == (2, 0)
    root = sha256(b"\0", leaf)
    for sibling in path:
        root = sha256(b"\1", root, sibling)
    return root


@pytest.fixture(scope="module")
def ours():
    return ask()


@pytest.fixture(scope="module")
def key(ours):
    return OKPKey(crv=Ed25519, d=bytes.fromhex(ours["seed"]), x=public(bytes.fromhex(ours["seed"])))


def public(seed):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def test_pycose_verifies_our_receipt_over_the_root_it_computes_itself(ours, key):
    message = CoseMessage.decode(bytes.fromhex(ours["receipt"]))
    protected = cbor2.loads(cbor2.loads(bytes.fromhex(ours["receipt"])).value[0])
    assert protected == {1: -8, 4: ours["origin"].encode(), CLAIMS: {1: ours["origin"]}, VDS: 1}
    [proof] = message.uhdr[VDP][INCLUSION]
    message.key = key
    assert message.verify_signature(detached_payload=root_of(bytes.fromhex(ours["leaf"]), proof))
    assert not message.verify_signature(detached_payload=root_of(bytes.fromhex(ours["other"]), proof))


def test_we_verify_a_receipt_that_pycose_signed(ours, key):
    leaf, other = (bytes.fromhex(ours[name]) for name in ("leaf", "other"))
    proof = cbor2.dumps([2, 0, [sha256(b"\0", other)]])
    message = Sign1Message(
        phdr={Algorithm: EdDSA, KID: ours["origin"].encode(), CLAIMS: {1: ours["origin"]}, VDS: 1},
        uhdr={VDP: {INCLUSION: [proof]}},
    )
    message.key = key
    signed = message.encode(detached_payload=root_of(leaf, proof))
    assert ask(signed.hex())["theirs"]
    forged = message.encode(detached_payload=root_of(other, proof))
    assert not ask(forged.hex())["theirs"]
