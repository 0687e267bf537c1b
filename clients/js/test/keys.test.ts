// Vectors of keys: ordinal.json, selector_key.json, selector.json, owner.json. Where the reference crashes, computes with
// r or s outside of [1, n − 1], takes infinity for a key, or does not look at a type id, PROTOCOL.md decides.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ed25519, ED25519_TORSION_SUBGROUP } from '@noble/curves/ed25519.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { base62Encode, concat, equal, hex, toBig, unhex } from '../src/bytes.js';
import { P160, P224, P384, recover, type Curve } from '../src/curves.js';
import { OrdinalMask } from '../src/ordinal.js';
import { Owner, ownerBytes, ownerTypeOfName, passphraseMaskingKey, verifyOwner, type OwnerType } from '../src/owner.js';
import { addOrdinal, Claim, Name } from '../src/selector.js';
import { big, bytes, isNone, load, number, report, text, type Case } from './vectors.js';

const masks = new Map<string, OrdinalMask>();

function maskOf(key: string): OrdinalMask {
  const mask = masks.get(key) ?? new OrdinalMask(unhex(key));
  masks.set(key, mask);
  return mask;
}

test('ordinal.json', () => {
  const cases = load('ordinal.json');
  const ran = { masked: 0, arbitrary: 0, degenerate: 0 };
  for (const one of cases) {
    const mask = maskOf(text(one, 'key'));
    if (one.type === 'get_arbitrary') {
      // What the reference makes of junk counts only where the rules give a value.
      try {
        const value = mask.unmask(bytes(one, 'ordinal'));
        assert.equal(value, big(one, 'get'));
        assert.ok(isNone(one, 'panic'));
      } catch (error) {
        assert.equal((error as Error).name, 'ErrInvalidObject', String(error));
      }
      ran.arbitrary++;
    } else if (one.type === 'degenerate_alphabet') {
      assert.throws(() => mask.mask(big(one, 'value')), { name: 'ErrInvalidParameter', message: /take another/ });
      ran.degenerate++;
    } else {
      assert.deepEqual(mask.mask(big(one, 'value')), bytes(one, 'ordinal'));
      assert.equal(mask.unmask(bytes(one, 'ordinal')), big(one, 'value'));
      ran.masked++;
    }
  }
  assert.deepEqual(ran, { masked: 174, arbitrary: 6, degenerate: 2 });
  report('ordinal.json', cases.length);
});

test('selector_key.json', () => {
  const cases = load('selector_key.json');
  for (const one of cases) {
    const masked = bytes(one, 'masked_ordinal');
    if (one.type === 'add_ordinal_to_hash') {
      assert.deepEqual(addOrdinal(bytes(one, 'hash'), masked), bytes(one, 'result'));
      continue;
    }
    const name = Name.of(bytes(one, 'name'));
    assert.equal(hex(name.id), text(one, 'public_key'));
    assert.equal(hex(name.keyHash), text(one, 'public_key_hash'));
    assert.deepEqual(name.mask.mask(big(one, 'ordinal')), masked);
    assert.deepEqual(name.key(big(one, 'ordinal')), bytes(one, 'key'));
  }
  report('selector_key.json', cases.length);
});

/** r or s outside of [1, n − 1]. */
function outOfRange(curve: Curve, signature: Uint8Array): boolean {
  const order = curve.Point.Fn.ORDER;
  return [signature.slice(0, curve.size), signature.slice(curve.size, 2 * curve.size)].some(part => toBig(part) < 1n || toBig(part) >= order);
}

test('selector.json', () => {
  const cases = load('selector.json');
  let [recovered, rejected] = [0, 0];
  for (const one of cases) {
    const [raw, bodyHash] = [bytes(one, 'selector'), bytes(one, 'body_hash')];
    if (one.type === 'valid') {
      const claim = Claim.decode(raw);
      assert.deepEqual(claim.encode(), raw);
      assert.deepEqual(claim.claim, bytes(one, 'claim'));
      assert.deepEqual(Claim.fromJson(claim.toJson()), claim);
      assert.equal(claim.parity, number(one, 'recovery_index'));
      assert.deepEqual(claim.ordinal, bytes(one, 'masked_ordinal'));
      const { id, key } = claim.recover(bodyHash);
      assert.equal(hex(id), text(one, 'id'));
      assert.equal(hex(key), text(one, 'key'));
      const name = Name.of(bytes(one, 'name'));
      assert.deepEqual(name.key(big(one, 'ordinal')), bytes(one, 'make_selector_key'));
      assert.equal(equal(name.id, id), one.id_equals_name_public_key);
      assert.equal(equal(name.key(big(one, 'ordinal')), key), one.is_named);
      // Our own claim: other bytes, the same name.
      assert.deepEqual(name.claim(bodyHash, big(one, 'ordinal')).recover(bodyHash), { id, key });
      continue;
    }
    let ours: { id: Uint8Array; key: Uint8Array } | undefined;
    try {
      // A record's parser reads 57 bytes; what follows them is not the selector's.
      ours = Claim.decode(raw.slice(0, 57)).recover(bodyHash);
    } catch (error) {
      assert.match((error as Error).name, /^ErrRecordInvalid|^ErrInvalidObject/, String(error));
    }
    const first = raw[0] ?? 255;
    const rule =
      raw.length >= 57 &&
      isNone(one, 'unmarshal_error') &&
      (first & 15) === 0 &&
      first >> 4 <= 1 &&
      !outOfRange(P160, raw.slice(17, 57)) &&
      isNone(one, 'id_panic') &&
      isNone(one, 'key_panic') &&
      /[^0]/.test(text(one, 'id').slice(2));
    assert.equal(ours !== undefined, rule, text(one, 'description'));
    if (ours) {
      assert.equal(hex(ours.id), text(one, 'id'));
      assert.equal(hex(ours.key), text(one, 'key'));
      recovered++;
    } else rejected++;
  }
  assert.ok(recovered > 0 && rejected > 0);
  report('selector.json', cases.length);
});

function curveOf(type: OwnerType): Curve {
  return type === 'p224' ? P224 : P384;
}

/** The verdicts on a signature by the rules: lenient and strict. */
function verdicts(one: Case): [boolean, boolean] {
  if (!isNone(one, 'panic') || one.verify !== true) return [false, false];
  const type = ownerTypeOfName(text(one, 'owner_type'));
  if (type === 'ed25519') return [true, true];
  const curve = curveOf(type);
  const signature = bytes(one, 'signature');
  // The owner that is the hash of infinity, written (0, 0), is nobody.
  const infinity = new Uint8Array(2 * curve.size);
  const nobody = hashOfPoint(infinity, curve.name);
  const owner = bytes(one, 'public');
  const valid = !outOfRange(curve, signature) && !equal(nobody.slice(0, owner.length), owner);
  return [valid, valid && 2n * toBig(signature.slice(curve.size)) <= curve.Point.Fn.ORDER];
}

test('owner.json', () => {
  const cases = load('owner.json');
  for (const one of cases) {
    switch (one.type) {
      case 'from_seed': {
        const owner = Owner.fromSeed(bytes(one, 'seed'), ownerTypeOfName(text(one, 'owner_type')));
        assert.equal(owner.public, text(one, 'string'));
        assert.equal(hex(owner.bytes), text(one, 'public'));
        assert.equal(hex(owner.privateBytes()), text(one, 'private_bytes'));
        assert.equal(owner.privateBytes()[0], number(one, 'type_byte'));
        assert.equal(owner.exportPem(), text(one, 'private_pem'));
        assert.equal(hex(owner.privateHash()), text(one, 'private_hash'));
        for (const again of [Owner.import(bytes(one, 'private_bytes')), Owner.import(text(one, 'private_pem')), Owner.import(JSON.stringify(text(one, 'private_pem')))]) {
          assert.equal(again.public, owner.public);
          assert.deepEqual(again.privateBytes(), owner.privateBytes());
        }
        break;
      }
      case 'sign': {
        const owner = Owner.fromSeed(bytes(one, 'seed'), ownerTypeOfName(text(one, 'owner_type')));
        const digest = bytes(one, 'hash');
        assert.equal(hex(owner.bytes), text(one, 'public'));
        assert.ok(verifyOwner(owner.bytes, digest, bytes(one, 'signature')));
        const ours = owner.sign(digest);
        assert.deepEqual(owner.sign(digest), ours);
        assert.ok(verifyOwner(owner.bytes, digest, ours, true));
        if (owner.type === 'ed25519') assert.deepEqual(ours, bytes(one, 'signature'));
        break;
      }
      case 'verify_variant': {
        const verify = (strict: boolean) => {
          try {
            return verifyOwner(bytes(one, 'public'), bytes(one, 'hash'), bytes(one, 'signature'), strict);
          } catch (error) {
            assert.equal((error as Error).name, 'ErrInvalidPublicKey');
            return false;
          }
        };
        assert.deepEqual([verify(false), verify(true)], verdicts(one), text(one, 'description'));
        break;
      }
      case 'ecdsa_verify_with_public_key': {
        const curve = curveOf(ownerTypeOfName(text(one, 'owner_type')));
        const candidates = [0, 1].flatMap(parity => {
          try {
            return [hex(recover(curve, bytes(one, 'hash'), bytes(one, 'signature'), parity).toBytes(true))];
          } catch {
            return [];
          }
        });
        assert.equal(candidates.includes(text(one, 'public_key_compressed')), one.verify);
        break;
      }
      case 'import_private': {
        const input = bytes(one, 'bytes');
        const attempt = () => Owner.import(input);
        if (isNone(one, 'public')) {
          assert.throws(attempt, { name: 'ErrInvalidPrivateKey' }, text(one, 'description'));
          break;
        }
        // The reference looks neither at the type id of an ECDSA key nor at the public half of an Ed25519 one.
        const owner = bytes(one, 'public');
        const isPem = new TextDecoder('latin1').decode(input).includes('-----BEGIN ');
        const id = { 14: 1, 24: 2, 32: 3 }[owner.length];
        const isConsistent = isPem || (input[0] === id && (id !== 3 || equal(input.slice(33), ed25519.getPublicKey(input.slice(1, 33)))));
        if (isConsistent) assert.deepEqual(attempt().bytes, owner, text(one, 'description'));
        else assert.throws(attempt, { name: 'ErrInvalidPrivateKey' }, text(one, 'description'));
        break;
      }
      case 'passphrase': {
        const owner = Owner.fromPassphrase(text(one, 'passphrase'));
        assert.equal(owner.type, ownerTypeOfName(text(one, 'owner_type')));
        assert.equal(owner.public, text(one, 'string'));
        assert.equal(hex(owner.privateBytes()), text(one, 'private_bytes'));
        assert.equal(hex(passphraseMaskingKey(text(one, 'passphrase'))), text(one, 'masking_key'));
        break;
      }
      case 'owner_type_from_string': {
        // The reference takes every unknown name for p224.
        const known = ['p224', 'p384', 'ed25519', 'p-224', 'p-384'].includes(text(one, 'text').trim().toLowerCase());
        if (known) assert.equal(['p224', 'p384', 'ed25519'].indexOf(ownerTypeOfName(text(one, 'text'))) + 1, number(one, 'type_byte'));
        else assert.throws(() => ownerTypeOfName(text(one, 'text')), { name: 'ErrUnsupportedType' });
        break;
      }
      case 'owner_public_from_string': {
        const read = () => hex(ownerBytes(text(one, 'text')));
        const fits = /^@[0-9A-Za-z]*$/.test(text(one, 'text')) && !isNone(one, 'bytes') && [14, 24, 32].includes(bytes(one, 'bytes').length);
        if (fits) {
          assert.equal(read(), text(one, 'bytes'));
          assert.equal(`@${base62Encode(bytes(one, 'bytes'))}`, text(one, 'text'));
        } else assert.throws(read, text(one, 'text'));
        break;
      }
      default:
        assert.fail(`unknown type ${String(one.type)}`);
    }
  }
  report('owner.json', cases.length);
});

test('Ed25519 is verified without the cofactor, as nodes do', () => {
  const secret = new Uint8Array(32).fill(7);
  const { scalar, pointBytes: key } = ed25519.utils.getExtendedPublicKey(secret);
  const { Point } = ed25519;
  const message = new Uint8Array(48).fill(1);
  const little = (bytes: Uint8Array) => toBig(bytes.slice().reverse());
  const sign = (R: typeof Point.BASE, r: bigint) => {
    const k = little(sha512(concat(R.toBytes(), key, message))) % Point.Fn.ORDER;
    return concat(R.toBytes(), Point.Fn.toBytes(Point.Fn.create(r + k * scalar)));
  };
  const r = 12345n;
  const good = Point.BASE.multiply(r);
  assert.ok(verifyOwner(key, message, sign(good, r)));
  const torsion = Point.fromHex(ED25519_TORSION_SUBGROUP[1] as string);
  const odd = sign(good.add(torsion), r);
  assert.ok(ed25519.verify(odd, message, key, { zip215: true }));
  assert.equal(verifyOwner(key, message, odd), false);
  // s + n is the same number to the equation, but not in bounds.
  const high = sign(good, r);
  const s = little(high.slice(32)) + Point.Fn.ORDER;
  high.set(unhex(s.toString(16).padStart(64, '0')).reverse(), 32);
  assert.equal(verifyOwner(key, message, high), false);
});

test('owners keep their secrets', () => {
  for (const type of ['ed25519', 'p224', 'p384'] as const) {
    const owner = Owner.generate(type);
    assert.notEqual(Owner.generate(type).public, owner.public);
    assert.equal(Owner.import(owner.exportPem()).public, owner.public);
    const shown = `${JSON.stringify({ owner })}${String(owner)}${Object.values(owner).join()}`;
    assert.ok(!shown.includes(hex(owner.privateBytes()).slice(10, 30)));
    assert.equal(JSON.stringify(owner), JSON.stringify(owner.public));
  }
});

function hashOfPoint(xy: Uint8Array, name: string): Uint8Array {
  const b = concat(xy, new TextEncoder().encode(name));
  return sha256(concat(b, sha512(b)));
}
