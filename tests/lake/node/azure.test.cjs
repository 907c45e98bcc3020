// Azure Blob Storage, as Microsoft's own emulator answers for it, under our lake.
"use strict";

const assert = require("node:assert/strict");
const { execFile, spawn } = require("node:child_process");
const { mkdtempSync, rmSync } = require("node:fs");
const net = require("node:net");
const { tmpdir } = require("node:os");
const path = require("node:path");
const { after, before, test } = require("node:test");
const { promisify } = require("node:util");

const { BlobServiceClient, StorageSharedKeyCredential } = require("@azure/storage-blob");

const SPAN = 65_536;
// The account of the emulator, which its documentation publishes.
const ACCOUNT = "devstoreaccount1";
const KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

let azurite;
let url;
let service;
const folder = mkdtempSync(path.join(tmpdir(), "lake-"));

const freePort = () =>
  new Promise((resolve) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

before(async () => {
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const program = require.resolve("azurite/dist/src/blob/main.js");
  const settings = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--blobPort", `${port}`];
  azurite = spawn(process.execPath, [program, ...settings], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve, reject) => {
    azurite.on("exit", () => reject(new Error("azurite did not start")));
    azurite.stdout.on("data", (text) => String(text).includes("successfully listens") && resolve());
  });
  service = new BlobServiceClient(`${url}/${ACCOUNT}`, new StorageSharedKeyCredential(ACCOUNT, KEY));
}, { timeout: 60_000 });

after(() => {
  azurite.kill();
  rmSync(folder, { recursive: true });
});

/** Our program, before a container of its own; its answer is JSON. */
async function container(name) {
  await service.createContainer(name);
  const env = {
    ...process.env,
    LAKE_MARK: path.join(folder, `${name}.mark`),
    AZURE_STORAGE_ACCOUNT_NAME: ACCOUNT,
    AZURE_STORAGE_ACCOUNT_KEY: KEY,
    AZURE_STORAGE_USE_EMULATOR: "true",
    AZURITE_BLOB_STORAGE_URL: url,
    AZURE_ALLOW_HTTP: "true",
  };
  const run = async (what, ...words) => {
    const { stdout } = await promisify(execFile)(process.env.LAKE_PEER, [what, ...words.map(String)], { env });
    return JSON.parse(stdout);
  };
  return { run, client: service.getContainerClient(name), mark: env.LAKE_MARK };
}

async function blobs(client) {
  const found = [];
  for await (const blob of client.listBlobsFlat()) found.push(blob);
  return found;
}

test("a container takes the files of a lake once and they stay as they are", async () => {
  const { run, client, mark } = await container("filled");
  assert.deepEqual(await run("fill", "az://filled/archive", SPAN + 100), { covered: SPAN, size: SPAN + 100 });
  const [blob, ...others] = await blobs(client);
  assert.deepEqual(others, []);
  assert.match(blob.name, /^archive\/lake\/v2\/log=log\.example\.com_2fexeat_2f1\/day=.*\/part-0-65535\.parquet$/);
  // The same leaves a second time, by a process that knows nothing of the first.
  rmSync(mark);
  assert.equal((await run("fill", "az://filled/archive", SPAN + 100)).covered, SPAN);
  const [again] = await blobs(client);
  assert.equal(again.properties.etag, blob.properties.etag);
});

test("what lies there and is another file is not overwritten and is an alarm", async () => {
  const { run, client, mark } = await container("foreign");
  await run("fill", "az://foreign", SPAN);
  const [{ name }] = await blobs(client);
  const file = await client.getBlobClient(name).downloadToBuffer();
  file[file.length - 1] ^= 1;
  await client.getBlockBlobClient(name).uploadData(file);
  rmSync(mark);
  await assert.rejects(run("fill", "az://foreign", SPAN), /other content/);
  assert.deepEqual(await client.getBlobClient(name).downloadToBuffer(), file);
});

test("only whoever read last swaps the checkpoint", async () => {
  const { run } = await container("swapped");
  assert.deepEqual(await run("swap", "az://swapped"), { before: null, swapped: [true, false, true], after: 12 });
  assert.deepEqual(await run("swap", "az://swapped"), { before: 12, swapped: [true, false, true], after: 12 });
});

test("small files become a wide one", async () => {
  const { run, client } = await container("compacted");
  await run("fill", "az://compacted", 2 * SPAN);
  assert.deepEqual(await run("compact", "az://compacted", 2 * SPAN), { made: 1, removed: 2 });
  const [wide, ...others] = await blobs(client);
  assert.ok(wide.name.endsWith(`part-0-${2 * SPAN - 1}.parquet`) && others.length === 0);
});

test("a container is not called WORM", async () => {
  const { run } = await container("probed");
  assert.match(JSON.stringify(await run("probe", "az://probed")), /^\{"Unable|^"Unable/);
});
