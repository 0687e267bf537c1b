// Vectors of records: records.json, masking.json, genesis.json, the records of cert.json. Real work in
// records.json is checked in work.test.ts, where the table is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '@noble/hashes/sha2.js';
import { concat, hex, toBig, toBytes, unhex } from '../src/bytes.js';
import { amendableNames, amendParameters, Genesis, noParameters, parametersToJson, parseParameters, AMENDABLE, type GenesisParameters } from '../src/genesis.js';
import { maskValue, unmaskValue } from '../src/masking.js';
import { compress } from '../src/node.js';
import { Owner } from '../src/owner.js';
import { LfRecord, RecordType, RECORD_BYTES_MAX, unmask } from '../src/record.js';
import { Name } from '../src/selector.js';
import { workCost, workScore, SCORE_WITHOUT_WORK } from '../src/work.js';
import { readJson } from '../src/bytes.js';
import { big, bytes, exactJson, isNone, load, number, report, text, type Case } from './vectors.js';

/** JSON of a record as one value, its numbers exact, whoever wrote it. */
function canonicalJson(json: unknown): unknown {
  const value = typeof json === 'string' ? (exactJson(json) as Record<string, unknown>) : (json as Record<string, unknown>);
  return Object.fromEntries(Object.entries(value).map(([name, v]) => [name, ['PulseToken', 'Timestamp', 'Type', 'WorkAlgorithm'].includes(name) ? String(v) : v]));
}

function everyCutFails(raw: Uint8Array): void {
  for (let length = 0; length < raw.length; length++) {
    assert.throws(() => LfRecord.decode(raw.slice(0, length)), { name: 'ErrInvalidObject', message: /ends within/ }, `at ${length}`);
  }
  assert.throws(() => LfRecord.decode(concat(raw, Uint8Array.of(0))), { name: 'ErrInvalidObject', message: /1 bytes follow/ });
}

function checkRecord(one: Case): void {
  const raw = bytes(one, 'record');
  const record = LfRecord.decode(raw);
  assert.deepEqual(record.encode(), raw);
  assert.equal(hex(record.hashBytes), text(one, 'hash'));
  assert.equal(record.hash, text(one, 'hash_string'));
  assert.equal(hex(record.bodyHash), text(one, 'body_signing_hash'));
  assert.equal(hex(record.workHash), text(one, 'work_hash'));
  assert.equal(hex(record.signedDigest), text(one, 'owner_signing_hash'));
  assert.equal(record.billableBytes, number(one, 'billable_bytes'));
  assert.equal(workCost(record.billableBytes), number(one, 'required_cost'));
  assert.equal(record.work.length ? workScore(record.difficulty) : SCORE_WITHOUT_WORK, number(one, 'score'));
  assert.equal(raw.length, number(one, 'size'));
  const recovered = record.verifyClaims();
  assert.deepEqual(recovered.map(({ key }) => hex(key)), one.selector_keys ?? []);
  assert.deepEqual(recovered.map(({ id }) => hex(id)), one.selector_ids ?? []);
  assert.equal(hex(record.id()), text(one, 'id'));
  for (const [i, { id }] of recovered.entries()) assert.deepEqual(record.id(i), id);
  assert.throws(() => record.id(recovered.length), { name: 'ErrInvalidParameter' });
  assert.equal(one.validate, null);
  const value = () => hex(record.value(bytes(one, 'get_value_key')));
  if (isNone(one, 'get_value_error')) assert.equal(value(), text(one, 'get_value'));
  else assert.throws(value, { name: 'ErrIncorrectKey' });
  assert.deepEqual(canonicalJson(record.toJson()), canonicalJson(text(one, 'json')));
  const json = readJson(text(one, 'json'));
  assert.deepEqual(LfRecord.fromJson(json).encode(), raw);
  if (isNone(one, 'get_value_error')) assert.equal(hex(unmask(json as Parameters<typeof unmask>[0], bytes(one, 'get_value_key'))), text(one, 'get_value'));
  // Dropping the value keeps every hash.
  const proxy = record.toProxy();
  const [read, used] = LfRecord.decodeAny(proxy.encode());
  assert.deepEqual([read.hash, hex(read.workHash), used], [record.hash, hex(record.workHash), proxy.encode().length]);
  assert.throws(() => LfRecord.decode(proxy.encode()), /hash of its value/);
  everyCutFails(raw);
}

/** A malformed or altered record: what the reference says, but for what is refused on purpose. */
function checkMalformed(one: Case): void {
  const raw = bytes(one, 'record');
  let record: LfRecord;
  try {
    record = LfRecord.decode(raw);
  } catch (error) {
    const { name, message } = error as Error;
    assert.match(name, /^Err/, message);
    // The reference reads other forms as the canonical record; an owner of no known type cannot sign.
    const byRule = !isNone(one, 'unmarshal_error') || one.reserialized_equal === false || name === 'ErrInvalidPublicKey' || (/ascending/.test(message) && /links must be sorted/.test(String(one.validate)));
    assert.ok(byRule, `${message}: ${text(one, 'description')}`);
    return;
  }
  assert.ok(isNone(one, 'unmarshal_error'), text(one, 'description'));
  assert.equal(one.reserialized_equal, true, text(one, 'description'));
  assert.deepEqual(record.encode(), raw);
  assert.equal(hex(record.hashBytes), text(one, 'hash'));
  let [signed, claimed] = [true, true];
  try {
    record.verifyClaims();
  } catch (error) {
    const { name } = error as Error;
    signed = name !== 'ErrRecordOwnerSignatureCheckFailed';
    assert.ok(!signed || name === 'ErrRecordInvalid', name);
  }
  assert.equal(signed, one.validate === null, text(one, 'description'));
  try {
    assert.equal(hex(record.id()), text(one, 'id'));
  } catch (error) {
    assert.equal((error as Error).name, 'ErrRecordInvalid', String(error));
    claimed = false;
  }
  if (!isNone(one, 'id_panic')) assert.ok(!claimed, 'no key can be recovered');
  else if (!claimed) {
    // The reference computes with r or s outside of [1, n − 1]; we do not.
    const order = toBig(unhex('e95e4a5f737059dc60df5991d45029409e60fc09'));
    const isOut = (part: Uint8Array) => toBig(part) === 0n || toBig(part) >= order;
    assert.ok(record.selectors.some(({ signature }) => isOut(signature.slice(0, 20)) || isOut(signature.slice(20))), text(one, 'description'));
  }
}

function checkBuilderError(one: Case): void {
  const owner = Owner.fromSeed(toBytes('builder'), 'p224');
  const description = text(one, 'description');
  const links = Array.from({ length: 16 }, (_, i) => someHash(i));
  const build = (names: number, to: string[]) =>
    LfRecord.build({ owner, value: toBytes('v'), timestamp: 1, links: to, selectors: Array.from({ length: names }, () => ({ name: toBytes('n'), ordinal: 0n })) });
  if (description.includes('16 links')) assert.throws(() => build(0, links), { name: 'ErrRecordTooManyLinks' });
  else if (description.includes('16 selectors')) assert.throws(() => build(16, []), { name: 'ErrRecordTooManySelectors' });
  else if (!isNone(one, 'record')) {
    // Duplicate links: invalid where they came in; our builder drops them.
    assert.throws(() => LfRecord.decode(bytes(one, 'record')), /ascending/);
    assert.deepEqual(build(0, [links[3] as string, links[3] as string]).links, [links[3]]);
  }
  // Types beyond 15 and missing ordinals cannot be said, or are refused.
  assert.throws(() => LfRecord.build({ owner, timestamp: 1, type: 16 }), { name: 'ErrInvalidParameter' });
}

/** The hash of some record. */
function someHash(i: number): string {
  return LfRecord.build({ owner: Owner.fromSeed(toBytes('builder'), 'p224'), timestamp: i }).hash;
}

test('records.json', () => {
  const cases = load('records.json');
  for (const one of cases) {
    switch (one.type) {
      case 'record':
        checkRecord(one);
        break;
      case 'truncation':
        everyCutFails(bytes(one, 'record'));
        break;
      case 'malformed':
        checkMalformed(one);
        break;
      case 'size_limit': {
        const value = new Uint8Array(number(one, 'value_length')).fill(number(one, 'value_byte'));
        const raw = concat(bytes(one, 'record_prefix_before_value'), value, bytes(one, 'record_suffix_after_value'));
        if (raw.length <= RECORD_BYTES_MAX) {
          const record = LfRecord.decode(raw);
          assert.equal(hex(record.hashBytes), text(one, 'hash'));
          record.verifyClaims();
        } else assert.throws(() => LfRecord.decode(raw), { name: 'ErrRecordTooLarge' });
        break;
      }
      case 'abbreviated': {
        const full = LfRecord.decode(bytes(one, 'full_record'));
        const short = bytes(one, 'abbreviated_record');
        assert.throws(() => LfRecord.decode(short), /hash of its value/);
        const [proxy, used] = LfRecord.decodeAny(short);
        assert.equal(used, short.length);
        // The intended formula, which the reference gets wrong.
        assert.equal(hex(proxy.hashBytes), text(one, 'full_hash'));
        proxy.verifyClaims();
        assert.deepEqual(full.toProxy().encode(), proxy.encode());
        assert.deepEqual(canonicalJson(proxy.toJson()), canonicalJson(text(one, 'json')));
        break;
      }
      case 'builder_error':
        checkBuilderError(one);
        break;
      default:
        assert.fail(`unknown type ${String(one.type)}`);
    }
  }
  report('records.json', cases.length);
});

test('built records verify', async () => {
  for (const type of ['p224', 'p384', 'ed25519'] as const) {
    for (const squeeze of [undefined, compress]) {
      const owner = Owner.fromSeed(toBytes('someone'), type);
      const value = toBytes('a value that is long enough to be compressed, compressed, compressed');
      const selectors = [
        { name: toBytes('name'), ordinal: 7n },
        { name: toBytes('other'), ordinal: 2n ** 64n - 1n },
      ];
      const links = [someHash(9), someHash(1)];
      const unsigned = LfRecord.build({ owner, value, selectors, links, timestamp: 1_600_000_000, pulseToken: 5n, compress: squeeze });
      const record = unsigned.sign(owner);
      assert.deepEqual(LfRecord.decode(record.encode()).encode(), record.encode());
      assert.equal(record.billableBytes, unsigned.billableBytes);
      assert.equal(record.stored.length < value.length, squeeze !== undefined);
      await record.verify({ strictSignatures: true, recordMaxValueSize: 100, recordMinLinks: 2 });
      await assert.rejects(record.verify({ recordMaxValueSize: 10 }), { name: 'ErrRecordValueTooLarge' });
      await assert.rejects(record.verify({ recordMinLinks: 3 }), { name: 'ErrRecordInsufficientLinks' });
      assert.deepEqual(record.recoverSelectors()[0]?.key, Name.of(toBytes('name')).key(7n));
      assert.deepEqual(record.value(toBytes('name')), value);
      assert.throws(() => record.value(toBytes('other')), { name: 'ErrIncorrectKey' });
      assert.throws(() => unsigned.sign(Owner.generate()), { name: 'ErrInvalidParameter' });
      const forged = record.encode();
      forged[forged.length - 1] = (forged[forged.length - 1] as number) ^ 1;
      await assert.rejects(LfRecord.decode(forged).verify(), { name: 'ErrRecordOwnerSignatureCheckFailed' });
    }
  }
});

test('masking.json', () => {
  const cases = load('masking.json');
  let differently = 0;
  for (const one of cases) {
    const [owner, timestamp, stored] = [bytes(one, 'owner_public'), big(one, 'timestamp'), bytes(one, 'record_value')];
    if (one.type === 'mask') {
      for (const attempt of one.get_value as Case[]) {
        const value = () => hex(unmaskValue(stored, timestamp, bytes(attempt, 'key'), owner));
        if (isNone(attempt, 'error')) assert.equal(value(), text(attempt, 'value'));
        else assert.throws(value, { name: 'ErrIncorrectKey' });
      }
      const [plain, key] = [bytes(one, 'plain_value'), bytes(one, 'effective_key')];
      for (const squeeze of [undefined, compress]) {
        const ours = maskValue(plain, timestamp, key, owner, squeeze);
        assert.deepEqual(unmaskValue(ours, timestamp, key, owner), plain);
        if (one.compression === 0n && ours.length === stored.length) assert.equal(hex(ours), hex(stored));
      }
      continue;
    }
    const value = () => unmaskValue(stored, timestamp, bytes(one, 'key'), owner);
    const description = text(one, 'description');
    if (description === 'brotli truncated') {
      // The decoder gives nothing of a stream that is cut off; PROTOCOL.md would take what there is.
      assert.throws(value, { name: 'ErrInvalidObject' });
      differently++;
    } else if (description === 'brotli with trailing bytes') {
      // The decoder does not tell where a stream ended; PROTOCOL.md would refuse what follows.
      assert.equal(hex(value()), text(one, 'value'));
      differently++;
    } else if (description === 'brotli type but value is not brotli') {
      // What the decoder makes of junk, which must be little.
      assert.ok(value().length < 100);
      differently++;
    } else if (!isNone(one, 'error')) assert.throws(value, /masking key|damaged/, description);
    else {
      assert.equal(value().length, number(one, 'value_length'), description);
      if (!isNone(one, 'value')) assert.equal(hex(value()), text(one, 'value'), description);
      if (!isNone(one, 'value_sha256')) assert.equal(hex(sha256(value())), text(one, 'value_sha256'), description);
    }
  }
  assert.equal(differently, 3);
  report('masking.json', cases.length);
});

test('decompression is bounded', () => {
  const owner = new Uint8Array(14);
  for (const size of [65_536, 65_537, 500_000, 30_000_000]) {
    const bomb = maskValue(new Uint8Array(size), 1n, owner, owner, compress);
    assert.ok(bomb.length < 4000);
    assert.deepEqual(unmaskValue(bomb, 1n, owner, owner), new Uint8Array(65_536));
  }
});

/** Parameters as JSON, for comparing. */
function shown(parameters: GenesisParameters): unknown {
  return JSON.parse(JSON.stringify(parametersToJson(parameters)));
}

test('genesis.json', () => {
  const cases = load('genesis.json');
  for (const one of cases) {
    if (one.type === 'generated') {
      const file = bytes(one, 'genesis_lf');
      const genesis = Genesis.parse(file);
      assert.deepEqual(concat(...genesis.records.map(record => record.encode())), file);
      assert.equal(genesis.owner, text(one, 'genesis_owner'));
      assert.deepEqual(shown(genesis.parameters), JSON.parse(text(one, 'parameters_json')));
      assert.deepEqual(parseParameters(toBytes(text(one, 'parameters_pretty_json'))), genesis.parameters);
      for (const [i, expected] of (one.records as Case[]).entries()) {
        const record = genesis.records[i] as LfRecord;
        assert.equal(hex(record.hashBytes), text(expected, 'hash'));
        assert.equal(hex(record.value()), text(expected, 'get_value'));
      }
      for (let length = 0; length < file.length; length += 7) assert.throws(() => Genesis.parse(file.slice(0, length)), { name: 'ErrInvalidObject' }, `cut at ${length}`);
    } else if (one.type === 'update_sequence') {
      let current: GenesisParameters | undefined;
      for (const step of one.steps as Case[]) {
        const update = toBytes(text(step, 'update'));
        let failed = false;
        const before = current;
        try {
          current = current ? amendParameters(current, update) : parseParameters(update);
        } catch (error) {
          assert.equal((error as Error).name, 'ErrInvalidObject', String(error));
          failed = true;
        }
        assert.equal(failed, !isNone(step, 'error'), text(step, 'update'));
        const now = current ?? noParameters();
        assert.deepEqual(shown(now), JSON.parse(text(step, 'result_json')), text(step, 'update'));
        const changed = before !== undefined && JSON.stringify(shown(before)) !== JSON.stringify(shown(now));
        assert.equal(changed, step.changed, text(step, 'update'));
      }
    } else {
      const fields = one.fields as string[];
      const normalized = fields.map(field => field.trim().toLowerCase().replace('recordmaxforwardtimedrift', 'recordmaxtimedrift'));
      if (normalized.every(field => (AMENDABLE as readonly string[]).includes(field))) assert.deepEqual(amendableNames(fields), normalized);
      else assert.throws(() => amendableNames(fields), { name: 'ErrInvalidParameter' });
    }
  }
  report('genesis.json', cases.length);
});

test('records of cert.json', () => {
  // What they carry is read in certificates.test.ts.
  let records = 0;
  const cases = load('cert.json');
  for (const one of cases) {
    const given = ((one.records as Case[] | undefined) ?? []).map(r => text(r, 'record'));
    const raws = isNone(one, 'certificate_record') ? given : [text(one, 'certificate_record'), ...given];
    for (const raw of raws) {
      const record = LfRecord.decode(unhex(raw));
      record.verifyClaims();
      assert.ok([RecordType.certificate, RecordType.crl].includes(record.type as 3 | 4));
      const der = hex(record.value(toBytes('lfCertificate')));
      assert.match(der, /^30/);
      if (!isNone(one, 'certificate_der')) assert.ok(der.includes(text(one, 'certificate_der')));
      records++;
    }
  }
  assert.ok(records >= 6, `${records} records`);
});
