"use strict";
// `verify/receipt.html`, the page that checks receipts: its script under Node, and all of it in a real browser.

const assert = require("node:assert/strict");
const { createHash } = require("node:crypto");
const { execFileSync } = require("node:child_process");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { pathToFileURL } = require("node:url");
const { before, test } = require("node:test");

const ROOT = join(__dirname, "../../..");
const PAGE = join(ROOT, "verify/receipt.html");
const html = readFileSync(PAGE, "utf8");
const script = /<script type="module">([^]*)<\/script>/.exec(html)[1];

/** Receipts, made by the generator of the other tests: each with its entry, and the log's key. */
function receipts() {
  const made = execFileSync("python3", ["-B", "-c", `
import json, sys
sys.path[:0] = ["verify", "tests/evidence/python"]
from story import told
from receipts import receipt_of
log = told().log()
print(json.dumps({"key": log.key.vkey(), "size": len(log.drafts), "receipts": [
    {"index": draft.index, "leaf": draft.leaf.hex(), "proof": receipt_of(log, draft.index)} for draft in log.drafts]}))
`], { cwd: ROOT, encoding: "utf8" });
  return JSON.parse(made);
}

const true_ = receipts();
let page;

before(async () => {
  page = await import(`data:text/javascript;base64,${Buffer.from(script).toString("base64")}`);
});

const verify = ({ proof, leaf }, key = true_.key) => page.verify(proof, page.leafOf(leaf), key);

test("every entry of a log has a receipt that holds", async () => {
  for (const receipt of true_.receipts) {
    const said = await verify(receipt);
    assert.equal(said.index, receipt.index);
    assert.equal(said.size, true_.size);
    const leafHash = createHash("sha256").update(Buffer.concat([Buffer.of(0), Buffer.from(receipt.leaf, "hex")]));
    assert.equal(said["leaf hash"], leafHash.digest("hex"));
  }
});

test("an entry says what happened", async () => {
  const said = await verify(true_.receipts[15]);
  assert.equal(said.kind, "close");
  assert.equal(said.model, "ember-2");
  assert.equal(said.outcome, "completed");
  assert.equal(said["output tokens"], 1500);
  assert.match(said.time, /^2026-06-01T09:00:00/);
});

test("an entry in base64 is the same entry", async () => {
  const { leaf, proof } = true_.receipts[9];
  const said = await verify({ leaf: Buffer.from(leaf, "hex").toString("base64"), proof });
  assert.equal(said.index, 9);
});

const changes = {
  "another index": ({ proof }) => ({ proof: proof.replace("index 9", "index 8") }),
  "an index beyond the log": ({ proof }) => ({ proof: proof.replace("index 9", "index 40") }),
  "another entry": () => ({ leaf: true_.receipts[8].leaf }),
  "a hash too few": ({ proof }) => ({ proof: proof.replace(/(index 9\n)[^\n]*\n/, "$1") }),
  "a hash too many": ({ proof }) => ({ proof: proof.replace(/(index 9\n)([^\n]*\n)/, "$1$2$2") }),
  "another size": ({ proof }) => ({ proof: proof.replace("\n40\n", "\n39\n") }),
  "another origin": ({ proof }) => ({ proof: proof.replace("\nlog.example.com", "\nlug.example.com") }),
  "no signature of the log": ({ proof }) => ({ proof: proof.replace(/\u2014 log[^\n]*\n/, "") }),
  "another signature": ({ proof }) => ({ proof: proof.replace(/(\u2014 log[^\n]*)....=\n/, "$1AAAA=\n") }),
  "no end of line": ({ proof }) => ({ proof: proof.slice(0, -1) }),
  "another version": ({ proof }) => ({ proof: proof.replace("@v1", "@v2") }),
  "an entry of another version": ({ leaf }) => ({ leaf: leaf.replace(/^(..)0002/, "$10001") }),
  "no entry": () => ({ leaf: "00" }),
  "an entry that is not digits": () => ({ leaf: "*" }),
};

for (const [name, change] of Object.entries(changes)) {
  test(`a receipt with ${name} is refused with a reason`, async () => {
    const receipt = true_.receipts[9];
    const changed = { ...receipt, ...change(receipt) };
    assert.notDeepEqual(changed, receipt);
    const isSaid = (error) => error instanceof page.Wrong && error.message.length > 10;
    await assert.rejects(async () => verify(changed), isSaid);
  });
}

test("every byte of an entry and every letter of a receipt counts", async () => {
  const receipt = true_.receipts[9];
  for (let at = 0; at < receipt.leaf.length; at += 2) {
    const byte = (parseInt(receipt.leaf.slice(at, at + 2), 16) ^ 1).toString(16).padStart(2, "0");
    const leaf = receipt.leaf.slice(0, at) + byte + receipt.leaf.slice(at + 2);
    await assert.rejects(async () => verify({ ...receipt, leaf }), `byte ${at / 2}`);
  }
  const end = receipt.proof.indexOf("\u2014 witness");
  for (let at = 0; at < end; at += 1) {
    const letter = receipt.proof[at] === "A" ? "B" : "A";
    const proof = receipt.proof.slice(0, at) + letter + receipt.proof.slice(at + 1);
    await assert.rejects(async () => verify({ ...receipt, proof }), `letter ${at}`);
  }
});

test("another key does not do, nor one that is none", async () => {
  const receipt = true_.receipts[9];
  const other = true_.key.replace("log.example.com", "lug.example.com");
  for (const key of [other, "", "log.example.com", true_.key.replace("+", "+0"), `${true_.key}=`]) {
    await assert.rejects(async () => verify(receipt, key), (error) => error instanceof page.Wrong, key);
  }
});

test("the page may run its own script and reach nobody", () => {
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)[1];
  const digest = createHash("sha256").update(script).digest("base64");
  assert.equal(policy, `default-src 'none'; script-src 'sha256-${digest}'; style-src 'unsafe-inline'`);
  assert.doesNotMatch(html, /(src|href)=/);
});

test("a person sees in a real browser what holds and what does not", async (t) => {
  const { chromium } = require("playwright-core");
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
  t.after(() => browser.close());
  const tab = await browser.newPage();
  const errors = [];
  tab.on("pageerror", (error) => errors.push(error.message));
  tab.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  tab.on("request", (request) => request.url().startsWith("file:") || errors.push(request.url()));
  await tab.goto(pathToFileURL(PAGE).href);
  const ask = async ({ leaf, proof }, key) => {
    await tab.fill("#key", key);
    await tab.fill("#leaf", leaf);
    await tab.fill("#proof", proof);
    await tab.evaluate(() => document.getElementById("answer").replaceChildren());
    await tab.click("button");
    await tab.waitForSelector("#answer h2");
    return { holds: await tab.getAttribute("#answer", "data-holds"), text: await tab.innerText("#answer") };
  };
  const said = await ask(true_.receipts[15], true_.key);
  assert.equal(said.holds, "yes");
  assert.match(said.text, /The entry is in the log[^]*index\t15[^]*output tokens\t1500/);
  const refused = await ask({ ...true_.receipts[15], leaf: true_.receipts[14].leaf }, true_.key);
  assert.equal(refused.holds, "no");
  assert.match(refused.text, /the entry is not in the log/);
  assert.deepEqual(errors, []);
});
