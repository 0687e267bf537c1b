// Selectors as people write them (API.md §2), and what decoders make of garbage: a value or a typed error, never anything
// else. The garbage comes from a generator with a seed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { base62Decode, base62Encode, blobBytes, blobText, compare, concat, equal, readJson, toBytes } from '../src/bytes.js';
import { decodeComments, encodeComment } from '../src/comment.js';
import { Genesis, parseParameters } from '../src/genesis.js';
import { formatSelector, LfError, LfRecord, Name, ORDINAL_MAX, OrdinalMask, Owner, parseSelector, Pulse, seeded, selectorKeyRange, unmaskValue, verifyOwner, maskValue } from '../src/index.js';
import { Claim } from '../src/selector.js';

function parsed(text: string): [string, bigint, bigint] {
  const { name, from, to } = parseSelector(text);
  return [new TextDecoder().decode(name), from, to];
}

test('the forms of a selector', () => {
  assert.deepEqual(parsed('horse'), ['horse', 0n, 0n]);
  assert.deepEqual(parsed('horse#7'), ['horse', 7n, 7n]);
  assert.deepEqual(parsed('bad horse#2#10'), ['bad horse', 2n, 10n]);
  assert.deepEqual(parsed('horse#'), ['horse', 0n, ORDINAL_MAX]);
  assert.deepEqual(parsed('#3'), ['', 3n, 3n]);
  assert.deepEqual(parsed(''), ['', 0n, 0n]);
  assert.deepEqual(parsed('x#18446744073709551615'), ['x', ORDINAL_MAX, ORDINAL_MAX]);
  assert.deepEqual(parsed('x#007'), ['x', 7n, 7n]);
});

test('escapes in a selector', () => {
  assert.equal(parsed('tab\\there\\u00e9')[0], 'tab\there\u00e9');
  assert.deepEqual(parsed('\\ud83d\\ude00#1'), ['\u{1f600}', 1n, 1n]);
  // The reference's way and the shorter one.
  assert.deepEqual(parsed('a\\\\#b#3'), ['a#b', 3n, 3n]);
  assert.deepEqual(parsed('a\\#b#3'), ['a#b', 3n, 3n]);
  assert.equal(parsed('say "hi"')[0], 'say "hi"');
  assert.equal(parsed('C:\\\\dir')[0], 'C:\\dir');
});

test('what is no selector', () => {
  const wrong: [string, RegExp][] = [
    ['bad\\q', /is no escape of a JSON string/],
    ['nan#abc', /"abc" is not a number/],
    ['x#18446744073709551616', /not a number/],
    ['x#+1', /not a number/],
    ['x#-1', /not a number/],
    ['x# 1', /not a number/],
    ['x#1#', /not a number/],
    ['x##1', /not a number/],
    ['x#1#2#3', /more than two/],
    ['x#2#1', /before it begins/],
  ];
  for (const [text, message] of wrong) assert.throws(() => parseSelector(text), { name: 'ErrInvalidParameter', message }, text);
  for (const cut of ['\\', '\\u12', '\\ud83d', '\\ud83dx', '\\ud83d\\u0041', '\\udc00', '\\u+123', '\\\u00e9', '\ud83d']) {
    assert.throws(() => parseSelector(cut), { name: 'ErrInvalidParameter' }, JSON.stringify(cut));
  }
});

/** Whole numbers below a bound, always the same ones. */
function generator(seed: string): (below: number) => number {
  const draw = seeded(toBytes(seed));
  return below => new DataView(draw(4).buffer).getUint32(0) % below;
}

const ROUNDS = 2000;
const GARBAGE_ROUNDS = 700;

test('what is shown is read again', () => {
  const below = generator('selectors');
  const alphabet = ['a', '#', '\\', '"', '\n', '\u0000', '\u0085', '\u00e9', '\u{1f600}', 'u0041', '/', ' '];
  for (let round = 0; round < ROUNDS; round++) {
    const name = Array.from({ length: below(8) }, () => alphabet[below(alphabet.length)]).join('');
    if (name.endsWith('\\')) continue;
    const [a, b] = [BigInt(below(2 ** 31)), BigInt(below(2 ** 31))];
    const [from, to] = round % 3 === 0 ? [0n, ORDINAL_MAX] : a < b ? [a, b] : [b, b];
    const selector = { name: toBytes(name), from, to };
    assert.deepEqual(parseSelector(formatSelector(selector)), selector, formatSelector(selector));
    try {
      parseSelector(name);
    } catch (error) {
      assert.equal((error as Error).name, 'ErrInvalidParameter');
    }
  }
});

test('keys of a name are in the order of its ordinals', () => {
  const below = generator('ordinals');
  const name = Name.of(toBytes('order'));
  const mask = new OrdinalMask(toBytes('order'));
  const [first, last] = selectorKeyRange(parseSelector('order#'));
  for (let round = 0; round < 300; round++) {
    const a = (BigInt(below(2 ** 32)) << 32n) | BigInt(below(2 ** 32));
    const b = a ^ (((BigInt(below(2 ** 32)) << 32n) | BigInt(below(2 ** 32))) >> BigInt(below(64)));
    assert.equal(Math.sign(compare(name.key(a), name.key(b))), a < b ? -1 : a > b ? 1 : 0);
    assert.equal(mask.unmask(mask.mask(a)), a);
    assert.ok(compare(first, name.key(a)) <= 0 && compare(name.key(a), last) <= 0);
  }
  const [from, to] = selectorKeyRange(parseSelector('order#3'));
  assert.deepEqual(from, to);
  for (const outside of [-1n, ORDINAL_MAX + 1n]) assert.throws(() => mask.mask(outside), { name: 'ErrInvalidParameter' });
});

/** Runs it, and says whether it gave a value. Anything but our own error is a failure. */
function survives(run: () => unknown): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (!(error instanceof LfError)) throw error;
    assert.match(error.message, /^[^\n]+$/);
    return false;
  }
}

test('garbage gives values or typed errors', () => {
  const below = generator('garbage');
  const bytes = (max: number) => Uint8Array.from({ length: below(max) }, () => below(256));
  const owner = Owner.fromSeed(toBytes('garbage'), 'p224');
  const real = LfRecord.build({
    owner,
    timestamp: 1_600_000_000,
    value: toBytes('something that may be flipped'),
    selectors: [{ name: toBytes('n'), ordinal: 7n }],
    links: [`=${base62Encode(new Uint8Array(32).fill(9))}`],
    pulseToken: 77n,
  })
    .sign(owner, new Uint8Array(14).fill(1))
    .encode();
  let [decoded, verified] = [0, 0];
  for (let round = 0; round < GARBAGE_ROUNDS; round++) {
    const junk = bytes(120);
    const flipped = real.slice();
    for (let flips = 1 + below(3); flips > 0; flips--) {
      const at = below(flipped.length);
      flipped[at] = (flipped[at] as number) ^ (1 << below(8));
    }
    for (const raw of [junk, flipped, flipped.slice(0, below(flipped.length)), concat(flipped, junk)]) {
      let record: LfRecord | undefined;
      if (!survives(() => (record = LfRecord.decode(raw))) || !record) continue;
      decoded++;
      // What is read is written as the same bytes, and as JSON and back.
      assert.ok(equal(record.encode(), raw));
      assert.equal(LfRecord.fromJson(record.toJson()).hash, record.hash);
      survives(() => record?.value(toBytes('n')));
      // Verifying takes milliseconds.
      if (round % 20 === 0 && survives(() => record?.verifyClaims())) verified++;
    }
    survives(() => Genesis.parse(junk));
    survives(() => parseParameters(junk));
    if (round % 20 === 0) survives(() => Owner.import(junk));
    survives(() => Claim.decode(flipped.slice(-57)));
    survives(() => unmaskValue(junk, 1n, junk, junk));
    if (survives(() => Pulse.decode(junk.slice(0, 11)))) assert.deepEqual(Pulse.decode(junk.slice(0, 11)).encode(), junk.slice(0, 11));
    assert.deepEqual(concat(...decodeComments(junk).map(encodeComment)), junk.slice(0, concat(...decodeComments(junk).map(encodeComment)).length));
    assert.deepEqual(base62Decode(base62Encode(junk)), junk);
    assert.deepEqual(blobBytes(JSON.parse(JSON.stringify(blobText(junk)))), junk);
    const text = new TextDecoder().decode(junk);
    survives(() => base62Decode(text));
    survives(() => parseSelector(text));
    survives(() => Owner.import(text));
    survives(() => Pulse.parse(`!${text}`));
  }
  assert.ok(decoded > GARBAGE_ROUNDS / 2 && verified < decoded / 10, `${decoded} decoded, ${verified} verified`);
});

test('compressed garbage is bounded', () => {
  const below = generator('brotli');
  const owner = new Uint8Array(14);
  // The stored form of any payload, marked as compressed: what a hostile writer can make.
  for (let round = 0; round < 300; round++) {
    const payload = Uint8Array.from({ length: 30 + below(60) }, () => below(256));
    const stored = maskValue(new Uint8Array(200), 1n, owner, owner, () => payload);
    survives(() => assert.ok(unmaskValue(stored, 1n, owner, owner).length <= 65_536));
  }
});

test('JSON of any shape is read or refused', () => {
  const values = [null, 0, -1, 1.5, '', 'x', '\b', '\b!', [], [1], [256], {}, { Owner: 7 }, { owner: '@x' }, true];
  for (const value of values) {
    survives(() => LfRecord.fromJson(value));
    survives(() => Claim.fromJson(value));
    survives(() => blobBytes(value));
    for (const member of ['Value', 'Owner', 'Links', 'Timestamp', 'PulseToken', 'Type', 'Selectors', 'Work', 'WorkAlgorithm', 'Signature']) {
      const json = { Owner: `@${'0'.repeat(14)}`, Timestamp: 1, PulseToken: 0, Type: 0, WorkAlgorithm: 0, [member]: value };
      survives(() => LfRecord.fromJson(json));
    }
  }
  const exact = readJson('{"PulseToken":18446744073709551615,"Timestamp":5,"Value":"\\"PulseToken\\":7"}') as Record<string, unknown>;
  assert.deepEqual(exact, { PulseToken: '18446744073709551615', Timestamp: 5, Value: '"PulseToken":7' });
});

test('signatures of others do not verify', () => {
  const below = generator('signatures');
  for (const type of ['ed25519', 'p224', 'p384'] as const) {
    const owner = Owner.fromSeed(toBytes('signatures'), type);
    const digest = Uint8Array.from({ length: 48 }, () => below(256));
    const signature = owner.sign(digest);
    assert.ok(verifyOwner(owner.bytes, digest, signature, true));
    for (let round = 0; round < 8; round++) {
      const forged = signature.slice();
      const at = below(forged.length);
      forged[at] = (forged[at] as number) ^ (1 << below(8));
      assert.equal(verifyOwner(owner.bytes, digest, forged), false);
    }
    assert.equal(verifyOwner(owner.bytes, digest, signature.slice(1)), false);
    assert.equal(verifyOwner(owner.bytes, digest, new Uint8Array(signature.length)), false);
    assert.equal(verifyOwner(Owner.generate(type).bytes, digest, signature), false);
  }
});
