"""Keys and JWS: signed and verified by joserfc; malformed tokens, which no library will make, by hand."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from .strict import parse_json

SIGNATURES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")


@dataclass(frozen=True)
class Key:
    """A signing key and the algorithm it is for."""

    kid: str
    alg: str
    private: RSAKey | ECKey

    def public(self) -> dict[str, Any]:
        """Returns the JWK to publish."""
        return {**self.private.as_dict(private=False), "kid": self.kid, "alg": self.alg, "use": "sig"}


@functools.cache
def make_key(kid: str, alg: str = "RS256", bits: int = 2048) -> Key:
    """Returns the key of that name, made once per process: RSA keys are slow to make."""
    private = (
        RSAKey.generate_key(bits, auto_kid=False) if alg == "RS256" else ECKey.generate_key("P-256", auto_kid=False)
    )
    return Key(kid, alg, private)


def sign(key: Key, header: Mapping[str, Any], payload: bytes) -> str:
    """Signs with joserfc; `header` must be one that joserfc takes."""
    return jws.serialize_compact({"alg": key.alg, **header}, payload, key.private, algorithms=[key.alg])


def sign_raw(key: Key, header: bytes, payload: bytes) -> str:
    """Signs exactly these bytes with the key's algorithm, whatever they say."""
    signed = f"{encode(header)}.{encode(payload)}"
    return f"{signed}.{encode(_signature(key, signed.encode()))}"


def _signature(key: Key, signed: bytes) -> bytes:
    private: Any = key.private.private_key
    if key.alg == "RS256":
        return bytes(private.sign(signed, padding.PKCS1v15(), hashes.SHA256()))
    parts = decode_dss_signature(private.sign(signed, ec.ECDSA(hashes.SHA256())))
    return b"".join(part.to_bytes(32, "big") for part in parts)


def unsigned(header: bytes, payload: bytes) -> str:
    """Returns a token with an empty signature, as `alg` none has it."""
    return f"{encode(header)}.{encode(payload)}."


def mac_with_public_key(key: Key, header: bytes, payload: bytes) -> str:
    """Signs with HMAC and the *public* key as secret: the classic confusion of key kinds."""
    signed = f"{encode(header)}.{encode(payload)}"
    secret = key.private.as_pem(private=False)
    return f"{signed}.{encode(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def corrupt(token: str) -> str:
    """Returns the token with one bit of its signature changed."""
    head, payload, signature = token.split(".")
    raw = bytearray(decode(signature))
    raw[len(raw) // 2] ^= 1
    return f"{head}.{payload}.{encode(bytes(raw))}"


def open_token(token: str, jwks: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns header and claims of a token that a key of `jwks` signed; raises `ValueError` otherwise."""
    header = peek(token)[0]
    if header.get("alg") not in SIGNATURES:
        raise ValueError(f"`alg` is `{header.get('alg')}`, which is no digital signature")
    fitting = [jwk for jwk in jwks.get("keys", []) if header.get("kid") in (None, jwk.get("kid"))]
    if not fitting:
        raise ValueError(f"no key of the JWKS has the `kid` `{header.get('kid')}`")
    try:
        opened = jws.deserialize_compact(token, KeySet.import_key_set({"keys": fitting}), algorithms=list(SIGNATURES))
    except (JoseError, ValueError) as error:
        raise ValueError(f"the signature is not valid: {error}") from error
    return header, _object(opened.payload)


def peek(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns header and claims without checking the signature; raises `ValueError` if they are not objects."""
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError(f"a compact JWS has three parts, this has {len(parts)}")
    return _object(decode(parts[0])), _object(decode(parts[1]))


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Decodes unpadded base64url; raises `ValueError` for anything else."""
    if "=" in text or "+" in text or "/" in text:
        raise ValueError("this is not unpadded base64url")
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)


def dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _object(raw: bytes | None) -> dict[str, Any]:
    value = parse_json(raw or b"")
    if not isinstance(value, dict):
        raise ValueError("a JSON object is wanted")
    return value
