// The official `@anthropic-ai/sdk` package for Node, unmodified.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { Anthropic, BAD_KEY, LONG, alias, anthropic, ask, best, callsEnded, counted, open, tools, underAnOrder, waitForCallsEnded } = require('./support.cjs');

const short = { model: best, messages: ask(), max_tokens: 8 };

test('a person gets an answer with usage and a receipt', async () => {
  const { data, response } = await anthropic('ada').messages.create(short).withResponse();
  assert.equal(data.role, 'assistant');
  assert.ok(data.usage.output_tokens > 0);
  assert.equal(response.headers.get('x-exeat-model'), best);
  assert.match(response.headers.get('x-exeat-receipt'), /^\d+-[0-9a-f]{16}$/);
});

test('a stream adds up to a message', async () => {
  const stream = anthropic('ada').messages.stream({ ...short, messages: ask('Count to ten.'), max_tokens: 16 });
  let text = '';
  stream.on('text', (piece) => {
    text += piece;
  });
  const message = await stream.finalMessage();
  assert.ok(text.length > 0);
  assert.equal(message.content[0].text, text);
});

test('a streamed tool call adds up and its result goes back', async () => {
  const said = await anthropic('ada').messages.stream({ model: best, ...tools.anthropic }).finalMessage();
  const call = said.content.find((block) => block.type === 'tool_use');
  assert.equal(call.name, 'river_level');
  assert.deepEqual(Object.keys(call.input), ['river']);
  const result = { type: 'tool_result', tool_use_id: call.id, content: '4.5 m' };
  const messages = [...tools.anthropic.messages, { role: 'assistant', content: said.content }, { role: 'user', content: [result] }];
  const answer = await anthropic('ada').messages.create({ model: best, messages, tools: tools.anthropic.tools, max_tokens: 8 });
  assert.ok(answer.content.length > 0);
});

test('tokens are counted', async () => {
  const count = await anthropic('ada').messages.countTokens({ model: best, messages: ask() });
  assert.ok(count.input_tokens > 0);
});

test('each caller sees the models they may use', async () => {
  const names = async (who) => (await anthropic(who).models.list()).data.map((model) => model.id).sort();
  assert.deepEqual(await names('ada'), [alias, best, open].sort());
  assert.deepEqual(await names('shared'), [alias, open].sort());
});

test('a bad key is an authentication error', async () => {
  await assert.rejects(anthropic(BAD_KEY).models.list(), Anthropic.AuthenticationError);
});

test('a refusal is a permission error and is not retried', async () => {
  const sent = counted();
  await assert.rejects(anthropic('shared', { fetch: sent.fetch, maxRetries: 3 }).messages.create(short), Anthropic.PermissionDeniedError);
  assert.equal(sent.count, 1);
});

test('a model that does not exist is not found', async () => {
  await assert.rejects(anthropic('ada').messages.create({ ...short, model: 'zephyr-9' }), Anthropic.NotFoundError);
});

test('a model must be named as text', async () => {
  await assert.rejects(anthropic('ada').messages.create({ ...short, model: [best] }), Anthropic.BadRequestError);
});

test('aborting a stream is recorded as the client going away', async () => {
  const before = await callsEnded('client_gone');
  const stream = await anthropic('ada').messages.create({ ...short, messages: ask('Tell a story.'), ...LONG });
  for await (const event of stream) {
    assert.equal(event.type, 'message_start');
    break;
  }
  stream.controller.abort();
  await waitForCallsEnded('client_gone', before + 1);
});

test('an order cuts a live stream with a permission error', async () => {
  const stream = await anthropic('minh').messages.create({ ...short, messages: ask('Tell a story.'), ...LONG });
  const events = stream[Symbol.asyncIterator]();
  await events.next();
  await underAnOrder(async () => {
    const rest = async () => {
      while (!(await events.next()).done);
    };
    await assert.rejects(rest, (error) => error instanceof Anthropic.APIError && error.type === 'permission_error');
  });
});
