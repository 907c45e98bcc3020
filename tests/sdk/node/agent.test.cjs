// Unmodified SDKs behind `exeat agent`, which lends them an API key that is bound to the agent's own key.
'use strict';

const assert = require('node:assert/strict');
const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { Anthropic, OpenAI, admin, ask, baseUrl, best } = require('./support.cjs');

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'exeat-agent-'));
const keyFile = path.join(folder, 'key');
const agentArguments = ['--json', 'agent', '--gateway', baseUrl, '--listen', '127.0.0.1:0', '--dir', path.join(folder, 'agent'), '--api-key-file', keyFile];
const short = { model: best, messages: ask(), max_tokens: 4 };
let agent;
let bound;

/** Returns what the agent announces: the first JSON value that it writes. */
async function announced(process) {
  let text = '';
  for await (const piece of process.stdout) {
    text += piece;
    try {
      return JSON.parse(text);
    } catch {
      // More comes.
    }
  }
  throw new Error(`the agent ended: ${text}`);
}

before(async () => {
  const { jkt } = JSON.parse(execFileSync(process.env.EXEAT_BIN, [...agentArguments, '--thumbprint'], { encoding: 'utf8' }));
  const minting = { holder: { kind: 'person', person: 'ada' }, organization: 'larkspur-labs', confirmation: { jkt } };
  bound = JSON.parse(await admin('POST', '/admin/v1/keys', minting)).key;
  fs.writeFileSync(keyFile, bound);
  agent = spawn(process.env.EXEAT_BIN, agentArguments, { stdio: ['ignore', 'pipe', 'inherit'] });
  const told = await announced(agent);
  const secret = fs.readFileSync(told.secret_file, 'utf8');
  for (const name of ['OPENAI', 'ANTHROPIC']) {
    process.env[`${name}_BASE_URL`] = told[`${name}_BASE_URL`];
    process.env[`${name}_API_KEY`] = secret;
  }
});

after(() => {
  agent?.kill('SIGKILL');
  fs.rmSync(folder, { recursive: true, force: true });
});

test('the OpenAI SDK gets an answer through the agent', async () => {
  const answer = await new OpenAI().chat.completions.create(short);
  assert.ok(['stop', 'length'].includes(answer.choices[0].finish_reason));
});

test('the OpenAI SDK streams through the agent', async () => {
  let last;
  for await (const chunk of await new OpenAI().chat.completions.create({ ...short, stream: true })) last = chunk;
  assert.equal(last.object, 'chat.completion.chunk');
});

test('the Anthropic SDK gets an answer through the agent', async () => {
  const answer = await new Anthropic().messages.create(short);
  assert.equal(answer.type, 'message');
});

test('the Anthropic SDK streams through the agent', async () => {
  const answer = await new Anthropic().messages.stream(short).finalMessage();
  assert.equal(answer.type, 'message');
});

test('the bound API key is worth nothing without the agent', async () => {
  const direct = new OpenAI({ apiKey: bound, baseURL: `${baseUrl}/v1`, maxRetries: 0 });
  await assert.rejects(direct.chat.completions.create(short), OpenAI.AuthenticationError);
});
