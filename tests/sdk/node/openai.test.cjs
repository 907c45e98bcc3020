// The official `openai` package for Node, unmodified.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { OpenAI, BAD_KEY, LONG, alias, ask, best, callsEnded, counted, open, openai, tools, underAnOrder, waitForCallsEnded } = require('./support.cjs');

test('a person gets an answer with usage and a receipt', async () => {
  const call = openai('ada').chat.completions.create({ model: best, messages: ask(), max_tokens: 8 });
  const { data, response } = await call.withResponse();
  assert.equal(data.choices[0].message.role, 'assistant');
  assert.ok(data.usage.completion_tokens > 0);
  assert.equal(response.headers.get('x-exeat-model'), best);
  assert.match(response.headers.get('x-exeat-receipt'), /^\d+-[0-9a-f]{16}$/);
});

test('a stream comes in pieces and ends with its usage', async () => {
  const stream = await openai('ada').chat.completions.create({
    model: best, messages: ask('Count to ten.'), max_tokens: 16, stream: true, stream_options: { include_usage: true },
  });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  assert.ok(chunks.filter((chunk) => chunk.choices[0]?.delta.content).length > 1);
  assert.ok(chunks.at(-1).usage.completion_tokens > 0);
});

test('a tool is called and its result goes back', async () => {
  const said = (await openai('ada').chat.completions.create({ model: best, ...tools.openai })).choices[0].message;
  const call = said.tool_calls[0];
  assert.equal(call.function.name, 'river_level');
  assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)), ['river']);
  const result = { role: 'tool', tool_call_id: call.id, content: '4.5 m' };
  const messages = [...tools.openai.messages, said, result];
  const answer = await openai('ada').chat.completions.create({ ...tools.openai, model: best, messages, tool_choice: 'none', max_tokens: 8 });
  assert.ok(answer.choices[0].message.content);
});

test('a response is streamed to its end', async () => {
  const stream = await openai('ada').responses.create({ model: best, input: 'Say one word.', max_output_tokens: 16, stream: true });
  const kinds = [];
  for await (const event of stream) kinds.push(event.type);
  assert.equal(kinds[0], 'response.created');
  assert.match(kinds.at(-1), /^response\.(completed|incomplete)$/);
});

test('each caller sees the models they may use', async () => {
  const names = async (who) => (await openai(who).models.list()).data.map((model) => model.id).sort();
  assert.deepEqual(await names('ada'), [alias, best, open].sort());
  assert.deepEqual(await names('shared'), [alias, open].sort());
});

test('a bad key is an authentication error', async () => {
  await assert.rejects(openai(BAD_KEY).models.list(), (error) => error instanceof OpenAI.AuthenticationError && error.code === 'invalid_api_key');
});

test('a refusal is a permission error and is not retried', async () => {
  const sent = counted();
  const call = openai('shared', { fetch: sent.fetch, maxRetries: 3 }).chat.completions.create({ model: best, messages: ask() });
  await assert.rejects(call, OpenAI.PermissionDeniedError);
  assert.equal(sent.count, 1);
});

test('a model that does not exist is not found', async () => {
  await assert.rejects(openai('ada').chat.completions.create({ model: 'zephyr-9', messages: ask() }), OpenAI.NotFoundError);
});

test('a model must be named as text', async () => {
  await assert.rejects(openai('ada').chat.completions.create({ model: [best], messages: ask() }), OpenAI.BadRequestError);
});

test('what is not offered is refused by name', async () => {
  await assert.rejects(openai('ada').files.list(), (error) => error instanceof OpenAI.NotFoundError && error.code === 'not_offered');
});

test('aborting a stream is recorded as the client going away', async () => {
  const before = await callsEnded('client_gone');
  const stream = await openai('ada').chat.completions.create({ model: best, messages: ask('Tell a story.'), ...LONG });
  for await (const chunk of stream) {
    assert.equal(chunk.object, 'chat.completion.chunk');
    break;
  }
  stream.controller.abort();
  await waitForCallsEnded('client_gone', before + 1);
});

test('an order cuts a live stream with a permission error', async () => {
  const stream = await openai('minh').chat.completions.create({ model: best, messages: ask('Tell a story.'), ...LONG });
  const chunks = stream[Symbol.asyncIterator]();
  await chunks.next();
  await underAnOrder(async () => {
    const rest = async () => {
      while (!(await chunks.next()).done);
    };
    await assert.rejects(rest, (error) => error instanceof OpenAI.APIError && error.type === 'permission_error' && error.code === 'foreign_person_barred');
  });
});
