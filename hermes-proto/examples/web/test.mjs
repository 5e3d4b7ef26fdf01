// The page in headless Chromium against a real gateway: node test.mjs HERMES DIR [SCREENSHOT]
//
// DIR has index.html, hermes.js and hermes_web.wasm. The browser is driven over its pipe.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import assert from 'node:assert/strict';

const [hermes, dir, screenshot] = process.argv.slice(2);
const BROWSER = process.env.CHROMIUM ?? 'chromium';
/** Within this time a thing that is awaited happens, in ms. */
const DEADLINE = 30_000;

const types = { html: 'text/html', js: 'text/javascript', wasm: 'application/wasm' };
const files = createServer((request, response) => {
  const name = new URL(request.url, 'http://a').pathname.slice(1) || 'index.html';
  try {
    const body = readFileSync(join(dir, name));
    response.writeHead(200, { 'content-type': types[name.split('.').at(-1)] }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((ready) => files.listen(0, '127.0.0.1', ready));
const site = `http://127.0.0.1:${files.address().port}/`;

const within = (what, promise) =>
  Promise.race([
    promise,
    new Promise((_, fail) => setTimeout(() => fail(new Error(`not within ${DEADLINE} ms: ${what}`)), DEADLINE).unref()),
  ]);

/** A gateway whose log is awaited line by line. */
class Gateway {
  static async start(address, sessions) {
    const gateway = new Gateway();
    gateway.lines = [];
    gateway.waiting = [];
    gateway.process = spawn(hermes, ['gateway', address, '--sessions', sessions], { stdio: ['pipe', 'pipe', 'ignore'] });
    gateway.ended = new Promise((done) => gateway.process.on('exit', done));
    createInterface({ input: gateway.process.stdout }).on('line', (text) => {
      gateway.lines.push(JSON.parse(text));
      gateway.waiting = gateway.waiting.filter((check) => !check());
    });
    return gateway;
  }
  until(what, holds) {
    return within(what, new Promise((done) => {
      const check = () => holds(this.lines) && (done(), true);
      if (!check()) this.waiting.push(check);
    }));
  }
  async stop() {
    this.process.kill('SIGKILL');
    await this.ended;
  }
}

class Browser {
  constructor() {
    this.profile = mkdtempSync(join(tmpdir(), 'hermes-web-'));
    this.process = spawn(BROWSER, [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
      '--disable-background-networking', '--disable-component-update', `--user-data-dir=${this.profile}`,
      '--remote-debugging-pipe', 'about:blank',
    ], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    [this.id, this.calls, this.rest] = [0, new Map(), ''];
    this.process.stdio[4].on('data', (data) => {
      const parts = (this.rest + data).split('\0');
      this.rest = parts.pop();
      for (const { id, result, error } of parts.map((part) => JSON.parse(part))) {
        this.calls.get(id)?.(error ? { error } : result);
        this.calls.delete(id);
      }
    });
  }
  call(method, params = {}, sessionId) {
    const id = ++this.id;
    this.process.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + '\0');
    return within(method, new Promise((done) => this.calls.set(id, done)));
  }
  async tab(url) {
    const { targetId } = await this.call('Target.createTarget', { url });
    const { sessionId } = await this.call('Target.attachToTarget', { targetId, flatten: true });
    const call = (method, params) => this.call(method, params, sessionId);
    const run = async (expression) => {
      const { result, exceptionDetails } = await call('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
      assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
      return result.value;
    };
    // Asked from here: a page that is being loaded has no answer yet.
    const until = async (expression) => {
      const end = performance.now() + DEADLINE;
      while (performance.now() < end) {
        const { result } = await call('Runtime.evaluate', { expression: `!!(${expression})`, returnByValue: true });
        if (result?.value === true) return;
        await new Promise((turn) => setTimeout(turn, 20));
      }
      throw new Error(`not within ${DEADLINE} ms: ${expression}`);
    };
    return { call, run, until, targetId };
  }
}

const sessions = join(mkdtempSync(join(tmpdir(), 'hermes-web-')), 'sessions.json');
let gateway = await Gateway.start('127.0.0.1:0', sessions);
await gateway.until('the gateway listens', (lines) => lines.length > 0);
const address = JSON.stringify(gateway.lines[0]).match(/127\.0\.0\.1:\d+/)[0];
const browser = new Browser();
try {
  const page = await browser.tab(`${site}?gateway=${encodeURIComponent(`ws://${address}/`)}`);
  const texts = (lines) => lines.map((line) => JSON.stringify(line).match(/chat-(\d+)-end/)?.[1]).filter(Boolean).map(Number);
  const connected = 'globalThis.wsClient?.connected && wsClient.session';

  await page.until(connected);
  await page.run(`wsClient.send({ type: 'chat', text: 'chat-0-end' })`);
  await gateway.until('chat', (lines) => texts(lines).includes(0));
  console.log('chat: it arrived');

  await gateway.stop();
  await page.until('!wsClient.connected');
  await page.run(`for (let n = 1; n <= 50; n++) wsClient.send({ type: 'chat', text: 'chat-' + n + '-end' })`);
  assert.equal(await page.run('wsClient.messageQueue.length'), 50);
  gateway = await Gateway.start(address, sessions);
  await gateway.until('50 messages', (lines) => texts(lines).includes(50));
  assert.deepEqual(texts(gateway.lines), Array.from({ length: 50 }, (_, n) => n + 1));
  console.log('gateway killed, 50 messages, started again: 50, once, in order');

  const before = await page.run(`JSON.parse(localStorage.getItem('hermes-session')).clientId`);
  await page.run('globalThis.wsClient = null; location.reload()');
  await page.until(connected);
  const after = await page.run(`JSON.parse(localStorage.getItem('hermes-session')).clientId`);
  assert.equal(after, before);
  console.log('reload: the session was resumed');

  const network = (offline) =>
    page.call('Network.emulateNetworkConditions', { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  await page.call('Network.enable');
  await network(true);
  await page.until('!navigator.onLine');
  await page.run(`wsClient.socket?.close()`);
  await page.until('!wsClient.connected');
  await page.run(`wsClient.send({ type: 'chat', text: 'chat-51-end' })`);
  await network(false);
  await gateway.until('offline and online', (lines) => texts(lines).includes(51));
  console.log('offline and online: what was typed arrived');

  const second = await browser.tab(`${site}?gateway=${encodeURIComponent(`ws://${address}/`)}`);
  await second.until(connected);
  await second.run(`wsClient.clearSession()`);
  await page.until('wsClient.session === null');
  await second.run(`wsClient.saveSession({ token: 'other', clientId: 'c' })`);
  await page.until(`wsClient.session?.token === 'other'`);
  console.log('two tabs: one session');

  await page.run(`wsClient.send({ type: 'chat', text: 'chat-52-end' })`);
  await gateway.until('a background tab', (lines) => texts(lines).includes(52));
  console.log('a background tab: it arrived');
  await browser.call('Target.activateTarget', { targetId: page.targetId });

  await page.run('wsClient.disconnect()');
  await page.until('!wsClient.connected');
  await page.run('wsClient.connect()');
  await page.until('wsClient.connected');
  console.log('disconnect, connect: connected');
  if (screenshot) {
    await page.run(`document.getElementById('text').value = 'hello'; document.getElementById('chat').requestSubmit()`);
    const { data } = await page.call('Page.captureScreenshot', { format: 'png' });
    writeFileSync(screenshot, Buffer.from(data, 'base64'));
  }
} finally {
  browser.process.kill();
  await new Promise((done) => (browser.process.exitCode ?? browser.process.signalCode) === null ? browser.process.on('exit', done) : done());
  gateway.process.kill('SIGKILL');
  files.close();
  rmSync(browser.profile, { recursive: true, force: true, maxRetries: 5 });
}
