"""The broken references, each with the module that must detect it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One fault and the module that must fail because of it."""

    fault: str
    module: str


def _mutants(module: str, *faults: str) -> list[Mutant]:
    return [Mutant(fault, module) for fault in faults]


_SIGNATURES = "openid-ssf-receiver-invalid-set-rejection"

RECEIVER_MUTANTS: list[Mutant] = [
    *_mutants(
        "openid-ssf-receiver-happypath", "no-discovery", "update-without-id", "replace-empties", "create-supplies-aud"
    ),
    *_mutants("openid-ssf-receiver-happypath", "token-in-query"),
    *_mutants("openid-ssf-receiver-stream-create-delete", "never-delete", "poll-after-delete"),
    *_mutants("openid-ssf-receiver-stream-status-update", "status-wrong-word", "status-never-enabled"),
    *_mutants(
        "openid-ssf-receiver-stream-verification", "refuse-verification", "verify-wrong-id", "never-ack", "answer-200"
    ),
    *_mutants("openid-ssf-receiver-unsolicited-stream-verification", "refuse-unsolicited"),
    *_mutants(
        "openid-ssf-receiver-stream-supported-events",
        "refuse-scim",
        "refuse-complex",
        "refuse-stream-updated",
        "request-nothing",
    ),
    *_mutants("openid-ssf-receiver-stream-caep-interop", "refuse-iss-sub"),
    *_mutants(
        _SIGNATURES,
        "accept-bad-signature",
        "accept-wrong-iss",
        "accept-wrong-aud",
        "accept-unknown-kid",
        "err-always-general",
    ),
    *_mutants(
        _SIGNATURES,
        "error-500",
        "error-plain",
        "error-without-language",
        "error-without-description",
        "error-unregistered",
    ),
    *_mutants(_SIGNATURES, "ack-refused", "set-errs-text", "set-errs-without-language"),
    *_mutants("openid-ssf-receiver-redelivered-set", "refuse-repeated"),
    *_mutants("openid-ssf-receiver-transmitter-initiated-status-change", "refuse-stream-updated", "delete-on-pause"),
    *_mutants("openid-ssf-receiver-removed-subject-event", "refuse-removed-subject"),
    *_mutants("openid-ssf-receiver-stream-issuer-mismatch", "accept-foreign-iss"),
    *_mutants("openid-ssf-receiver-verification-wrong-state", "accept-wrong-state"),
    *_mutants("openid-ssf-receiver-verification-wrong-subject", "accept-wrong-subject"),
    *_mutants("openid-ssf-receiver-verification-behind-queued-events", "refuse-before-verification"),
    *_mutants("openid-ssf-receiver-access-token-expiry", "never-renew"),
    *_mutants("openid-ssf-receiver-stream-control-error-response", "hammer", "pretend-created"),
    *_mutants("extra-receiver-sub-present", "accept-sub"),
    *_mutants("extra-receiver-exp-present", "accept-exp"),
    *_mutants("extra-receiver-future-iat", "accept-future"),
    *_mutants("extra-receiver-iat-text", "accept-iat-text"),
    *_mutants("extra-receiver-no-events", "accept-no-events"),
    *_mutants("extra-receiver-two-events", "accept-two-events"),
    *_mutants("extra-receiver-no-subject", "accept-no-subject"),
    *_mutants("extra-receiver-no-jti", "accept-no-jti"),
    *_mutants("extra-receiver-typ-missing", "accept-no-typ"),
    *_mutants("extra-receiver-typ-wrong", "accept-any-typ"),
    *_mutants("extra-receiver-alg-none", "accept-none"),
    *_mutants("extra-receiver-alg-hs256", "accept-hmac"),
    *_mutants("extra-receiver-duplicate-members", "accept-duplicates"),
    *_mutants("extra-receiver-crit", "ignore-crit"),
    *_mutants("extra-receiver-embedded-key", "trust-embedded-key"),
    *_mutants("extra-receiver-key-url", "fetch-key-url"),
    *_mutants("extra-receiver-weak-key", "accept-weak-key"),
    *_mutants("extra-receiver-not-a-jws", "accept-four-parts"),
    *_mutants("extra-receiver-oversized-set", "accept-oversized"),
    *_mutants("extra-receiver-push-authorization", "accept-any-authorization"),
    *_mutants("extra-receiver-push-content-type", "accept-any-content-type"),
    *_mutants("extra-receiver-audience-list", "refuse-audience-list"),
    *_mutants("extra-receiver-unknown-members", "refuse-unknown-members"),
    *_mutants("extra-receiver-stream-disabled", "refuse-stream-updated"),
    *_mutants("extra-receiver-kid-flood", "fetch-each-time"),
    *_mutants("extra-receiver-key-rotation", "never-refetch"),
    *_mutants("extra-receiver-withdrawn-key", "keep-old-keys"),
    *_mutants("extra-receiver-poll-manners", "poll-spin"),
    *_mutants("extra-receiver-many-sets", "lose-some"),
    *_mutants("extra-receiver-effect-cut", "cut-nothing", "cut-late"),
    *_mutants("extra-receiver-effect-cut-before-accepted", "cut-nothing"),
    *_mutants("extra-receiver-critical-subject-member", "error-without-language"),
    *_mutants("extra-receiver-legacy-subject", "error-without-description"),
    *_mutants("extra-receiver-effect-none", "act-on-refused", "cut-everybody", "ignore-critical-members"),
    *_mutants("extra-receiver-effect-no-grant", "restore"),
    *_mutants("extra-receiver-effect-once", "act-again"),
]

_META = "openid-ssf-transmitter-metadata"
_HAPPY = "openid-ssf-stream-control-happy-path"
_ERROR = "openid-ssf-stream-control-error-"
_VERIFICATION = "openid-ssf-transmitter-stream-verification-"
_INTEROP = "openid-ssf-transmitter-stream-caep-interop"

TRANSMITTER_MUTANTS: list[Mutant] = [
    *_mutants(_META, "metadata-wrong-issuer", "metadata-no-jwks", "metadata-no-delivery", "metadata-no-schemes"),
    *_mutants(_META, "metadata-no-version", "metadata-no-http-endpoint", "rsa-1024"),
    *_mutants("extra-transmitter-token-lifetime", "token-long"),
    *_mutants(_HAPPY, "create-200", "document-no-aud", "document-shows-all-events", "list-is-object", "delete-200"),
    *_mutants(_HAPPY, "update-confused", "replace-confused", "status-unchanged", "delete-keeps-stream"),
    *_mutants(
        "openid-ssf-stream-control-create-stream-without-delivery", "create-needs-delivery", "create-assumes-push"
    ),
    *_mutants(
        "openid-ssf-stream-subject-control", "subjects-refused", "subjects-lenient", "remove-200", "subject-unknown-ok"
    ),
    *_mutants("openid-ssf-stream-subject-control", "add-subject-without-token"),
    *_mutants("extra-transmitter-unknown-event-type", "document-promises-unknown"),
    *_mutants("extra-transmitter-stream-isolation", "streams-shared"),
    *_mutants("extra-transmitter-private-push-url", "push-anywhere"),
    *_mutants(_ERROR + "create-stream-with-broken-input", "create-lenient"),
    *_mutants(_ERROR + "create-stream-with-invalid-token", "create-any-token", "no-challenge"),
    *_mutants(_ERROR + "create-stream-with-read-only-token", "scopes-ignored"),
    *_mutants(_ERROR + "create-stream-with-duplicate-config", "create-many"),
    *_mutants(_ERROR + "read-stream-with-invalid-token", "read-any-token"),
    *_mutants(_ERROR + "read-stream-without-token", "read-without-token"),
    *_mutants(_ERROR + "read-stream-with-token-in-uri-query", "token-in-query-read"),
    *_mutants(_ERROR + "read-unknown-stream", "read-unknown-ok"),
    *_mutants(_ERROR + "read-status-of-unknown-stream", "status-unknown-ok", "set-status-unknown-ok"),
    *_mutants(_ERROR + "read-stream-status-with-invalid-token", "status-any-token"),
    *_mutants("extra-transmitter-unknown-status", "status-any"),
    *_mutants(_ERROR + "update-stream-with-invalid-body", "update-lenient"),
    *_mutants(_ERROR + "update-stream-with-invalid-token", "update-any-token"),
    *_mutants(_ERROR + "update-unknown-stream", "update-unknown-ok"),
    *_mutants(_ERROR + "replace-stream-with-invalid-body", "replace-lenient"),
    *_mutants(_ERROR + "replace-stream-with-invalid-token", "replace-any-token"),
    *_mutants(_ERROR + "replace-unknown-stream", "replace-unknown-ok"),
    *_mutants(_ERROR + "delete-stream-with-invalid-token", "delete-any-token"),
    *_mutants(_ERROR + "delete-unknown-stream", "delete-unknown-ok"),
    *_mutants(
        _VERIFICATION + "push",
        "verify-never-sent",
        "verify-200",
        "state-lost",
        "state-changed",
        "push-without-authorization",
    ),
    *_mutants(
        _VERIFICATION + "push", "push-content-type", "set-has-sub", "set-has-exp", "set-wrong-iss", "set-wrong-aud"
    ),
    *_mutants(
        _VERIFICATION + "push", "set-future-iat", "set-iat-milliseconds", "set-sub-id-not-stream", "set-without-jti"
    ),
    *_mutants(
        _VERIFICATION + "push", "set-without-sub-id", "set-two-events", "set-typ-jwt", "set-unknown-kid", "set-unsigned"
    ),
    *_mutants(_VERIFICATION + "push", "set-bad-signature", "set-es256"),
    *_mutants(_VERIFICATION + "error-push-no-auth", "push-invents-authorization"),
    *_mutants("openid-ssf-transmitter-push-no-auth", "replace-confused-delivery"),
    *_mutants(_VERIFICATION + "poll-only", "poll-keys-wrong", "poll-sets-list"),
    *_mutants(_VERIFICATION + "poll-and-ack", "poll-ignores-ack"),
    *_mutants(_VERIFICATION + "ack-only", "poll-ignores-ack", "poll-ignores-max"),
    *_mutants(_VERIFICATION + "long-poll", "poll-never-waits"),
    *_mutants(_VERIFICATION + "set-errs", "set-errs-refused"),
    *_mutants(_VERIFICATION + "error-invalid-body", "verify-lenient"),
    *_mutants(_VERIFICATION + "error-invalid-token", "verify-any-token", "verify-without-token"),
    *_mutants(_VERIFICATION + "error-unknown-stream", "verify-unknown-ok"),
    *_mutants("extra-transmitter-verification-rate-limit", "verify-unlimited"),
    *_mutants("openid-ssf-transmitter-poll-endpoint-authorization", "poll-without-token", "poll-any-token"),
    *_mutants("openid-ssf-transmitter-poll-endpoint-url-unique-per-stream", "poll-url-shared"),
    *_mutants("extra-transmitter-poll-until-acknowledged", "poll-forgets-unacked"),
    *_mutants("extra-transmitter-poll-max-events", "poll-ignores-max", "poll-hides-more"),
    *_mutants("extra-transmitter-poll-broken-body", "poll-lenient"),
    *_mutants("extra-transmitter-push-retry", "push-once"),
    *_mutants("extra-transmitter-push-refused", "push-stuck"),
    *_mutants("extra-transmitter-delete-ends-delivery", "delete-keeps-stream"),
    *_mutants("openid-ssf-transmitter-paused-stream-holds-events", "paused-sends", "paused-drops"),
    *_mutants("openid-ssf-transmitter-disabled-stream-drops-events", "disabled-sends", "disabled-holds"),
    *_mutants("extra-transmitter-held-in-order", "held-reversed", "paused-drops"),
    *_mutants("extra-transmitter-announces-pause", "pause-unannounced"),
    *_mutants(_INTEROP, "trigger-ignored", "caep-timestamp-text", "caep-timestamp-milliseconds", "caep-reason-text"),
    *_mutants(_INTEROP, "caep-no-reason", "caep-initiator-unknown", "caep-member-missing"),
    *_mutants("openid-ssf-transmitter-events", "caep-timestamp-milliseconds", "jti-repeated"),
    *_mutants("extra-transmitter-not-requested", "events-unasked"),
]
