// What the tests need of the running demo.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const OpenAI = require('openai');
const Anthropic = require('@anthropic-ai/sdk');

const demo = JSON.parse(fs.readFileSync(process.env.EXEAT_READY, 'utf8'));
const [best, open] = demo.models;
const order = path.join(__dirname, '../../../examples/june-12.directive.json');

// A talk in each dialect that calls for a tool; three examples in it lead even a small model to the call,
// if it always takes the likeliest next word.
const tools = JSON.parse(fs.readFileSync(path.join(__dirname, '../tools.json'), 'utf8'));
for (const talk of Object.values(tools)) talk.temperature = 0;

const BAD_KEY = `ex_live_0000000000000000_${'0'.repeat(49)}`;
// `ignore_eos` lets the small model go on past the end of its answer.
const LONG = { max_tokens: 400, stream: true, ignore_eos: true };

const key = (who) => demo.keys[who] ?? who;
const openai = (who, more = {}) => new OpenAI({ apiKey: key(who), baseURL: `${demo.base_url}/v1`, ...more });
const anthropic = (who, more = {}) => new Anthropic({ apiKey: key(who), baseURL: demo.base_url, ...more });
const ask = (text = 'Say one word.') => [{ role: 'user', content: text }];

/** Counts the HTTP requests that an SDK sends, retries among them. */
function counted() {
  const sent = { count: 0 };
  sent.fetch = (...request) => {
    sent.count += 1;
    return fetch(...request);
  };
  return sent;
}

async function admin(method, where, body) {
  const headers = { authorization: `Bearer ${demo.admin_token}`, 'content-type': 'application/json' };
  const answer = await fetch(demo.admin_url + where, { method, headers, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${where}: ${answer.status} ${await answer.text()}`);
  return answer.text();
}

let orders = 0;

/** Applies an order of the words of June 12 under an id of its own, for as long as `during` takes. */
async function underAnOrder(during) {
  const document = JSON.parse(fs.readFileSync(order, 'utf8'));
  document.id = `DIR-SDK-${process.pid}-${orders++}`;
  await admin('POST', '/admin/v1/directives?apply=true', document);
  try {
    await during();
  } finally {
    await admin('POST', `/admin/v1/directives/${document.id}/lift`);
  }
}

/** Returns how many permitted calls ended so, by the gateway's metrics. */
async function callsEnded(outcome) {
  const lines = (await admin('GET', '/metrics')).split('\n');
  const counts = lines.filter((line) => line.startsWith('exeat_calls_total{') && line.includes(`outcome="${outcome}"`));
  return counts.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

async function waitForCallsEnded(outcome, count) {
  for (const deadline = Date.now() + 20_000; (await callsEnded(outcome)) < count; await sleep(100)) {
    if (Date.now() > deadline) throw new Error(`no ${count} calls ended as ${outcome}`);
  }
}

module.exports = {
  alias: demo.alias, baseUrl: demo.base_url, best, open, BAD_KEY, LONG, OpenAI, Anthropic,
  admin, anthropic, ask, callsEnded, counted, openai, tools, underAnOrder, waitForCallsEnded,
};
