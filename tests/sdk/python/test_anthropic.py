"""The official `anthropic` package, unmodified."""

import anthropic
import pytest
from support import BAD_KEY, LIKELIEST, LONG, TOOLS, Sent, ask


def error_code(error: anthropic.APIStatusError) -> str:
    return error.body["error"]["details"]["error_code"]


def test_a_person_gets_an_answer_with_usage_and_a_receipt(demo):
    raw = demo.anthropic("ada").messages.with_raw_response.create(model=demo.best, messages=ask(), max_tokens=8)
    answer = raw.parse()
    assert answer.role == "assistant"
    assert answer.stop_reason in ("end_turn", "max_tokens")
    assert 0 < answer.usage.output_tokens <= 8
    assert raw.headers["x-exeat-model"] == demo.best
    assert raw.headers["request-id"]
    receipt = raw.headers["x-exeat-receipt"]
    assert demo.receipt("ada", receipt)["index"] == int(receipt.split("-")[0])


async def test_the_asynchronous_client_gets_an_answer(demo):
    async with demo.anthropic("minh", anthropic.AsyncAnthropic) as client:
        answer = await client.messages.create(model=demo.open, messages=ask(), max_tokens=4)
    assert answer.type == "message"


def test_a_stream_comes_in_pieces_and_adds_up_to_a_message(demo):
    with demo.anthropic("ada").messages.stream(model=demo.best, messages=ask("Count to ten."), max_tokens=16) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
    assert len(pieces) > 1
    assert message.content[0].text == "".join(pieces)


async def test_the_asynchronous_client_streams_the_events_in_order(demo):
    async with demo.anthropic("ada", anthropic.AsyncAnthropic) as client:
        stream = await client.messages.create(model=demo.best, messages=ask(), max_tokens=8, stream=True)
        kinds = [event.type async for event in stream]
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"


def test_a_tool_is_called_and_its_result_goes_back(demo):
    client, talk = demo.anthropic("ada"), TOOLS["anthropic"]
    said = client.messages.create(model=demo.best, **talk, **LIKELIEST)
    assert said.stop_reason == "tool_use"
    call = next(block for block in said.content if block.type == "tool_use")
    assert (call.name, call.input.keys()) == ("river_level", {"river"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "4.5 m"}
    messages = [*talk["messages"], {"role": "assistant", "content": said.content}, {"role": "user", "content": [result]}]
    answer = client.messages.create(model=demo.best, messages=messages, tools=talk["tools"], max_tokens=8)
    assert answer.content


def test_a_tool_call_is_streamed(demo):
    with demo.anthropic("ada").messages.stream(model=demo.best, **TOOLS["anthropic"], **LIKELIEST) as stream:
        deltas = [event.delta.type for event in stream if event.type == "content_block_delta"]
        call = next(block for block in stream.get_final_message().content if block.type == "tool_use")
    assert "input_json_delta" in deltas
    assert call.input.keys() == {"river"}


def test_tokens_are_counted(demo):
    count = demo.anthropic("ada").messages.count_tokens(model=demo.best, messages=ask("How high is the Elbe?"))
    assert count.input_tokens > 0


def test_each_caller_sees_the_models_they_may_use(demo):
    names = {who: {model.id for model in demo.anthropic(who).models.list()} for who in ("ada", "shared")}
    assert names == {"ada": {demo.alias, demo.best, demo.open}, "shared": {demo.alias, demo.open}}
    assert demo.anthropic("ada").models.retrieve(demo.best).id == demo.best


def test_an_alias_falls_back_and_says_so(demo):
    raw = demo.anthropic("shared").messages.with_raw_response.create(model=demo.alias, messages=ask(), max_tokens=4)
    assert raw.headers["x-exeat-model"] == demo.open
    assert raw.headers["x-exeat-fallback"].startswith(demo.best + ";")


def test_a_bad_key_is_an_authentication_error(demo):
    with pytest.raises(anthropic.AuthenticationError) as raised:
        demo.anthropic(BAD_KEY).models.list()
    assert error_code(raised.value) == "invalid_api_key"


def test_a_refusal_is_a_permission_error_and_is_not_retried(demo):
    sent = Sent(anthropic.DefaultHttpxClient)
    client = demo.anthropic("shared", http_client=sent.client, max_retries=3)
    with pytest.raises(anthropic.PermissionDeniedError) as raised:
        client.messages.create(model=demo.best, messages=ask(), max_tokens=8)
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert sent.count == 1


def test_a_model_that_does_not_exist_is_not_found(demo):
    with pytest.raises(anthropic.NotFoundError) as raised:
        demo.anthropic("ada").messages.create(model="zephyr-9", messages=ask(), max_tokens=8)
    assert raised.value.body["error"]["type"] == "not_found_error"


def test_a_model_must_be_named_as_text(demo):
    with pytest.raises(anthropic.BadRequestError) as raised:
        demo.anthropic("ada").messages.create(model=demo.best, messages=ask(), max_tokens=8, extra_body={"model": [demo.best]})
    assert raised.value.body["error"]["type"] == "invalid_request_error"


def test_batches_are_refused_by_name(demo):
    with pytest.raises(anthropic.NotFoundError) as raised:
        demo.anthropic("ada").messages.batches.list()
    assert error_code(raised.value) == "not_offered"


def test_leaving_a_stream_is_recorded_as_the_client_going_away(demo):
    before = demo.calls_ended("client_gone")
    with demo.anthropic("ada").messages.stream(model=demo.best, messages=ask("Tell a story."), **LONG) as stream:
        next(stream.text_stream)
    demo.wait_for_calls_ended("client_gone", before + 1)


async def test_an_order_cuts_a_live_stream_with_a_permission_error(demo, no_foreign_person):
    async with demo.anthropic("minh", anthropic.AsyncAnthropic) as client:
        stream = await client.messages.create(model=demo.best, messages=ask("Tell a story."), stream=True, **LONG)
        events = aiter(stream)
        assert (await anext(events)).type == "message_start"
        no_foreign_person()
        with pytest.raises(anthropic.APIStatusError) as raised:
            async for _ in events:
                pass
    assert raised.value.body["error"]["type"] == "permission_error"
    assert error_code(raised.value) == "foreign_person_barred"
