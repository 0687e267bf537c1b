// Vectors of texts and small functions: base62.json, blob_json.json, seeded_prng.json, th64.json, crc16.json,
// work_cost.json, comment.json, pulse.json. Where the reference does otherwise on purpose, rules on the case decide.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '@noble/hashes/sha2.js';
import { base62Decode, base62Encode, blobBytes, blobText, hashBytes, hashText, hex, prefixedFromJson } from '../src/bytes.js';
import { collides, decodeComments, encodeComment, type Comment } from '../src/comment.js';
import { crc16 } from '../src/masking.js';
import { ownerBytes, ownerText, ownerTypeOf } from '../src/owner.js';
import { Pulse, PULSE_MINUTES_MAX, pulseStart, th64, th64Slowly } from '../src/pulse.js';
import { seeded } from '../src/seeded.js';
import { isqrtRounded, requiredDifficulty, SCORE_WITHOUT_WORK, workCost, workScore } from '../src/work.js';
import { big, bytes, isNone, load, number, report, text, type Case } from './vectors.js';

test('base62.json', () => {
  const cases = load('base62.json');
  for (const one of cases) {
    const written = text(one, 'text');
    if (one.type === 'encode') {
      assert.equal(base62Encode(bytes(one, 'bytes')), written);
      assert.deepEqual(base62Decode(written), bytes(one, 'bytes'));
      continue;
    }
    // The reference skips or dies of foreign characters; we name the first one.
    const foreign = [...written].findIndex(c => !/^[0-9A-Za-z]$/.test(c));
    if (foreign < 0) assert.deepEqual(base62Decode(written), bytes(one, 'decoded'));
    else assert.throws(() => base62Decode(written), { name: 'ErrInvalidObject', message: /^character .* at position \d+ is not base62$/ });
  }
  report('base62.json', cases.length);
});

/** What a reader must give by rule; undefined is an error. */
function expected(target: string, json: string): Uint8Array | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  const strict = (t: string) => (/^[0-9A-Za-z]*$/.test(t) ? base62Decode(t) : undefined);
  const array = () => (Array.isArray(value) && value.every(n => Number.isInteger(n) && n >= 0 && n < 256) ? Uint8Array.from(value as number[]) : undefined);
  const prefix = { HashBlob: '=', OwnerPublic: '@' }[target];
  let found: Uint8Array | undefined;
  if (value === null) found = new Uint8Array(0);
  else if (typeof value !== 'string') found = array();
  else if (prefix !== undefined) found = value.startsWith(prefix) ? strict(value.slice(1)) : undefined;
  else if (value.startsWith('\b')) found = strict(value.slice(1));
  else found = value.isWellFormed() ? new TextEncoder().encode(value) : undefined;
  const lengths: Record<string, number[]> = { HashBlob: [32], OwnerPublic: [14, 24, 32], Ordinal: [16] };
  return found && (lengths[target]?.includes(found.length) ?? true) ? found : undefined;
}

function readBlob(target: string, json: string): Uint8Array | undefined {
  try {
    const value: unknown = JSON.parse(json);
    const found = target === 'HashBlob' ? prefixedFromJson(value, '=', 'hash') : target === 'OwnerPublic' ? prefixedFromJson(value, '@', 'owner') : blobBytes(value);
    if (target === 'HashBlob') hashBytes(hashText(found));
    if (target === 'OwnerPublic') ownerTypeOf(found);
    return target === 'Ordinal' && found.length !== 16 ? undefined : found;
  } catch {
    return undefined;
  }
}

test('blob_json.json', () => {
  const cases = load('blob_json.json');
  let sameAsReference = 0;
  for (const one of cases) {
    const target = text(one, 'target');
    if (target === 'ErrAPI') continue; // How errors are read is tested with a node.
    if (target === 'Pulse') {
      // Pulses have no form of their own in JSON.
      if (!isNone(one, 'bytes') && bytes(one, 'bytes').length === 11) {
        const minutes = Number(`0x${text(one, 'bytes').slice(16)}`);
        if (minutes < 1 || minutes > PULSE_MINUTES_MAX) assert.throws(() => Pulse.decode(bytes(one, 'bytes')));
        else assert.deepEqual(Pulse.parse(Pulse.decode(bytes(one, 'bytes')).toString()).encode(), bytes(one, 'bytes'));
      }
    } else if (one.type === 'unmarshal') {
      const found = readBlob(target, text(one, 'json'));
      assert.deepEqual(found, expected(target, text(one, 'json')), text(one, 'json'));
      if (found && !isNone(one, 'bytes') && hex(found) === text(one, 'bytes')) sameAsReference++;
    } else {
      const given = bytes(one, 'bytes');
      const reference: unknown = JSON.parse(text(one, 'json'));
      if (target === 'HashBlob') assert.equal(hashText(given), reference);
      else if (target === 'OwnerPublic') assert.equal(ownerText(given), reference);
      else {
        // The reference forgets that its mark must be escaped; an ordinal that happens to be text it writes as that.
        if (given[0] !== 8 && target === 'Blob') assert.equal(blobText(given), reference);
        assert.deepEqual(blobBytes(blobText(given)), given);
      }
    }
  }
  assert.ok(sameAsReference >= 20, `${sameAsReference} as the reference reads them`);
  report('blob_json.json', cases.length);
});

test('seeded_prng.json', () => {
  const cases = load('seeded_prng.json');
  for (const one of cases) {
    const wanted = bytes(one, 'output');
    if ('length' in one) {
      const long = seeded(bytes(one, 'seed'))(number(one, 'length'));
      assert.equal(hex(sha256(long)), text(one, 'sha256_of_length_bytes'));
      assert.equal(hex(long.slice(4080, 4128)), text(one, 'bytes_at_4080_to_4128'));
    }
    assert.deepEqual(seeded(bytes(one, 'seed'))(wanted.length), wanted);
    // However it is cut.
    const draw = seeded(bytes(one, 'seed'));
    const parts: number[] = [];
    for (let size = 1; parts.length < wanted.length; size = (size * 7) % 40 || 5) parts.push(...draw(Math.min(size, wanted.length - parts.length)));
    assert.deepEqual(Uint8Array.from(parts), wanted);
  }
  report('seeded_prng.json', cases.length);
});

test('crc16.json', () => {
  const cases = load('crc16.json');
  for (const one of cases) assert.equal(crc16(bytes(one, 'input')), number(one, 'crc16'));
  report('crc16.json', cases.length);
});

test('work_cost.json', () => {
  const cases = load('work_cost.json');
  for (const one of cases) {
    switch (one.type) {
      case 'cost':
        assert.equal(workCost(number(one, 'bytes')), number(one, 'cost'));
        break;
      case 'score':
        assert.equal(workScore(number(one, 'cost')), number(one, 'score'));
        break;
      case 'no_work_score':
        assert.equal(SCORE_WITHOUT_WORK, number(one, 'score'));
        break;
      case 'integer_sqrt_rounded':
        assert.equal(isqrtRounded(number(one, 'in')), number(one, 'out'));
        break;
      default:
        assert.fail(`unknown type ${String(one.type)}`);
    }
  }
  assert.equal(requiredDifficulty(250, 0), workCost(250));
  assert.equal(requiredDifficulty(250, 16), 16 * workCost(250));
  assert.equal(requiredDifficulty(65_536, 2), 0x0f7b0000);
  report('work_cost.json', cases.length);
});

test('th64.json', async () => {
  const cases = load('th64.json');
  for (const one of cases) {
    const times = one.type === 'th64n' ? number(one, 'n') : 1;
    assert.equal(th64(big(one, 'in'), times), big(one, 'out'));
  }
  assert.equal(await th64Slowly(7n, 100_000), th64(7n, 100_000));
  report('th64.json', cases.length);
});

test('pulse.json', () => {
  const cases = load('pulse.json');
  for (const one of cases) {
    if (!isNone(one, 'pulse')) {
      const raw = bytes(one, 'pulse');
      const minutes = raw.length === 11 ? Number(`0x${hex(raw.slice(8))}`) : -1;
      assert.equal(text(one, 'string'), `!${base62Encode(raw)}`);
      // Stricter than the reference: 11 bytes, and a minute of 1 to 525600.
      if (minutes < 1 || minutes > PULSE_MINUTES_MAX) assert.throws(() => Pulse.decode(raw));
      else {
        const pulse = Pulse.decode(raw);
        assert.equal(pulse.toString(), text(one, 'string'));
        assert.deepEqual(Pulse.parse(text(one, 'string')), pulse);
        assert.equal(pulse.token(), big(one, 'token'));
      }
    }
    if (!isNone(one, 'selector_names') && !isNone(one, 'owner_private_hash')) {
      const [names, ordinals] = [one.selector_names as string[], one.selector_ordinals as bigint[]];
      const minutes = number(one, 'minutes');
      if (names.length !== ordinals.length) continue; // Cannot be said here.
      const selectors = names.map((name, i) => ({ name: bytes({ name }, 'name'), ordinal: ordinals[i] as bigint }));
      const start = pulseStart(selectors, big(one, 'timestamp'), bytes(one, 'owner_private_hash'));
      if (minutes < 1 || minutes > PULSE_MINUTES_MAX) assert.throws(() => new Pulse(start, minutes));
      else if (isNone(one, 'error')) assert.equal(new Pulse(th64(start, PULSE_MINUTES_MAX - minutes), minutes).toString(), text(one, 'string'));
      if (isNone(one, 'error')) assert.equal(th64(start, PULSE_MINUTES_MAX), big(one, 'record_pulse_token'));
    }
  }
  report('pulse.json', cases.length);
});

test('comment.json', () => {
  const cases = load('comment.json');
  const commentOf = (one: Case): Comment => ({ assertion: number(one, 'assertion'), reason: number(one, 'reason'), subject: bytes(one, 'subject') });
  for (const one of cases) {
    const written = isNone(one, 'bytes') ? new Uint8Array(0) : bytes(one, 'bytes');
    if (one.type === 'serialize') {
      const comment = commentOf(one);
      const encoded = encodeComment(comment);
      if (comment.subject.length > 255) assert.equal(encoded.length, 258);
      else {
        assert.deepEqual(encoded, written);
        assert.deepEqual(decodeComments(encoded), [comment]);
      }
    } else if (one.type === 'concatenated') assert.deepEqual(decodeComments(written), (one.comments as Case[]).map(commentOf));
    else {
      // The reference's node reads an empty subject as the one before it; it is just empty.
      const ours = decodeComments(written);
      const theirs = (one.comments as Case[]).map(commentOf);
      assert.equal(ours.length, theirs.length);
      for (const [i, comment] of ours.entries()) if (comment.subject.length) assert.deepEqual(comment, theirs[i]);
    }
  }
  assert.equal(collides({ assertion: 1, reason: 1, subject: new Uint8Array(32) }), `=${'0'.repeat(32)}`);
  assert.equal(collides({ assertion: 2, reason: 1, subject: new Uint8Array(32) }), undefined);
  report('comment.json', cases.length);
});

test('owners as text', () => {
  assert.deepEqual(ownerBytes(`@${'0'.repeat(14)}`), new Uint8Array(14));
  for (const wrong of ['', '@', '=', '@!', '00000000000000', '@000']) assert.throws(() => ownerBytes(wrong), /owner|base62/);
});
