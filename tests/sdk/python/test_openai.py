"""The official `openai` package, unmodified."""

import json

import openai
import pytest
from support import BAD_KEY, LIKELIEST, LONG, TOOLS, Sent, ask


def test_a_person_gets_an_answer_with_usage_and_a_receipt(demo):
    raw = demo.openai("ada").chat.completions.with_raw_response.create(model=demo.best, messages=ask(), max_tokens=8)
    answer = raw.parse()
    assert answer.choices[0].message.role == "assistant"
    assert 0 < answer.usage.completion_tokens <= 8
    assert raw.headers["x-exeat-model"] == demo.best
    assert raw.headers["x-request-id"]
    receipt = raw.headers["x-exeat-receipt"]
    assert demo.receipt("ada", receipt)["index"] == int(receipt.split("-")[0])


async def test_the_asynchronous_client_gets_an_answer(demo):
    async with demo.openai("minh", openai.AsyncOpenAI) as client:
        answer = await client.chat.completions.create(model=demo.open, messages=ask(), max_tokens=4)
    assert answer.choices[0].finish_reason in ("stop", "length")


def test_a_stream_comes_in_pieces_and_ends_with_its_usage(demo):
    stream = demo.openai("ada").chat.completions.create(
        model=demo.best, messages=ask("Count to ten."), max_tokens=16, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert sum(1 for chunk in chunks if chunk.choices and chunk.choices[0].delta.content) > 1
    assert chunks[-1].usage.completion_tokens > 0


async def test_the_asynchronous_client_streams(demo):
    async with demo.openai("ada", openai.AsyncOpenAI) as client:
        stream = await client.chat.completions.create(model=demo.best, messages=ask(), max_tokens=8, stream=True)
        chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")


def test_log_probabilities_and_several_choices_pass_through(demo):
    answer = demo.openai("ada").chat.completions.create(
        model=demo.best, messages=ask(), max_tokens=3, n=2, logprobs=True, top_logprobs=2
    )
    assert len(answer.choices) == 2
    assert len(answer.choices[0].logprobs.content[0].top_logprobs) == 2


def test_a_tool_is_called_and_its_result_goes_back(demo):
    client, talk = demo.openai("ada"), TOOLS["openai"]
    said = client.chat.completions.create(model=demo.best, **talk, **LIKELIEST).choices[0].message
    call = said.tool_calls[0]
    assert call.function.name == "river_level"
    assert json.loads(call.function.arguments).keys() == {"river"}
    result = {"role": "tool", "tool_call_id": call.id, "content": "4.5 m"}
    talk = {**talk, "messages": [*talk["messages"], said, result], "tool_choice": "none", "max_tokens": 8}
    answer = client.chat.completions.create(model=demo.best, **talk)
    assert answer.choices[0].message.content


def test_a_tool_call_is_streamed(demo):
    stream = demo.openai("ada").chat.completions.create(model=demo.best, stream=True, **TOOLS["openai"], **LIKELIEST)
    pieces = [call for chunk in stream if chunk.choices for call in chunk.choices[0].delta.tool_calls or []]
    assert pieces[0].function.name == "river_level"
    assert json.loads("".join(piece.function.arguments or "" for piece in pieces)).keys() == {"river"}


def test_a_text_completion_is_answered(demo):
    answer = demo.openai("ada").completions.create(model=demo.best, prompt="The river", max_tokens=4)
    assert answer.object == "text_completion"
    assert answer.choices[0].text


def test_a_response_is_streamed_to_its_end(demo):
    stream = demo.openai("ada").responses.create(model=demo.best, input="Say one word.", max_output_tokens=16, stream=True)
    kinds = [event.type for event in stream]
    assert kinds[0] == "response.created"
    assert "response.output_text.delta" in kinds
    assert kinds[-1] in ("response.completed", "response.incomplete")


def test_each_caller_sees_the_models_they_may_use(demo):
    names = {who: {model.id for model in demo.openai(who).models.list()} for who in ("ada", "shared")}
    assert names == {"ada": {demo.alias, demo.best, demo.open}, "shared": {demo.alias, demo.open}}
    assert demo.openai("ada").models.retrieve(demo.best).id == demo.best


def test_an_alias_falls_back_and_says_so(demo):
    raw = demo.openai("shared").chat.completions.with_raw_response.create(model=demo.alias, messages=ask(), max_tokens=4)
    assert raw.headers["x-exeat-model"] == demo.open
    assert raw.headers["x-exeat-fallback"].startswith(demo.best + ";")


def test_a_bad_key_is_an_authentication_error(demo):
    with pytest.raises(openai.AuthenticationError) as raised:
        demo.openai(BAD_KEY).models.list()
    assert raised.value.code == "invalid_api_key"


def test_a_refusal_is_a_permission_error_and_is_not_retried(demo):
    sent = Sent(openai.DefaultHttpxClient)
    client = demo.openai("shared", http_client=sent.client, max_retries=3)
    with pytest.raises(openai.PermissionDeniedError) as raised:
        client.chat.completions.create(model=demo.best, messages=ask())
    assert raised.value.code
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert sent.count == 1


def test_a_model_that_does_not_exist_is_not_found(demo):
    with pytest.raises(openai.NotFoundError) as raised:
        demo.openai("ada").chat.completions.create(model="zephyr-9", messages=ask())
    assert raised.value.code == "model_not_found"


def test_a_model_must_be_named_as_text(demo):
    with pytest.raises(openai.BadRequestError) as raised:
        demo.openai("ada").chat.completions.create(model=["mythos-5"], messages=ask())
    assert raised.value.param == "model"


def test_what_is_not_offered_is_refused_by_name(demo):
    with pytest.raises(openai.NotFoundError) as raised:
        demo.openai("ada").files.list()
    assert raised.value.code == "not_offered"
    with pytest.raises(openai.NotFoundError):
        demo.openai("ada").batches.list()


def test_a_model_without_embeddings_says_so_in_a_typed_error(demo):
    with pytest.raises(openai.APIStatusError) as raised:
        demo.openai("ada", max_retries=0).embeddings.create(model=demo.best, input="river")
    assert raised.value.status_code in (400, 404, 501)
    assert raised.value.message


def test_closing_a_stream_is_recorded_as_the_client_going_away(demo):
    before = demo.calls_ended("client_gone")
    stream = demo.openai("ada").chat.completions.create(model=demo.best, messages=ask("Tell a story."), stream=True, **LONG)
    next(iter(stream))
    stream.close()
    demo.wait_for_calls_ended("client_gone", before + 1)


def test_an_order_cuts_a_live_stream_with_a_permission_error_and_spares_the_other(demo, no_foreign_person):
    streams = {
        who: iter(demo.openai(who).chat.completions.create(model=demo.best, messages=ask("Tell a story."), stream=True, **LONG))
        for who in ("minh", "ada")
    }
    for stream in streams.values():
        next(stream)
    before = demo.calls_ended("cut")
    no_foreign_person()
    with pytest.raises(openai.APIError) as raised:
        list(streams["minh"])
    assert raised.value.type == "permission_error"
    assert raised.value.code == "foreign_person_barred"
    demo.wait_for_calls_ended("cut", before + 1)
    assert next(streams["ada"]).object == "chat.completion.chunk"
    streams["ada"].close()
    with pytest.raises(openai.PermissionDeniedError) as refused:
        demo.openai("minh").chat.completions.create(model=demo.best, messages=ask())
    assert refused.value.code == "foreign_person_barred"
