"""The SDKs through a gateway and a meter: nothing is different for them, and both records agree on every token."""

import anthropic
import openai
import pytest
from gateway import MODEL
from metered import WORDS, Metered
from support import ask

SAID = "".join(WORDS)


@pytest.fixture(scope="module")
def metered(tmp_path_factory):
    metered = Metered(tmp_path_factory.mktemp("metered"))
    yield metered
    metered.stop()


def openai_at(origin, key):
    return openai.OpenAI(api_key=key, base_url=origin + "/v1", max_retries=0)


def anthropic_at(origin, key):
    return anthropic.Anthropic(api_key=key, base_url=origin, max_retries=0)


def openai_whole(client):
    return client.chat.completions.create(model=MODEL, messages=ask()).choices[0].message.content


def openai_stream(client):
    options = {"include_usage": True}
    chunks = client.chat.completions.create(model=MODEL, messages=ask(), stream=True, stream_options=options)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def anthropic_whole(client):
    return client.messages.create(model=MODEL, messages=ask(), max_tokens=9).content[0].text


def anthropic_stream(client):
    with client.messages.stream(model=MODEL, messages=ask(), max_tokens=9) as stream:
        return stream.get_final_text()


def test_both_sdks_are_served_and_both_records_agree_on_every_token(metered):
    clients = openai_at(metered.origin, metered.api_key), anthropic_at(metered.origin, metered.api_key)
    for says, client in [(openai_whole, 0), (openai_stream, 0), (anthropic_whole, 1), (anthropic_stream, 1)]:
        assert says(clients[client]) == SAID
    agree, rows = metered.reconcile()
    assert agree, rows
    sums = {"calls": 4, "input": 12, "output": 4 * len(WORDS)}
    for side in ("gateway", "meter"):
        assert {name: sum(row[side][name] for row in rows) for name in sums} == sums


@pytest.mark.parametrize(("at", "says", "refusal"), [
    (openai_at, openai_whole, openai.AuthenticationError),
    (anthropic_at, anthropic_whole, anthropic.AuthenticationError)])
def test_a_client_that_goes_around_the_gateway_is_told_so_once(metered, at, says, refusal):
    around = at(f"http://127.0.0.1:{metered.meter_port}", metered.api_key)
    with pytest.raises(refusal, match="ticket"):
        says(around)
