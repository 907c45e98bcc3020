"use strict";
// `verify/receipt.html`, the page that checks receipts: its script under Node, and all of it in a real browser; as it
// lies in the repository, and as `cargo xtask page` builds it, with the gateway's Rust in it as WebAssembly.

const assert = require("node:assert/strict");
const { createHash } = require("node:crypto");
const { execFileSync } = require("node:child_process");
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { pathToFileURL } = require("node:url");
const { before, test } = require("node:test");

const ROOT = join(__dirname, "../../..");
const PAGE = join(ROOT, "verify/receipt.html");
const html = readFileSync(PAGE, "utf8");
const script = /<script type="module">([^]*)<\/script>/.exec(html)[1];

/** The page that was built; without it, its tests are skipped, and the chore that runs them has counted a failure. */
const BUILT = process.env.RECEIPT_PAGE;
const unbuilt = { skip: BUILT ? false : "the page was not built" };
const built = BUILT ? readFileSync(BUILT, "utf8") : "";
const WASM = /(<script type="application\/wasm" id="wasm">)([^]*?)(?=<\/script>)/;
const wasm = BUILT ? WASM.exec(built)[2] : "";

/** A program in WebAssembly, in base64, that takes every question and gives one answer, of fewer than 64 letters. */
function stubborn(answer) {
  const sized = (bytes) => [bytes.length, ...bytes];
  const section = (id, ...items) => [id, ...sized([items.length, ...items.flat()])];
  const named = (name, at) => [...sized(Buffer.from(name)), 0, at];
  return Buffer.from([
    ...Buffer.from("\0asm"), 1, 0, 0, 0,
    ...section(1, [0x60, 2, 0x7f, 0x7f, 0], [0x60, 0, 1, 0x7f], [0x60, 1, 0x7f, 1, 0x7f]),
    ...section(3, [0], [1], [2]),
    ...section(5, [0, 1]),
    ...section(7, named("page_put", 0), named("page_check", 1), named("page_byte", 2)),
    ...section(10, sized([0, 0x0b]), sized([0, 0x41, answer.length, 0x0b]), sized([0, 0x20, 0, 0x2d, 0, 0, 0x0b])),
    ...section(11, [0, 0x41, 0, 0x0b, ...sized(Buffer.from(answer))]),
  ]).toString("base64");
}

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
  "extra data that is not base64": ({ proof }) => ({ proof: proof.replace("index 9", "extra !\nindex 9") }),
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

/** Every question that is asked of both programs: true ones, those above, and each with a letter changed. */
function questions() {
  const { leaf, proof } = true_.receipts[9];
  const key = true_.key;
  const texts = { key, leaf, proof };
  const made = true_.receipts.map((receipt) => ({ ...receipt, key }));
  for (const change of Object.values(changes)) made.push({ ...texts, ...change(texts) });
  for (const name of Object.keys(texts)) {
    for (let at = 0; at <= texts[name].length; at += 1) {
      const [before, after] = [texts[name].slice(0, at), texts[name].slice(at)];
      for (const letter of ["", "A", "0", "\n", " ", "\u00e9"]) {
        made.push({ ...texts, [name]: before + letter + after.slice(1) });
      }
      made.push({ ...texts, [name]: before });
    }
  }
  for (const extra of ["", "bW9yZQ==", "bW9yZQ", "!"]) {
    made.push({ ...texts, proof: proof.replace("index", `extra ${extra}\nindex`) });
  }
  made.push({ ...texts, leaf: Buffer.from(leaf, "hex").toString("base64"), key: `\n ${key} ` });
  return made.map(({ key: first, leaf: second, proof: third }) => ({ key: first, leaf: second, proof: third }));
}

test("the WebAssembly says word for word what the Rust says natively", unbuilt, async () => {
  const all = questions();
  const lines = all.map(({ key, leaf, proof }) => JSON.stringify([key, leaf, proof])).join("\n");
  const answers = execFileSync(process.env.PAGE_PEER, { input: lines, encoding: "utf8", maxBuffer: 1 << 28 });
  const native = answers.split("\n");
  const { instance } = await WebAssembly.instantiate(Buffer.from(wasm, "base64"));
  for (const [at, question] of all.entries()) {
    assert.equal(page.asked(instance.exports, question), native[at], JSON.stringify(question));
  }
  assert.ok(native.filter((said) => said.startsWith('{"rows"')).length > true_.receipts.length);
});

test("both programs of the page say the same of every question", unbuilt, async () => {
  const { instance } = await WebAssembly.instantiate(Buffer.from(wasm, "base64"));
  for (const question of questions()) {
    const ours = await page.answered(question);
    const rust = JSON.parse(page.asked(instance.exports, question));
    assert.equal("rows" in ours, "rows" in rust, JSON.stringify({ question, ours, rust }));
  }
  for (const receipt of true_.receipts) {
    const question = { ...receipt, key: true_.key };
    assert.deepEqual(await page.compiled(wasm, question), await page.answered(question));
  }
});

test("what one program says alone does not hold, nor what they say differently", () => {
  const rows = [["index", "9"]];
  assert.equal(page.judged({ rows }).holds, true);
  assert.equal(page.judged({ rows }, { rows }).holds, true);
  for (const other of [{ why: "no" }, { rows: [["index", "8"]] }, { rows: [...rows, ["size", "40"]] }]) {
    for (const [ours, rust] of [[{ rows }, other], [other, { rows }]]) {
      const { holds, title, rows: said } = page.judged(ours, rust);
      assert.equal(holds, false);
      assert.match(title, /disagree/);
      assert.deepEqual(said.map(([name]) => name), ["JavaScript says", "Rust says", "checked by"]);
    }
  }
  assert.match(page.judged({ why: "no" }, { why: "nor I" }).title, /^Not shown/);
});

test("WebAssembly that does not run is no agreement", async () => {
  const { leaf, proof } = true_.receipts[9];
  const question = { leaf, proof, key: true_.key };
  const rust = await page.compiled("AAAA", question);
  assert.match(rust.why, /could not run it/);
  assert.equal(page.judged(await page.answered(question), rust).holds, false);
});

/** What a page may do: run the script that it has, and reach nobody. */
function policyOf(text) {
  return /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(text)[1];
}

test("the page may run its own script and reach nobody", () => {
  const digest = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const style = /<style>([^]*)<\/style>/.exec(html)[1];
  const policy = (more) => `default-src 'none'; script-src ${more}${digest(script)}; style-src ${digest(style)}; `
    + "base-uri 'none'; form-action 'none'";
  assert.equal(policyOf(html), policy(""));
  assert.doesNotMatch(html, /\s(src|href|style|on[a-z]+)=/);
  if (BUILT) {
    assert.equal(policyOf(built), policy("'wasm-unsafe-eval' "));
    assert.equal(built.replace(WASM, "$1").replace("'wasm-unsafe-eval' ", ""), html);
  }
});

/** Opens a file in a real browser; returns how to ask it, and the errors and requests that there must not be. */
async function opened(t, path) {
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
  await tab.goto(pathToFileURL(path).href);
  const ask = async ({ leaf, proof }, key = true_.key) => {
    await tab.fill("#key", key);
    await tab.fill("#leaf", leaf);
    await tab.fill("#proof", proof);
    await tab.evaluate(() => document.getElementById("answer").replaceChildren());
    await tab.click("button");
    await tab.waitForSelector("#answer h2");
    return { holds: await tab.getAttribute("#answer", "data-holds"), text: await tab.innerText("#answer") };
  };
  return { ask, errors };
}

/** A file beside which nothing is, for as long as the test runs. */
function alone(t, text) {
  const folder = mkdtempSync(join(tmpdir(), "receipt-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "receipt.html");
  writeFileSync(path, text);
  return path;
}

const PAGES = {
  "as it lies in the repository": { path: PAGE, by: /checked by\tthe JavaScript of this page$/ },
  "as it is built": { path: BUILT, by: /checked by\tthe JavaScript of this page, and the gateway's Rust$/ },
};

for (const [which, { path, by }] of Object.entries(PAGES)) {
  test(`a person sees in a real browser what holds and what does not, ${which}`, path ? {} : unbuilt, async (t) => {
    const { ask, errors } = await opened(t, alone(t, readFileSync(path, "utf8")));
    const said = await ask(true_.receipts[15]);
    assert.equal(said.holds, "yes");
    assert.match(said.text, /^The entry is in the log[^]*index\t15[^]*output tokens\t1500/);
    assert.match(said.text, by);
    const refused = await ask({ ...true_.receipts[15], leaf: true_.receipts[14].leaf });
    assert.equal(refused.holds, "no");
    assert.match(refused.text, /^Not shown to be in the log[^]*the entry is not in the log/);
    assert.match(refused.text, by);
    assert.deepEqual(errors, []);
  });
}

const LIES = {
  "refuses what is true": [15, '{"why":"no"}', /JavaScript says\tit is in the log: [^]*Rust says\tno/],
  "takes what is false": [14, '{"rows":[]}', /JavaScript says\tthe proof [^]*Rust says\tit is in the log/],
  "says something else of it": [15, '{"rows":[["index","9"]]}', /Rust says\tit is in the log: index 9/],
};

for (const [which, [leaf, answer, says]] of Object.entries(LIES)) {
  test(`a person sees in a real browser that one of the two programs ${which}`, async (t) => {
    const lying = html.replace(WASM, `$1${stubborn(answer)}`).replace("script-src ", "script-src 'wasm-unsafe-eval' ");
    const { ask, errors } = await opened(t, alone(t, lying));
    const said = await ask({ ...true_.receipts[15], leaf: true_.receipts[leaf].leaf });
    assert.equal(said.holds, "no");
    assert.match(said.text, /^The two programs disagree: not shown to be in the log/);
    assert.match(said.text, says);
    assert.deepEqual(errors, []);
  });
}

test("a browser that runs no WebAssembly does not show that the entry is in the log", unbuilt, async (t) => {
  const { ask } = await opened(t, alone(t, built.replace("'wasm-unsafe-eval' ", "")));
  const said = await ask(true_.receipts[15]);
  assert.equal(said.holds, "no");
  assert.match(said.text, /Rust says\tthis browser could not run it/);
});
