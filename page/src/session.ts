// What the user entrusted to this page. The token stays in this tab (sessionStorage) until it is closed; owners, names
// and masking keys are in memory only and gone with the page.

import type { Owner } from 'lf-client';

const KEY = 'lf-token';
let held: string | undefined;
const listeners = new Set<() => void>();

try {
  held = sessionStorage.getItem(KEY) ?? undefined;
} catch {
  // No storage here: memory will do.
}

/** The text of the node's authtoken.secret, once it was given. */
export function token(): string | undefined {
  return held;
}

export function setToken(text: string | undefined): void {
  held = text;
  try {
    if (text === undefined) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, text);
  } catch {
    // As above.
  }
  for (const listener of listeners) listener();
}

/** Calls when the token comes or goes. */
export function onToken(listener: () => void): void {
  listeners.add(listener);
}

/** Who signs. */
export const signer: { owner?: Owner } = {};

/** What queries found, so that a record's own page can show its names and value. */
export interface Seen {
  value?: Uint8Array;
  names: { name?: string; ordinal?: bigint; key: string }[];
}
const seen = new Map<string, Seen>();
const SEEN_MAX = 5_000;

export function remember(hash: string, what: Seen): void {
  if (seen.size >= SEEN_MAX) seen.delete(seen.keys().next().value as string);
  seen.set(hash, what);
}

export function recall(hash: string): Seen | undefined {
  return seen.get(hash);
}
