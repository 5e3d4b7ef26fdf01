// A gateway on Node's `ws`. What it does and reports is told in tests/src/interop.rs.
//
// node node_server.mjs '{"port":0,"authorization":null,"subprotocols":null,"tls":null,"deflate":null}'

import { randomUUID } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';

// An `import` would not look into NODE_PATH.
const require = createRequire(import.meta.url);
const { WebSocketServer } = require('ws');

const options = JSON.parse(process.argv[2]);
const sessions = new Map();
let connections = 0;
let chats = 0;

/** The parameters of permessage-deflate as `ws` names them. */
function deflate(parameters) {
  const camel = (name) => name.replace(/_./g, (pair) => pair[1].toUpperCase());
  const entries = Object.entries(parameters).map(([name, value]) => [camel(name), value]);
  return { threshold: 0, ...Object.fromEntries(entries) };
}

const report = (what) => console.log(JSON.stringify(what));

const below = options.tls ? https.createServer(options.tls) : http.createServer();
below.listen(options.port, '127.0.0.1', () => {
  report({ port: below.address().port, version: require('ws/package.json').version });
});

const server = new WebSocketServer({
  server: below,
  verifyClient({ req }, done) {
    const ok = !options.authorization || req.headers.authorization === options.authorization;
    if (!ok) report({ saw: 'reject', status: 401 });
    done(ok, 401, 'Who are you?\n');
  },
  perMessageDeflate: options.deflate ? deflate(options.deflate) : false,
  handleProtocols: (offered) => options.subprotocols?.find((name) => offered.has(name)) ?? false,
});

server.on('connection', (socket, request) => {
  const conn = ++connections;
  const { host, origin, authorization } = request.headers;
  const subprotocol = socket.protocol || null;
  report({ saw: 'open', conn, path: request.url, host, origin, authorization, subprotocol });

  const say = (message) => socket.send(JSON.stringify(message));
  let client;

  socket.on('ping', (data) => report({ saw: 'ping', conn, data: data.toString('hex') }));
  socket.on('pong', (data) => report({ saw: 'pong', conn, data: data.toString('hex') }));
  socket.on('close', (code, reason) => {
    report({ saw: 'close', conn, code, reason: reason.toString() });
  });
  // A 'close' follows.
  socket.on('error', () => {});
  socket.on('message', (data) => {
    const message = JSON.parse(data);
    if (message.type === 'do') return orders[message.what](socket, message, say);
    report({ saw: 'message', conn, message });
    const resumes = !client && message.type === 'session-resume';
    client ??= join(conn, say, resumes ? message.token : undefined);
    if (message.type === 'chat') say({ ...message, sender: client, n: ++chats });
  });
});

/** Resumes the session of `token`, or else begins one. */
function join(conn, say, token) {
  const resumed = sessions.has(token);
  if (!resumed) {
    token = randomUUID();
    sessions.set(token, `node-${conn}`);
  }
  say({ type: 'session-init', token, clientId: sessions.get(token), resumed });
  return sessions.get(token);
}

const orders = {
  close: (socket, { code, reason }) => socket.close(code, reason),
  abort: (socket, { reset }) => (reset ? socket._socket.resetAndDestroy() : socket.terminate()),
  ping: (socket, { data }) => socket.ping(data),
  traffic(socket) {
    const { bytesRead, bytesWritten } = socket._socket;
    report({ saw: 'traffic', received: bytesRead, sent: bytesWritten });
  },
  binary: (socket, { bytes }) => socket.send(Buffer.from(bytes)),
  large: (socket, { unit, times }, say) => say({ type: 'chat', text: unit.repeat(times) }),
  burst(socket, { count }, say) {
    for (let n = 1; n <= count; n++) say({ type: 'chat', n });
  },
  // Cuts a chat's bytes, not its letters.
  fragments(socket, { text, size, pings }) {
    const data = Buffer.from(JSON.stringify({ type: 'chat', text }));
    for (let start = 0; start < data.length; start += size) {
      socket.send(data.subarray(start, start + size), { binary: false, fin: false });
      if (pings) socket.ping(String(start));
    }
    socket.send('', { fin: true });
  },
};

// Leaves with its parent.
process.stdin.resume().on('end', () => process.exit());
