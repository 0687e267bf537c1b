// The client with nodes that lie, refuse, break and vanish, and what it tells them.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { base62Encode, hex, toBytes } from '../src/bytes.js';
import { Client, LfRecord, Owner, parseSelector, blobBytes, workCost, type Found } from '../src/index.js';
import { compress, readConfig, readToken } from '../src/node.js';
import { events } from '../src/watch.js';
import type { WorkerLike } from '../src/workers.js';
import { TestNode, withNode } from './node.js';

const URL1 = 'http://one.example:9980';
const URL2 = 'http://two.example:9980';

interface Asked {
  url: string;
  headers: Record<string, string>;
  body: string;
}

/** A fetch that answers what it is told to, and keeps what was asked. */
function fake(answer: (asked: Asked) => Response | Promise<Response> | Error): { fetch: typeof fetch; asked: Asked[] } {
  const asked: Asked[] = [];
  const answering = async (url: unknown, init: RequestInit = {}) => {
    const body = typeof init.body === 'string' ? init.body : init.body ? hex(init.body as Uint8Array) : '';
    const one = { url: String(url), headers: init.headers as Record<string, string>, body };
    asked.push(one);
    const answered = await answer(one);
    if (answered instanceof Error) throw new TypeError('fetch failed', { cause: answered });
    return answered;
  };
  return { fetch: answering as typeof fetch, asked };
}

function json(value: unknown, status = 200): Response {
  return new Response(JSON.stringify(value), { status });
}

const owner = Owner.fromSeed(toBytes('client'), 'ed25519');

function record(timestamp = 1000, by = owner): LfRecord {
  const selectors = [
    { name: toBytes('name'), ordinal: 5n },
    { name: toBytes('tag'), ordinal: 1n },
  ];
  return LfRecord.build({ owner: by, timestamp, value: toBytes('value'), selectors, pulseToken: 2n ** 63n + 1n }).sign(by);
}

/** As a node writes it: pulse tokens are numbers there. */
function result(of = record(), changes: Record<string, unknown> = {}): string {
  const made = { Hash: of.hash, Size: 100, Record: of.toJson(), Trust: 1, LocalTrust: 1, OracleTrust: 1, Weight: [0, 1, 0, 7], Signed: true, Pulse: 1060, ...changes };
  return JSON.stringify(made).replace(/"PulseToken":"(\d+)"/, '"PulseToken":$1');
}

function answering(...results: string[]): Client {
  return new Client(URL1, { fetch: fake(() => new Response(`[[${results.join()}],[]]`)).fetch });
}

const selectors = (...texts: string[]) => texts.map(parseSelector);

test('good answers are unmasked', async () => {
  const [[found], ...others] = (await answering(result()).query(selectors('name#', 'tag#1'))) as [Found[]];
  assert.deepEqual(others, []);
  assert.equal(new TextDecoder().decode(found?.value), 'value');
  assert.deepEqual(found?.names.map(({ name, ordinal }) => [name, ordinal]), [['name', 5n], ['tag', 1n]]);
  assert.match(found?.names[0]?.key as string, /^\?[0-9A-Za-z]+$/);
  assert.equal(found?.weight, (1n << 64n) + 7n);
  assert.equal(found?.record.PulseToken, String(2n ** 63n + 1n));
  assert.deepEqual([found?.signed, found?.pulse, found?.size, found?.trust], [true, 1060, 100, 1]);
  const [[open]] = (await answering(result()).query(selectors('name#'), { open: true })) as [[Found]];
  assert.deepEqual(open.names.map(({ ordinal }) => ordinal), [5n, undefined]);
  const [[masked]] = (await answering(result()).query(selectors('name#', 'tag#'), { maskingKey: toBytes('another') })) as [[Found]];
  assert.equal('value' in masked, false);
});

test('answers to other questions are refused', async () => {
  const wrong = async (client: Client, texts: string[], options: Parameters<Client['query']>[1], message: RegExp) =>
    assert.rejects(client.query(selectors(...texts), options), { name: 'ErrWrongAnswer', message }, `${texts.join()} ${String(message)}`);
  const good = ['name#5', 'tag#1'];
  await answering(result()).query(selectors(...good));
  for (const other of [['name#5'], ['name#6', 'tag#1'], ['name#6#9', 'tag#1'], ['other#5', 'tag#1'], ['tag#1', 'name#5']]) await wrong(answering(result()), other, {}, /selectors asked for/);
  await wrong(answering(result()), ['name#5', 'tag#1', 'more'], { open: true }, /selectors asked for/);
  await wrong(answering(result()), good, { before: 999 }, /of a time/);
  await wrong(answering(result()), good, { after: 1001 }, /of a time/);
  await wrong(answering(result()), good, { owners: [Owner.generate().public] }, /of an owner/);
  const of = record();
  await wrong(answering(result(of, { Hash: record(1001).hash })), good, {}, /is really/);
  const forged = { ...of.toJson(), Timestamp: 1001 };
  await wrong(answering(result(of, { Record: forged, Hash: LfRecord.fromJson(forged).hash })), good, {}, /not signed/);
  for (const missing of [{ Weight: [1, 2, 3] }, { Weight: [1, 2, 3, -1] }, { Weight: null }, { Trust: '1' }, { Hash: 7 }, { Record: null }, { Record: [] }]) {
    await wrong(answering(result(of, missing)), good, {}, /gave a wrong answer/);
  }
  for (const body of ['', '{', '{}', '7', '[7]', '[[7]]', '[[null]]', '"x"']) {
    await wrong(new Client(URL1, { fetch: fake(() => new Response(body)).fetch }), good, {}, /gave a wrong answer/);
  }
  const other = new Client(URL1, { fetch: fake(() => new Response(of.encode() as BodyInit)).fetch });
  assert.equal((await other.record(of.hash)).hash, of.hash);
  await assert.rejects(other.record(record(7).hash), { name: 'ErrWrongAnswer' });
  await assert.rejects(other.links(), { name: 'ErrWrongAnswer' });
  await assert.rejects(other.status(), { name: 'ErrWrongAnswer' });
});

test('the next node is asked when one does not answer, and the token is for the first', async () => {
  const { fetch, asked } = fake(({ url }) => (url.startsWith(URL1) ? new Error('connect ECONNREFUSED') : json([])));
  const client = new Client([URL1, `${URL2}/lf/`], { token: 'secret', fetch });
  assert.deepEqual(await client.query(selectors('x')), []);
  assert.deepEqual(await client.query(selectors('x')), []);
  // Who answered last is asked first.
  assert.deepEqual(asked.map(({ url }) => url), [`${URL1}/query`, `${URL2}/lf/query`, `${URL2}/lf/query`]);
  assert.deepEqual(asked.map(({ headers }) => headers.Authorization), ['Bearer secret', undefined, undefined]);
  const none = new Client([URL1, URL2], { fetch: fake(() => new Error('connect ECONNREFUSED')).fetch });
  await assert.rejects(none.status(), { name: 'ErrUnreachable', message: `cannot reach ${URL2}: connect ECONNREFUSED`, status: 0 });
  const busy = fake(({ url }) => (url.startsWith(URL1) ? json({ Code: 503, Message: 'too much to do' }, 503) : json([])));
  assert.deepEqual(await new Client([URL1, URL2], { fetch: busy.fetch }).query(selectors('x')), []);
  // What one refuses the next one is not asked.
  const refusing = fake(() => json({ Code: 404, Message: 'no such record', ErrTypeName: 'ErrRecordNotFound' }, 404));
  await assert.rejects(new Client([URL1, URL2], { fetch: refusing.fetch }).record(record().hash), { name: 'ErrRecordNotFound', status: 404, message: /one\.example.*no such record/ });
  assert.equal(refusing.asked.length, 1);
  const strange = fake(() => new Response('<html>', { status: 418 }));
  await assert.rejects(new Client(URL1, { fetch: strange.fetch }).status(), { name: 'ErrHttp418', status: 418 });
  for (const url of ['', 'x', '127.0.0.1:9980', 'ftp://x', 'http://u:p@x', 'http://x/?q']) assert.throws(() => new Client(url), { name: 'ErrInvalidParameter' });
  assert.throws(() => new Client([]), { name: 'ErrInvalidParameter' });
});

test('a node that is silent is given up, and callers can stop', async () => {
  const silent = (_: unknown, init?: RequestInit) =>
    new Promise<Response>((_, reject) => {
      init?.signal?.addEventListener('abort', () => reject(init.signal?.reason as Error));
    });
  await assert.rejects(new Client(URL1, { fetch: silent as typeof fetch, timeoutMs: 20 }).status(), { name: 'ErrUnreachable', message: /no answer within 20 ms/ });
  const stop = new AbortController();
  const asking = new Client([URL1, URL2], { fetch: silent as typeof fetch }).query(selectors('x'), { signal: stop.signal });
  stop.abort();
  await assert.rejects(asking, { name: 'AbortError' });
  // A body that never ends is given up as well.
  const dripping = fake(() => new Response(new ReadableStream({ pull: () => new Promise(() => undefined) })));
  const ignoring = async (url: unknown, init: RequestInit = {}) => {
    const response = await dripping.fetch(String(url), init);
    const body = new ReadableStream({ start: controller => init.signal?.addEventListener('abort', () => controller.error(init.signal?.reason)) });
    return new Response(body, { status: response.status });
  };
  await assert.rejects(new Client(URL1, { fetch: ignoring as typeof fetch, timeoutMs: 20 }).status(), { name: 'ErrUnreachable' });
});

test('parameters are checked before anything is sent', async () => {
  const { fetch, asked } = fake(() => json([]));
  const client = new Client(URL1, { fetch });
  const wrong = { name: 'ErrInvalidParameter' };
  await assert.rejects(client.query([]), wrong);
  await assert.rejects(client.query(Array.from({ length: 16 }, () => parseSelector('x'))), wrong);
  await assert.rejects(client.query(selectors('x'), { limit: -1 }), wrong);
  await assert.rejects(client.query(selectors('x'), { owners: ['@x'] }), { name: 'ErrInvalidPublicKey' });
  await assert.rejects(client.set(selectors('x#'), toBytes(''), { owner }), wrong);
  await assert.rejects(client.set([], toBytes(''), { owner }), wrong);
  await assert.rejects(client.links(0), wrong);
  await assert.rejects(client.record('=0'), wrong);
  await assert.rejects(client.record('../status'), wrong);
  await assert.rejects(client.owner('@../status'), { name: 'ErrInvalidObject' });
  assert.throws(() => client.watch([]), wrong);
  assert.deepEqual(asked, []);
});

/** A stream of server-sent events, cut into pieces of so many bytes. */
function stream(text: string, size = 7): Response {
  const bytes = toBytes(text);
  return new Response(
    new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
        controller.close();
      },
    }),
  );
}

test('a watch comes again and goes on where it was', async () => {
  const event = (id: number, of: LfRecord) => `id: ${id}\nevent: record\ndata: ${result(of)}\n\n`;
  const answers = [
    stream('retry: 2000\n: watching from 4\n\n'),
    stream(`: watching from 4\n\n${event(4, record(1))}: still here\n\n${event(6, record(2))}id: 9\nevent: rec`),
    stream(`${event(8, record(3))}${event(9, record(4, Owner.generate()))}`.replaceAll('\n', '\r\n')),
    new Response('', { status: 500 }),
    stream(event(11, record(5))),
  ];
  const { fetch, asked } = fake(({ url }) => (url.startsWith(URL2) ? new Error('gone') : (answers.shift() ?? json({ Message: 'over', ErrTypeName: 'ErrInvalidParameter' }, 400))));
  const client = new Client([URL1, URL2], { fetch });
  const seen: [number | undefined, string | number][] = [];
  const watching = (async () => {
    for await (const found of client.watch(selectors('name#', 'tag#'), { owners: [owner.public], retryMs: 0 })) seen.push([found.index, found.record.Timestamp]);
  })();
  await assert.rejects(watching, { name: 'ErrInvalidParameter' });
  assert.deepEqual(seen, [[4, 1], [6, 2], [8, 3], [11, 5]]);
  const places = asked.filter(({ url }) => url.startsWith(URL1)).map(({ url, headers }) => [url.slice(URL1.length), headers['Last-Event-ID']]);
  assert.deepEqual(places, [['/v1/watch', undefined], ['/v1/watch?from=4', undefined], ['/v1/watch', '6'], ['/v1/watch', '9'], ['/v1/watch', '9'], ['/v1/watch', '11']]);
});

test('a watch begins at once, can be left and stopped, and does not believe lies', async () => {
  const endless = () => {
    let cancelled = () => {};
    const over = new Promise<void>(resolve => (cancelled = resolve));
    const body = new ReadableStream({ start: controller => controller.enqueue(toBytes(`id: 1\ndata: ${result()}\n\n`)), cancel: cancelled });
    return { response: new Response(body), over };
  };
  const left = endless();
  const { fetch, asked } = fake(() => left.response);
  const watch = new Client(URL1, { fetch }).watch(selectors('name#', 'tag#'), { from: 3 });
  assert.deepEqual(asked.map(({ url }) => url), [`${URL1}/v1/watch?from=3`]);
  for await (const found of watch) {
    assert.equal(found.index, 1);
    break;
  }
  await left.over;
  const stop = new AbortController();
  const stopped = new Client(URL1, { fetch: fake(() => endless().response).fetch }).watch(selectors('name#', 'tag#'), { signal: stop.signal });
  await stopped.next();
  const next = stopped.next();
  stop.abort();
  await assert.rejects(next, { name: 'AbortError' });
  const lying = new Client(URL1, { fetch: fake(() => stream(`id: 1\nevent: record\ndata: ${result()}\n\n`)).fetch }).watch(selectors('other#', 'tag#'));
  await assert.rejects(lying.next(), { name: 'ErrWrongAnswer' });
  const long = new ReadableStream<Uint8Array>({ pull: controller => controller.enqueue(new Uint8Array(1 << 20).fill(120)) });
  await assert.rejects(events(long).next(), { name: 'ErrWrongAnswer', message: /longer than/ });
});

/** A node that wants work, or certificates. */
function working(parameters: object = {}, work: Response = json({ Work: `\b${base62Encode(new Uint8Array(14).fill(200))}` })) {
  return fake(({ url }) => {
    const path = url.slice(URL1.length);
    if (path === '/status') {
      const limits = { AuthRequired: false, RecordMinLinks: 0, RecordMaxValueSize: 1024, RecordMaxTimeDrift: 60, WorkFactor: 3 };
      return json({ Clock: 5000, LocalTestMode: false, GenesisParameters: { ...limits, ...parameters } });
    }
    if (path.startsWith('/owner/')) return json({ Owner: path.slice(7), ServerTime: 5000, HasCurrentCertificate: false, NewRecordLinks: null });
    if (path === '/query') return json([]);
    if (path === '/v1/work') return work;
    return json({});
  });
}

test('work is done by who is asked to', async () => {
  const posted = (asked: Asked[]) => LfRecord.decode(Uint8Array.from(Buffer.from(asked.find(({ url }) => url.endsWith('/post'))?.body as string, 'hex')));
  const byNode = working();
  const written = await new Client(URL1, { fetch: byNode.fetch }).set(selectors('x'), toBytes('v'), { owner });
  const made = posted(byNode.asked);
  assert.deepEqual(written, { kind: 'new', hash: made.hash });
  await made.verify();
  assert.equal(made.work.length, 14);
  const asked = JSON.parse(byNode.asked.find(({ url }) => url.endsWith('/v1/work'))?.body as string) as { WorkHash: string; Difficulty: number };
  assert.deepEqual(Object.keys(asked), ['WorkHash', 'Difficulty']);
  assert.deepEqual(blobBytes(asked.WorkHash), made.workHash);
  assert.equal(asked.Difficulty, 3 * workCost(made.billableBytes));

  const byWorker = working();
  const worker = (): WorkerLike => {
    let hear: (given: unknown) => void = () => {};
    return {
      on: (kind: string, listener: (given: unknown) => void) => (kind === 'message' ? (hear = listener) : undefined),
      postMessage: () => queueMicrotask(() => hear({ work: new Uint8Array(14).fill(9) })),
      terminate: () => undefined,
    };
  };
  await new Client(URL1, { fetch: byWorker.fetch }).set(selectors('x'), toBytes('v'), { owner, work: worker });
  assert.equal(hex(posted(byWorker.asked).work), '09'.repeat(14));

  const set = (node: { fetch: typeof fetch }, value: string, work: 'none' | 'node') => new Client(URL1, { fetch: node.fetch }).set(selectors('x'), toBytes(value), { owner, work });
  await assert.rejects(set(working(), 'v', 'none'), { name: 'ErrRecordInsufficientWork' });
  await assert.rejects(set(working({ AuthRequired: true }), 'v', 'node'), { name: 'ErrRecordCertificateRequired' });
  await assert.rejects(set(working({ RecordMaxValueSize: 3 }), 'four', 'node'), { name: 'ErrRecordValueTooLarge' });
  await assert.rejects(set(working({}, json({ Work: 'short' })), 'v', 'node'), { name: 'ErrWrongAnswer' });
  await assert.rejects(set(working({}, json({ Message: 'not trusted' }, 403)), 'v', 'node'), { status: 403 });
  // What cannot be squeezed enough is too large, what can is not.
  const squeezed = working({ RecordMaxValueSize: 100 });
  await new Client(URL1, { fetch: squeezed.fetch }).set(selectors('x'), toBytes('long '.repeat(100)), { owner, compress });
  assert.equal(new TextDecoder().decode(posted(squeezed.asked).value(toBytes('x'))), 'long '.repeat(100));
});

test('names, masking keys and private keys never leave', withNode, async () => {
  const node = await TestNode.start();
  try {
    const sent: string[] = [];
    const spying = (url: unknown, init?: RequestInit) => {
      const body = init?.body;
      sent.push(`${String(url)} ${JSON.stringify(init?.headers)} `, typeof body === 'string' ? body : body ? new TextDecoder('latin1').decode(body as Uint8Array) : '');
      return fetch(String(url), init);
    };
    const client = new Client(node.url, { fetch: spying as typeof fetch });
    const secret = Owner.generate('p384');
    const asked = selectors('Rumpelstilzchen#3', 'another secret name');
    const options = { owner: secret, maskingKey: toBytes('the masking key') };
    await client.set(asked, toBytes('the plain value'), options);
    await client.set(asked, toBytes('the plain value'), { ...options, pulse: true });
    await client.pulse(asked, options);
    assert.equal((await client.query(asked, options)).length, 1);
    assert.equal((await client.explain(asked, options)).length, 1);
    for await (const { hash } of client.watch(asked, { ...options, from: 0 })) {
      assert.equal((await client.recordJson(hash)).Owner, secret.public);
      break;
    }
    const all = sent.join('\n');
    assert.ok(sent.length > 15 && all.includes('KeyRange'));
    const keys = [hex(secret.privateBytes()), base62Encode(secret.privateBytes()), secret.exportPem().split('\n')[4] as string, new TextDecoder('latin1').decode(secret.privateBytes().slice(9, 57))];
    for (const kept of ['Rumpelstilzchen', 'another secret', 'the masking', 'the plain', ...keys]) assert.ok(!all.includes(kept), kept);
  } finally {
    await node.remove();
  }
});

test('a watch outlives its node', withNode, async () => {
  const node = await TestNode.start();
  const stop = new AbortController();
  let again: TestNode | undefined;
  try {
    const client = new Client(node.url);
    const watch = client.watch(selectors('n#'), { signal: stop.signal, from: 0, retryMs: 50 });
    await client.set(selectors('n#1'), toBytes('before'), { owner });
    const first = await watch.next();
    assert.equal(new TextDecoder().decode((first.value as Found).value), 'before');
    await node.stop();
    again = await TestNode.start(node.url.slice('http://'.length), node.path);
    await client.set(selectors('n#2'), toBytes('after'), { owner });
    const second = await watch.next();
    assert.equal(new TextDecoder().decode((second.value as Found).value), 'after');
    await client.connect({ IP: '127.0.0.1', Port: 1 });
    assert.ok((await client.links()).every(link => link.startsWith('=')));
    assert.equal((await client.owner(owner.public)).RecordCount, 2);
    const next = watch.next();
    stop.abort();
    await assert.rejects(next, { name: 'AbortError' });
  } finally {
    stop.abort();
    await again?.remove();
    await node.remove();
  }
});

test('what the lf program keeps can be used', withNode, async () => {
  const node = await TestNode.start();
  try {
    await node.lf(['owner', 'new', 'bob', 'p384']);
    await node.lf(['owner', 'new', 'alice']);
    await node.lf(['owner', 'default', 'alice']);
    const file = join(node.clientPath, 'client.json');
    const { owners, owner: chosen } = await readConfig(file);
    assert.deepEqual([...owners.keys()].sort(), ['alice', 'bob']);
    assert.equal(chosen?.public, owners.get('alice')?.public);
    const listed = (await node.lf(['owner', 'list'])).toString();
    for (const one of owners.values()) assert.ok(listed.includes(one.public), listed);
    const [bob] = [owners.get('bob') as Owner];
    assert.equal(Owner.import((await node.lf(['owner', 'exportstring', 'bob'])).toString()).public, bob.public);
    const client = new Client(node.url, { token: await readToken(join(node.path, 'localtest')) });
    await client.set(selectors('mine'), toBytes('of bob'), { owner: bob });
    assert.equal((await node.lf(['get', '--raw', 'mine'])).toString(), 'of bob');
  } finally {
    await node.remove();
  }
});

test('a broken client.json is an error that quotes nothing', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'lf-js-config-'));
  const file = join(directory, 'client.json');
  try {
    await assert.rejects(readConfig(file), { name: 'ErrIO', message: /client\.json cannot be read \(ENOENT\)/ });
    await assert.rejects(readToken(directory), { name: 'ErrIO', message: /authtoken\.secret/ });
    for (const text of ['{"Owners":{"a":{"Private":"hunter2', '{"Owners":{"a":{"Private":"hunter2"}}}', '[]', '{"Owners":{"hunter":7}}']) {
      await writeFile(file, text);
      await assert.rejects(readConfig(file), (error: Error) => error.name === 'ErrIO' && !error.message.includes('hunter2'), text);
    }
    await writeFile(file, '');
    assert.deepEqual(await readConfig(file), { urls: [], oracles: [], owners: new Map(), owner: undefined });
    assert.equal(await readFile(file, 'utf8'), '');
  } finally {
    await rm(directory, { recursive: true });
  }
});
