// As much of DER as it takes to name the network's authorities: the serial number and subject of certificates in a row.

import { base62Encode } from 'lf-client';

interface Item {
  tag: number;
  content: Uint8Array;
  whole: Uint8Array;
}

/** The items in a row of bytes; throws if they are cut. */
function items(data: Uint8Array): Item[] {
  const out: Item[] = [];
  let at = 0;
  while (at < data.length) {
    const tag = data[at] ?? 0;
    let length = data[at + 1] ?? 0;
    let start = at + 2;
    if (length & 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 3) throw new Error('not a certificate');
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + (data[start++] ?? 0);
    }
    const end = start + length;
    if (end > data.length) throw new Error('a certificate that is cut off');
    out.push({ tag, content: data.subarray(start, end), whole: data.subarray(at, end) });
    at = end;
  }
  return out;
}

export interface Authority {
  /** Base62. */
  serial: string;
  subject: string;
}

/** Certificates in a row. What cannot be read ends the list. */
export function authorities(data: Uint8Array): Authority[] {
  const out: Authority[] = [];
  try {
    for (const certificate of items(data)) {
      const [body] = items(certificate.content);
      if (!body) continue;
      const fields = items(body.content);
      if (fields[0]?.tag === 0xa0) fields.shift();
      const [serial, , , , subject] = fields;
      if (!serial || !subject) continue;
      out.push({ serial: base62Encode(positive(serial.content)), subject: name(subject.content) });
    }
  } catch {
    // As said.
  }
  return out;
}

function positive(integer: Uint8Array): Uint8Array {
  return integer[0] === 0 && integer.length > 1 ? integer.subarray(1) : integer;
}

const COMMON_NAME = '85,4,3';

function name(rdns: Uint8Array): string {
  const texts = new TextDecoder();
  for (const rdn of items(rdns)) {
    for (const pair of items(rdn.content)) {
      const [oid, text] = items(pair.content);
      if (oid && text && oid.content.join(',') === COMMON_NAME) return texts.decode(text.content);
    }
  }
  return '';
}
