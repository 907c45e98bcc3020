"""Transmitter configuration metadata (SSF 1.0 section 7)."""

from __future__ import annotations

import urllib.parse
from typing import Any

from joserfc.jwk import RSAKey

from ..emitter.stream import POLL, PUSH
from ..modules import module
from ..result import Skip, object_of, require
from ..web import call
from .lab import Lab

ENDPOINTS = ("configuration", "status", "add_subject", "remove_subject", "verification")


@module("transmitter", "openid-ssf-transmitter-metadata", ())
def metadata(lab: Lab) -> None:
    """Publishes metadata that are complete and its own, and keys that are strong enough."""
    answer = call("GET", lab.metadata_url())
    require(answer.status == 200, f"metadata: answered {answer.status}")
    require(answer.media_type == "application/json", f"metadata: sent as `{answer.media_type}`")
    document = object_of("metadata", answer.json)
    issuer = document.get("issuer")
    require(issuer == lab.config.issuer, f"`issuer` is {issuer!r}, not `{lab.config.issuer}`")
    require(document.get("spec_version") == "1_0", f"`spec_version` is {document.get('spec_version')!r}, not `1_0`")
    _check_urls(document)
    methods = document.get("delivery_methods_supported")
    require(isinstance(methods, list) and {PUSH, POLL} & set(methods), f"`delivery_methods_supported` is {methods!r}")
    schemes = document.get("authorization_schemes")
    named = isinstance(schemes, list) and all(
        isinstance(one, dict) and isinstance(one.get("spec_urn"), str) for one in schemes
    )
    require(named and schemes, f"`authorization_schemes` is {schemes!r}")
    require(document.get("default_subjects", "ALL") in ("ALL", "NONE"), "`default_subjects` is neither ALL nor NONE")
    critical = document.get("critical_subject_members", [])
    require(
        isinstance(critical, list) and all(isinstance(one, str) for one in critical),
        "`critical_subject_members` is no list",
    )
    _check_keys(document)


def _check_urls(document: dict[str, Any]) -> None:
    require(document.get("jwks_uri"), "`jwks_uri` is missing")
    require(document.get("configuration_endpoint"), "`configuration_endpoint` is missing")
    for name in ["jwks_uri", *(f"{endpoint}_endpoint" for endpoint in ENDPOINTS)]:
        if name in document:
            parts = urllib.parse.urlsplit(str(document[name]))
            local = parts.hostname in ("127.0.0.1", "::1", "localhost")
            require(
                parts.scheme == "https" or (parts.scheme == "http" and local),
                f"`{name}` is no https URL: {document[name]!r}",
            )
            require(not parts.fragment, f"`{name}` has a fragment")


def _check_keys(document: dict[str, Any]) -> None:
    keys = object_of("jwks", call("GET", document["jwks_uri"]).json).get("keys")
    require(isinstance(keys, list) and keys, "the JWKS has no keys")
    private = [key for key in keys if {"d", "k", "p"} & set(key)]  # type: ignore[union-attr]
    require(not private, "the JWKS publishes a private or secret key")
    rsa = [key for key in keys if key.get("kty") == "RSA"]  # type: ignore[union-attr]
    require(rsa, "the JWKS has no RSA key, the interoperability profile asks for RS256")
    for key in rsa:
        bits = RSAKey.import_key(key).public_key.key_size
        require(bits >= 2048, f"the key `{key.get('kid')}` has {bits} bits, 2048 are the least")
        require(key.get("kid"), "a key has no `kid`")


@module("transmitter", "extra-transmitter-token-lifetime", ())
def token_lifetime(lab: Lab) -> None:
    """Issues tokens that live an hour at most, and not beyond what they say (CAEP Interoperability Profile 2.7.1)."""
    if lab.config.credentials.token is not None:
        raise Skip("a fixed token is configured")
    answer = lab.token_answer(lab.config.credentials)
    seconds = answer.get("expires_in")
    require(isinstance(seconds, int) and 0 < seconds <= 3600, f"`expires_in` is {seconds!r}, an hour is the most")
    require(str(answer.get("token_type", "")).lower() == "bearer", f"`token_type` is {answer.get('token_type')!r}")
