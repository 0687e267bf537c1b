// The page's client on the reference implementation's data (vectors/).
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const vectors = process.env.LF_VECTORS ?? resolve(here, '../../vectors');
const bytes = text => Uint8Array.from(Buffer.from(text, 'hex'));
const hex = data => Buffer.from(data).toString('hex');
let directory;
let lf;

async function read(name) {
  // Numbers above 2⁵³ stay texts.
  const text = await readFile(join(vectors, `${name}.json`), 'utf8');
  return JSON.parse(name === 'records' ? text : text.replace(/([:[,]\s*)(-?\d{16,})(?=\s*[,\]}])/g, '$1"$2"'));
}

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lf-page-client-'));
  const entry = `export * from './src/client/index.ts'; export { Name, seeded } from './src/client/selector.ts';
    export { verify } from './src/client/owner.ts'; export { crc16 } from './src/client/record.ts';`;
  await build({ stdin: { contents: entry, resolveDir: resolve(here, '..') }, bundle: true, format: 'esm', target: 'es2022', outfile: join(directory, 'client.mjs'), logLevel: 'warning' });
  lf = await import(pathToFileURL(join(directory, 'client.mjs')).href);
});
after(() => rm(directory, { recursive: true }));

test('base62', async () => {
  let count = 0;
  for (const one of await read('base62')) {
    if (one.type !== 'encode') continue;
    assert.equal(lf.base62Encode(bytes(one.bytes)), one.text);
    assert.equal(hex(lf.base62Decode(one.text)), one.bytes);
    count++;
  }
  assert.ok(count > 20);
});

test('seeded randomness', async () => {
  for (const one of await read('seeded_prng')) {
    assert.equal(hex(lf.seeded(bytes(one.seed))(one.output.length / 2)), one.output);
  }
});

test('selector keys', async () => {
  for (const one of await read('selector_key')) {
    if (one.name === undefined) continue;
    const name = lf.Name.of(bytes(one.name));
    assert.equal(hex(name.hash), one.public_key_hash);
    assert.equal(hex(name.mask(BigInt(one.ordinal))), one.masked_ordinal);
    assert.equal(hex(name.key(BigInt(one.ordinal))), one.key);
    assert.equal(name.unmask(bytes(one.masked_ordinal)), BigInt(one.ordinal));
  }
});

test('ordinals', async () => {
  let count = 0;
  for (const one of await read('ordinal')) {
    if (one.type !== undefined || one.round_trip !== true) continue;
    assert.equal(hex(lf.Name.of(bytes(one.key)).mask(BigInt(one.value))), one.ordinal);
    count++;
  }
  assert.ok(count > 50, String(count));
});

test('owners', async () => {
  let count = 0;
  for (const one of await read('owner')) {
    if (one.type !== 'from_seed') continue;
    const owner = lf.Owner.import(one.private_pem);
    assert.equal(owner.public, one.string);
    assert.equal(hex(owner.privateHash()), one.private_hash);
    assert.equal(lf.Owner.import(bytes(one.private_bytes)).public, one.string);
    assert.equal(lf.Owner.import(owner.exportPem()).public, one.string);
    assert.equal(lf.Owner.import(JSON.stringify(owner.exportPem())).public, one.string);
    const digest = Uint8Array.from({ length: 48 }, (_, i) => i);
    const signature = owner.sign(digest);
    assert.ok(lf.verify(owner.bytes, digest, signature));
    digest[3] ^= 1;
    assert.ok(!lf.verify(owner.bytes, digest, signature));
    count++;
  }
  assert.ok(count > 2, String(count));
});

test('masked values', async () => {
  let count = 0;
  for (const one of await read('masking')) {
    if (one.type !== 'mask') continue;
    const owner = `@${lf.base62Encode(bytes(one.owner_public))}`;
    const record = lf.LfRecord.fromJson({ Owner: owner, Timestamp: one.timestamp, PulseToken: 0, Type: 0, WorkAlgorithm: 0, Value: `\b${lf.base62Encode(bytes(one.record_value))}` });
    assert.equal(hex(lf.unmask(record, bytes(one.effective_key))), one.plain_value, one.description);
    count++;
  }
  assert.ok(count > 10, String(count));
});

test('records', async () => {
  let count = 0;
  for (const one of await read('records')) {
    if (one.type !== 'record') continue;
    if (one.input.timestamp > Number.MAX_SAFE_INTEGER) {
      // Times that JavaScript cannot count to.
      assert.throws(() => lf.LfRecord.decode(bytes(one.record)), lf.LfError);
      continue;
    }
    const record = lf.LfRecord.decode(bytes(one.record));
    assert.equal(record.hash, one.hash_string, one.description);
    assert.deepEqual(record.keys().map(hex), one.selector_keys);
    await record.verify();
    const json = JSON.parse(one.json.replace(/"PulseToken":(\d{16,})/, '"PulseToken":"$1"'));
    assert.equal(lf.LfRecord.fromJson(json).hash, one.hash_string);
    for (let i = 0; i < one.record.length / 2; i += 7) {
      assert.throws(() => lf.LfRecord.decode(bytes(one.record).slice(0, i)), { name: /^Err/ }, `cut at ${i}`);
      const damaged = bytes(one.record);
      damaged[i] ^= 0x40;
      try {
        const other = lf.LfRecord.decode(damaged);
        assert.notEqual(other.hash, record.hash);
      } catch (error) {
        assert.match(error.name, /^Err/);
      }
    }
    count++;
  }
  assert.ok(count > 20, String(count));
});

test('pulses and the cost of work', async () => {
  for (const one of await read('th64')) {
    if (one.type !== 'th64') continue;
    assert.equal(lf.th64(BigInt(one.in), 1), BigInt(one.out));
  }
  let count = 0;
  for (const one of await read('work_cost')) {
    if (one.type !== 'cost') continue;
    assert.equal(lf.cost(one.bytes), one.cost, String(one.bytes));
    count++;
  }
  assert.ok(count > 50);
});

test('selectors as people write them', () => {
  const parse = text => {
    const { name, from, to } = lf.parseSelector(text);
    return [new TextDecoder().decode(name), from, to];
  };
  const most = 2n ** 64n - 1n;
  assert.deepEqual(parse('bad horse#2#10'), ['bad horse', 2n, 10n]);
  assert.deepEqual(parse('x'), ['x', 0n, 0n]);
  assert.deepEqual(parse('x#'), ['x', 0n, most]);
  assert.deepEqual(parse('x#7'), ['x', 7n, 7n]);
  assert.deepEqual(parse('\\#x\\u0041\\n'), ['#xA\n', 0n, 0n]);
  assert.deepEqual(parse('\\\\#1'), ['#1', 0n, 0n]);
  for (const wrong of ['x#a', 'x#1#', 'x#2#1', 'x#1#2#3', 'x#-1', `x#${most + 1n}`, 'x\\q', 'x\\']) {
    assert.throws(() => lf.parseSelector(wrong), lf.LfError, wrong);
  }
  for (const text of ['a', 'a#', 'a#3', 'a#3#9', 'a\\#b', 'tab\\t#1', 'back\\\\slash#2']) {
    assert.deepEqual(parse(lf.formatSelector(lf.parseSelector(text))), parse(text), text);
  }
});
