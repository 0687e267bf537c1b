// The vector files: reading them, with whole numbers of 64 bits as bigints, and saying how many cases ran.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { unhex } from '../src/bytes.js';

/** One case: its members as they are in the file, numbers as bigints. */
export type Case = Record<string, unknown>;

/** The project's vector files, or others of the same shape. Tests run in the package's directory. */
const directory = process.env.LF_VECTORS ?? resolve('../../vectors');

/** JSON whose whole numbers are bigints. */
export function exactJson(text: string): unknown {
  const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g, token => (/^\d+$/.test(token) ? `"\u0000${token}"` : token));
  return JSON.parse(marked.replaceAll('"\u0000', '"\\u0000'), (_, value: unknown) =>
    typeof value === 'string' && value.startsWith('\u0000') ? BigInt(value.slice(1)) : value,
  );
}

export function load(name: string): Case[] {
  return exactJson(readFileSync(resolve(directory, name), 'utf8')) as Case[];
}

export function report(name: string, count: number): void {
  console.log(`${name} ${count}`);
}

function member(one: Case, name: string): unknown {
  if (!(name in one)) throw new Error(`no ${name} in ${JSON.stringify(one, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v))}`);
  return one[name];
}

export function text(one: Case, name: string): string {
  return member(one, name) as string;
}

export function bytes(one: Case, name: string): Uint8Array {
  return unhex(text(one, name));
}

export function big(one: Case, name: string): bigint {
  const value = member(one, name);
  if (typeof value !== 'bigint') throw new Error(`${name} is no whole number`);
  return value;
}

export function number(one: Case, name: string): number {
  return Number(big(one, name));
}

export function isNone(one: Case, name: string): boolean {
  return one[name] === null || one[name] === undefined;
}
