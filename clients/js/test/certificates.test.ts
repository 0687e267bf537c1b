// cert.json: what the reference implementation issued is read, and every link judged. Requests and issuing are not a client's.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex, unhex, type Bytes } from '../src/bytes.js';
import { Certificate, CERTIFICATE_MASKING_KEY, Crl, serialText } from '../src/certificates.js';
import { LfError } from '../src/errors.js';
import { Genesis } from '../src/genesis.js';
import { LfRecord } from '../src/record.js';
import { big, bytes, isNone, load, number, report, text, type Case } from './vectors.js';

function pemBody(pem: string): Bytes {
  const body = /-----BEGIN CERTIFICATE-----\n([^]*?)-----END/.exec(pem)?.[1] ?? '';
  return Uint8Array.from(Buffer.from(body, 'base64'));
}

function valueOf(record: string): Bytes {
  return LfRecord.decode(unhex(record)).value(CERTIFICATE_MASKING_KEY);
}

function recordsOf(one: Case): Bytes[] {
  return (one.records as Case[]).map(given => valueOf(text(given, 'record')));
}

function attempt<T>(f: () => T): T | undefined {
  try {
    return f();
  } catch (error) {
    assert.ok(error instanceof LfError, String(error));
    return undefined;
  }
}

function checkFacts(certificate: Certificate, facts: Case): void {
  assert.equal(certificate.serial, BigInt(text(facts, 'serial_integer')));
  assert.equal(serialText(certificate.serial), text(facts, 'serial_base62_of_minimal_bytes'));
  assert.deepEqual([certificate.notBefore, certificate.notAfter], [number(facts, 'not_before'), number(facts, 'not_after')]);
  const usage = big(facts, 'key_usage');
  assert.equal(certificate.isAuthority, facts.is_ca === true && (usage & 32n) !== 0n);
  assert.equal(certificate.signsCrls, facts.is_ca === true && (usage & 64n) !== 0n);
  assert.equal(certificate.subjectOwner, facts.is_ca ? undefined : `@${text(facts, 'subject_serial_number')}`);
  assert.equal(certificate.keyOwner, text(facts.public_key as Case, 'as_owner'));
}

test('cert.json', () => {
  const cases = load('cert.json');
  const root = Certificate.parse(pemBody(text(cases[0] as Case, 'ca_pem')));
  const certificates: Certificate[] = [];
  const revoked = new Set<bigint>();
  let ran = 0;
  for (const one of cases) {
    const kind = text(one, 'type');
    if (kind === 'csr_error' || kind === 'create_error') continue;
    ran++;
    if (kind === 'ca') {
      checkFacts(root, one.ca_facts as Case);
      assert.equal(root.keyOwner, text(one, 'ca_owner'));
      assert.ok(root.issued(root));
      const { parameters } = Genesis.parse(bytes(one, 'genesis_lf'));
      assert.deepEqual(Certificate.parseAll(parameters.authCertificates).map(c => hex(c.encode())), [hex(root.encode())]);
    } else if (kind === 'owner_certificate') {
      const der = bytes(one, 'certificate_der');
      const certificate = Certificate.parse(der);
      checkFacts(certificate, one.facts as Case);
      assert.equal(certificate.subjectOwner, text(one, 'owner'));
      assert.equal(certificate.issuerSerial, root.serial);
      assert.ok(root.issued(certificate) && !certificate.issued(root) && !certificate.issued(certificate));
      assert.deepEqual(valueOf(text(one, 'certificate_record')), der);
      for (let at = 0; at < der.length; at += 7) {
        const changed = der.slice();
        changed[at] = (changed[at] as number) ^ 1;
        const other = attempt(() => Certificate.parse(changed));
        assert.ok(!other || !root.issued(other), `byte ${at}`);
        assert.equal(attempt(() => Certificate.parse(der.slice(0, at))), undefined);
      }
    } else if (kind === 'node_view') {
      for (const value of recordsOf(one)) certificates.push(...Certificate.parseAll(value));
    } else if (kind === 'crl') {
      const crl = Crl.parse(recordsOf(one)[0] as Bytes);
      assert.ok(crl.thisUpdate > 1_700_000_000 && crl.revoked.length > 0);
      const isGenuine = !isNone(one, 'revoked_serials_base62');
      assert.equal(root.issuedCrl(crl), isGenuine);
      if (isGenuine) {
        assert.deepEqual(crl.revoked.map(serialText), one.revoked_serials_base62);
        for (const serial of crl.revoked) revoked.add(serial);
      }
    } else if (kind === 'foreign_certificate') {
      const foreign = Certificate.parse(recordsOf(one)[0] as Bytes);
      assert.ok(foreign.subjectOwner !== undefined && !root.issued(foreign));
    } else if (kind === 'intermediate') {
      // Intermediates work, where the reference does not find them.
      const [middle, last] = recordsOf(one).map(value => Certificate.parse(value)) as [Certificate, Certificate];
      assert.ok(middle.isAuthority && root.issued(middle) && middle.issued(last) && !root.issued(last));
      assert.equal(last.subjectOwner, text((one.views as Case[])[0] as Case, 'owner'));
    } else {
      assert.equal(kind, 'ca_serial_with_leading_zero');
      // Serial numbers are integers, where the reference compares texts.
      const authority = Certificate.parse(pemBody(text(one, 'ca_pem')));
      assert.equal(serialText(authority.serial), (one.auth_certificate_map_keys as string[])[0]);
      assert.ok(authority.issued(Certificate.parse(bytes(one, 'owner_certificate_der'))));
    }
    if (kind !== 'node_view' && kind !== 'crl') continue;
    for (const view of one.views as Case[]) {
      if (view.owner === root.keyOwner) continue;
      const mine = certificates.filter(c => c.subjectOwner === view.owner && root.issued(c));
      const texts = (all: Certificate[]) => all.map(c => serialText(c.serial));
      assert.deepEqual(texts(mine.filter(c => !revoked.has(c.serial))), view.certificates ?? []);
      assert.deepEqual(texts(mine.filter(c => revoked.has(c.serial))), view.revoked_certificates ?? []);
    }
  }
  assert.equal(ran, cases.length - 4);
  report('cert.json', ran);
});

test('garbage is no certificate, and no harm', () => {
  const der = pemBody(text(load('cert.json')[0] as Case, 'ca_pem'));
  const root = Certificate.parse(der);
  let seed = 1;
  const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  for (let i = 0; i < 3_000; i++) {
    const changed = der.slice(0, random(2) ? der.length : random(der.length));
    for (let left = random(4); left > 0 && changed.length; left--) changed[random(changed.length)] = random(256);
    const other = attempt(() => Certificate.parse(changed));
    if (other && hex(changed) !== hex(der)) assert.ok(!root.issued(other), hex(changed));
    attempt(() => Crl.parse(changed));
    attempt(() => Certificate.parseAll(changed));
  }
});
