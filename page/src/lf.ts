// The client of clients/js, speaking to the node the page came from.

import { Client } from 'lf-client';
import * as session from './session';

/** A client with the token, if there is one. */
export function client(): Client {
  const token = session.token();
  return new Client(location.origin, token === undefined ? {} : { token });
}

const utf8 = new TextEncoder();

export function toBytes(text: string): Uint8Array {
  return utf8.encode(text);
}
