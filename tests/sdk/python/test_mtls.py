"""Keys that are bound to a certificate: the SDKs present it by their own HTTP client, and nothing else is changed."""

import anthropic
import openai
import pytest
from gateway import MODEL, Certificate, Gateway
from support import ask


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    gateway = Gateway(tmp_path_factory.mktemp("gateway"))
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("client"), "client")


@pytest.fixture(scope="module")
def key(gateway, certificate):
    return gateway.key(certificate)


def openai_says(gateway, key, certificate):
    http_client = openai.DefaultHttpxClient(verify=gateway.trust(certificate))
    client = openai.OpenAI(api_key=key, base_url=gateway.origin + "/v1", http_client=http_client, max_retries=0)
    return client.chat.completions.create(model=MODEL, messages=ask()).choices[0].message.content


def anthropic_says(gateway, key, certificate):
    http_client = anthropic.DefaultHttpxClient(verify=gateway.trust(certificate))
    client = anthropic.Anthropic(api_key=key, base_url=gateway.origin, http_client=http_client, max_retries=0)
    return client.messages.create(model=MODEL, messages=ask(), max_tokens=4).content[0].text


@pytest.mark.parametrize("says", [openai_says, anthropic_says])
def test_a_bound_key_calls_with_its_certificate(gateway, certificate, key, says):
    assert says(gateway, key, certificate) == "Yes."


@pytest.mark.parametrize(("says", "refusal"), [
    (openai_says, openai.AuthenticationError), (anthropic_says, anthropic.AuthenticationError)])
def test_a_bound_key_is_worth_nothing_with_no_certificate_or_another(gateway, key, tmp_path, says, refusal):
    for other in (None, Certificate(tmp_path, "thief")):
        with pytest.raises(refusal):
            says(gateway, key, other)
