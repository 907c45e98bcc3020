"""Programs without a key: the SDKs exchange the token that their platform gives them."""

import json
import os
import time
import urllib.request
import uuid

import anthropic
import openai
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from support import ask

LAB = "larkspur-labs"
SUBJECT = "system:serviceaccount:prod:sdk"
TOKEN_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Platform:
    """A cluster that tells each program who it is; the demo trusts it to speak of one workload."""

    def __init__(self, demo, use="sdk"):
        self.demo = demo
        self.name = f"{use}-{os.getpid()}"
        self.issuer = f"https://{self.name}.k8s.example"
        self.key = RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS256", "use": "sig"})
        self._register()

    def _register(self):
        keys = {"given": {"keys": [self.key.as_dict(private=False)]}}
        self._set("token_issuer", channel=self.name, organization=LAB, issuer=self.issuer, audiences=["exeat"],
                  keys=keys, algorithms=["RS256"], speaks_of="workloads")
        self.demo.admin("POST", "/admin/v1/workloads", {
            "id": self.name, "purpose": "SDK tests", "organization": LAB, "owners": ["ada"], "recipients": ["ada"]})
        self._set("token_rule", id=self.name, issuer=self.name, audience="exeat", claims={"sub": SUBJECT},
                  workload=self.name, organization=LAB, lifetime_s=300, reusable=True)

    def _set(self, kind, **setting):
        self.demo.admin("POST", f"/admin/v1/sources/{kind}", setting)

    def active(self, active):
        self.demo.admin("PATCH", f"/admin/v1/workloads/{self.name}", {"active": active})

    def token(self, subject=SUBJECT):
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": ["exeat"], "sub": subject, "iat": now, "exp": now + 3600, "jti": str(uuid.uuid4())}
        return jwt.encode({"alg": "RS256", "kid": "k1"}, claims, self.key)

    def exchange(self, file):
        """What a program does by itself whose SDK takes a callable in place of a key."""
        body = {"grant_type": TOKEN_TYPE, "assertion": file.read_text(), "federation_rule_id": self.name}
        request = urllib.request.Request(self.demo.told["base_url"] + "/v1/oauth/token", json.dumps(body).encode())
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["access_token"]


@pytest.fixture(scope="module")
def platform(demo):
    return Platform(demo)


@pytest.fixture
def token_file(platform, tmp_path):
    file = tmp_path / "token"
    file.write_text(platform.token())
    return file


@pytest.fixture
def environment(demo, platform, token_file, monkeypatch):
    """All that a program is given: variables."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    for name, value in {
        "BASE_URL": demo.told["base_url"],
        "IDENTITY_TOKEN_FILE": str(token_file),
        "FEDERATION_RULE_ID": platform.name,
        "ORGANIZATION_ID": LAB,
    }.items():
        monkeypatch.setenv(f"ANTHROPIC_{name}", value)
    return monkeypatch


def say(client, model):
    return client.messages.create(model=model, messages=ask(), max_tokens=4)


def test_the_anthropic_sdk_gets_a_token_and_an_answer_from_variables_alone(demo, environment):
    assert say(anthropic.Anthropic(), demo.best).stop_reason in ("end_turn", "max_tokens")


async def test_the_asynchronous_client_does_so_too_and_with_the_token_itself_in_a_variable(demo, platform, environment):
    environment.delenv("ANTHROPIC_IDENTITY_TOKEN_FILE")
    environment.setenv("ANTHROPIC_IDENTITY_TOKEN", platform.token())
    async with anthropic.AsyncAnthropic() as client:
        answer = await client.messages.create(model=demo.best, messages=ask(), max_tokens=4)
    assert answer.type == "message"


def test_a_program_that_no_rule_is_about_gets_no_token(demo, platform, environment, token_file):
    token_file.write_text(platform.token("system:serviceaccount:prod:other"))
    with pytest.raises(anthropic.AnthropicError) as refused:
        say(anthropic.Anthropic(), demo.best)
    assert "invalid_grant" in str(refused.value)


def test_a_rule_of_another_name_gives_no_token(demo, environment):
    environment.setenv("ANTHROPIC_FEDERATION_RULE_ID", "another-rule")
    with pytest.raises(anthropic.AnthropicError) as refused:
        say(anthropic.Anthropic(), demo.best)
    assert "invalid_grant" in str(refused.value)


def test_a_workload_whose_access_is_withdrawn_calls_no_more_and_gets_no_further_token(demo, platform, environment):
    client = anthropic.Anthropic(max_retries=0)
    say(client, demo.best)
    platform.active(False)
    try:
        with pytest.raises(anthropic.APIStatusError) as refused:
            say(client, demo.best)
        assert refused.value.status_code in (401, 403)
        with pytest.raises(anthropic.AnthropicError) as refused:
            say(anthropic.Anthropic(), demo.best)
        assert "invalid_grant" in str(refused.value)
    finally:
        platform.active(True)
    assert say(anthropic.Anthropic(), demo.best).type == "message"


def test_the_openai_sdk_calls_with_a_callable_key_that_exchanges_the_token_of_a_file(demo, platform, token_file):
    client = openai.OpenAI(api_key=lambda: platform.exchange(token_file), base_url=demo.told["base_url"] + "/v1")
    answer = client.chat.completions.create(model=demo.best, messages=ask(), max_tokens=4)
    assert answer.choices[0].finish_reason in ("stop", "length")
