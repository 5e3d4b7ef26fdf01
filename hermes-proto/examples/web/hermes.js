// ws-client.js on the core in WebAssembly: the same module interface and events on `window`.
//
//   import { wsClient } from './hermes.js';   // hermes_web.wasm stands beside it
//   wsClient.url = 'ws://127.0.0.1:8080/'; wsClient.connect();
//
// Beside the reference's events: message-dropped { text } and messages-in-doubt { count }.

/** The gateway of a client without a URL. */
const HERMES_WS_URL = 'ws://143.198.27.163/api/world/ws';
const SESSION_STORAGE_KEY = 'hermes-session';
/** The longest wait of setTimeout; a timer that fires early does no harm. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;
/** How often the browser is asked what it has sent, in ms, while anything waits. */
const FLUSH_INTERVAL = 20;

const wasm = await WebAssembly.compile(
  await (await fetch(new URL('./hermes_web.wasm', import.meta.url))).arrayBuffer(),
);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One client of the core: an instance of the module. */
class Core {
  #exports = new WebAssembly.Instance(wasm, {}).exports;

  /** Calls an input with the time in front; `bytes` is its text. */
  input(name, bytes, ...numbers) {
    this.#write(bytes);
    this.#exports[name](performance.now(), ...numbers);
  }

  create(url, base, cap, attempts) {
    const seed = crypto.getRandomValues(new Uint8Array(32));
    const bytes = encoder.encode(url);
    const both = new Uint8Array(32 + bytes.length);
    both.set(seed);
    both.set(bytes, 32);
    this.#write(both);
    // The wall clock at the core's time 0.
    if (!this.#exports.create(performance.timeOrigin, base, cap, attempts)) throw new Error(this.#out().text());
  }

  /** The next action, or null. */
  next() {
    const kind = this.#exports.next();
    return kind === 0 ? null : { kind, ...this.#out() };
  }

  get deadline() {
    return this.#exports.deadline();
  }

  get outbox() {
    const messages = [];
    for (let index = 0; this.#exports.outbox(index); index++) messages.push(this.#out().text());
    return messages;
  }

  #write(bytes = new Uint8Array()) {
    const at = this.#exports.buffer(bytes.length);
    new Uint8Array(this.#exports.memory.buffer, at, bytes.length).set(bytes);
  }

  #out() {
    const memory = this.#exports.memory.buffer;
    const [conn, number, at, length, name, nameLength] = new Uint32Array(memory, this.#exports.out(), 6);
    const bytes = new Uint8Array(memory, at, length).slice();
    return {
      conn,
      number,
      bytes,
      text: () => decoder.decode(bytes),
      name: decoder.decode(new Uint8Array(memory, name, nameLength)),
    };
  }
}

export class WebSocketClient {
  /** The client of these settings; made at the first command, and again if they change at rest. */
  #core = null;
  #settings = '';
  #isDispatching = false;
  #conn = 0;
  /** What was sent and may wait in the browser: [seq, bytes sent up to it]. */
  #unflushed = [];
  #sentBytes = 0;
  #flushTimer = null;

  constructor(url = HERMES_WS_URL) {
    this.url = url;
    this.reconnectAttempts = 0;
    this.maxReconnectAttempts = 10;
    this.reconnectBaseDelay = 1000;
    this.maxReconnectDelay = 30000;
    this.socket = null;
    this.connected = false;
    this.reconnectTimeout = null;
    this.session = null;
    const hint = (online) => this.#core && this.#input('network', undefined, online ? 1 : 0);
    window.addEventListener('online', () => hint(true));
    window.addEventListener('offline', () => hint(false));
    // A tab that was throttled has late timers: do what is due, and do not wait for a retry.
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') hint(navigator.onLine);
    });
    // Another tab saved or cleared the session. A message from there is no reason to save it again.
    window.addEventListener('storage', (event) => {
      if (this.#core && (event.key === SESSION_STORAGE_KEY || event.key === null)) this.#adopt();
    });
  }

  /** Messages that were not sent. */
  get messageQueue() {
    return (this.#core?.outbox ?? []).map((text) => JSON.parse(text));
  }

  saveSession(data) {
    try {
      localStorage.setItem(SESSION_STORAGE_KEY, JSON.stringify({ ...data, savedAt: Date.now() }));
      this.session = data;
      console.log('[hermes] Session saved');
    } catch (err) {
      console.warn('[hermes] Could not save session:', err);
    }
    if (this.#core) this.#adopt();
  }

  loadSession() {
    try {
      const raw = localStorage.getItem(SESSION_STORAGE_KEY);
      if (!raw) return null;
      const data = JSON.parse(raw);
      this.session = data;
      console.log('[hermes] Session loaded (savedAt:', new Date(data.savedAt).toISOString(), ')');
      return data;
    } catch (err) {
      console.warn('[hermes] Could not load session:', err);
      return null;
    }
  }

  clearSession() {
    this.#removeSession();
    if (this.#core) this.#input('clear_session');
  }

  connect() {
    try {
      this.#begin();
    } catch (err) {
      console.error('[hermes] Settings refused:', err);
      window.dispatchEvent(new CustomEvent('ws-failed'));
      return;
    }
    this.#input('connect');
  }

  send(message) {
    this.#begin();
    this.#input('send', encoder.encode(JSON.stringify(message)));
  }

  disconnect() {
    if (this.#core) this.#input('disconnect');
  }

  /** Makes the core, or another one if a setting was changed while the client is at rest. */
  #begin() {
    const settings = [this.url, this.reconnectBaseDelay, this.maxReconnectDelay, this.maxReconnectAttempts];
    const isAtRest = !this.#conn && this.reconnectTimeout === null;
    const isNew = this.#settings !== JSON.stringify(settings);
    if (this.#core && !(isNew && isAtRest)) return;
    const waiting = this.#core?.outbox ?? [];
    const core = new Core();
    core.create(...settings);
    [this.#core, this.#settings] = [core, JSON.stringify(settings)];
    this.#adopt();
    if (!navigator.onLine) this.#input('network', undefined, 0);
    for (const text of waiting) this.#input('send', encoder.encode(text));
  }

  /** The core's session is the stored one. */
  #adopt() {
    const { token, clientId, savedAt, origin } = this.loadSession() ?? {};
    if (typeof token !== 'string' || token === '') {
      // What is stored without a token is the application's: the core removes only its own session.
      const { session } = this;
      const stored = this.#stored();
      this.#input('clear_session');
      if (stored !== null) {
        localStorage.setItem(SESSION_STORAGE_KEY, stored);
        this.session = session;
      }
      return;
    }
    const text = (value) => encoder.encode(typeof value === 'string' ? value : '');
    const parts = [text(token), text(clientId), text(origin)];
    const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    parts.reduce((at, part) => (bytes.set(part, at), at + part.length), 0);
    this.#input('session', bytes, Number(savedAt) || 0, parts[0].length, parts[1].length);
  }

  #stored() {
    try {
      return localStorage.getItem(SESSION_STORAGE_KEY);
    } catch {
      return null;
    }
  }

  #removeSession() {
    try {
      localStorage.removeItem(SESSION_STORAGE_KEY);
      this.session = null;
      console.log('[hermes] Session cleared');
    } catch (err) {
      console.warn('[hermes] Could not clear session:', err);
    }
  }

  #input(name, bytes, ...numbers) {
    this.#core.input(name, bytes, ...numbers);
    this.#perform();
  }

  /** Performs all actions, in order. What a listener causes comes behind them. */
  #perform() {
    if (this.#isDispatching) return;
    this.#isDispatching = true;
    try {
      for (let action; (action = this.#core.next()); ) this.#act(action);
    } finally {
      this.#isDispatching = false;
    }
    this.#arm();
  }

  #act({ kind, conn, number, bytes, text, name }) {
    if (kind === 1) this.#open(conn, text());
    else if (kind === 2 || kind === 3) this.#write(conn, number, kind === 2 ? text() : bytes);
    else if (kind === 4) this.#emit(name, number, text());
    else if (kind === 5) {
      const all = text();
      const start = all.indexOf('\n') + 1;
      const [token, clientId] = all.slice(0, start).split(' ').map(Number);
      const cut = [start, start + token, start + token + clientId, undefined];
      const [first, second, origin] = cut.slice(0, 3).map((at, index) => all.slice(at, cut[index + 1]));
      this.session = { token: first, clientId: second || undefined, origin };
      try {
        localStorage.setItem(SESSION_STORAGE_KEY, JSON.stringify({ ...this.session, savedAt: Date.now() }));
        console.log('[hermes] Session saved');
      } catch (err) {
        console.warn('[hermes] Could not save session:', err);
      }
    } else if (kind === 6) this.#removeSession();
    else if (kind === 7) this.#close(number);
  }

  #open(conn, url) {
    [this.#conn, this.#unflushed, this.#sentBytes] = [conn, [], 0];
    let socket;
    try {
      socket = new WebSocket(url);
    } catch (err) {
      console.error('[hermes] WebSocket construction failed:', err);
      return queueMicrotask(() => this.#input('closed', encoder.encode(String(err)), conn, 0));
    }
    this.socket = socket;
    socket.binaryType = 'arraybuffer';
    let wasOpen = false;
    socket.onopen = () => {
      wasOpen = true;
      this.#input('opened', undefined, conn);
    };
    socket.onmessage = ({ data }) => {
      this.#flush();
      const isText = typeof data === 'string';
      this.#input('received', isText ? encoder.encode(data) : new Uint8Array(data), conn, isText ? 1 : 0);
    };
    socket.onclose = ({ code, reason }) => {
      this.#flush();
      const text = wasOpen ? reason : 'no connection';
      this.#input('closed', encoder.encode(text), conn, wasOpen ? code : 0);
    };
  }

  #write(conn, seq, data) {
    if (conn !== this.#conn || this.socket?.readyState !== WebSocket.OPEN) return;
    this.socket.send(data);
    this.#sentBytes += typeof data === 'string' ? encoder.encode(data).length : data.length;
    this.#unflushed.push([seq, this.#sentBytes]);
    this.#flushTimer ??= setTimeout(() => this.#flush(), FLUSH_INTERVAL);
  }

  /** Tells the core what the browser has handed to the system. */
  #flush() {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = null;
    if (!this.#unflushed.length || !this.socket) return;
    const taken = this.#sentBytes - this.socket.bufferedAmount;
    let upTo = 0;
    while (this.#unflushed.length && this.#unflushed[0][1] <= taken) [upTo] = this.#unflushed.shift();
    if (this.#unflushed.length) this.#flushTimer = setTimeout(() => this.#flush(), FLUSH_INTERVAL);
    if (upTo) this.#input('flushed', undefined, this.#conn, upTo);
  }

  /** `code` 0: at once, and nothing more is heard of it. */
  #close(code) {
    const socket = this.socket;
    if (!socket) return;
    if (code === 0) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      this.socket = null;
    }
    // A page may send 1000 and 3000 to 4999.
    if (code === 1000 || code >= 3000) socket.close(code);
    else socket.close();
  }

  #emit(name, number, text) {
    const dispatch = (detail) => window.dispatchEvent(new CustomEvent(name, { detail }));
    switch (name) {
      case 'ws-connected':
        this.connected = true;
        this.reconnectAttempts = 0;
        console.log('[hermes] Connected to Hermes gateway');
        return dispatch({ url: this.url });
      case 'ws-disconnected':
        this.connected = false;
        [this.socket, this.#conn] = [null, 0];
        console.warn(`[hermes] Connection closed (code=${number})`);
        return dispatch({ code: number });
      case 'ws-failed':
        console.warn('[hermes] Max reconnection attempts reached — giving up');
        return dispatch(null);
      case 'unhandled':
        return console.debug('[hermes] Unhandled message type:', JSON.parse(text));
      case 'malformed':
        return console.warn('[hermes] Unparseable message:', text);
      case 'warning':
        return console.warn('[hermes]', text);
      case 'message-dropped':
        return dispatch({ text });
      case 'messages-in-doubt':
        return dispatch({ count: number });
      default:
        return text ? dispatch(JSON.parse(text)) : undefined;
    }
  }

  /** The timer is read from the core after each turn. */
  #arm() {
    clearTimeout(this.reconnectTimeout);
    this.reconnectTimeout = null;
    const due = this.#core.deadline;
    if (due < 0) return;
    const wait = Math.min(Math.max(due - performance.now(), 0) + 1, LONGEST_TIMEOUT);
    this.reconnectTimeout = setTimeout(() => this.#input('timer'), wait);
  }
}

/** The page's client. */
export const wsClient = new WebSocketClient();
