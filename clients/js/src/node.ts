// What only Node has: client.json of the lf program, Brotli, and threads. Everything else is in the main module.

import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { brotliCompressSync, constants } from 'node:zlib';
import type { Bytes } from './bytes.js';
import { blobBytes, membersOf } from './bytes.js';
import { LfError } from './errors.js';
import { Owner } from './owner.js';
import type { WorkerLike } from './workers.js';

/** What client.json holds. */
export interface ClientConfig {
  /** Nodes, the default first: give them to `new Client`. */
  urls: string[];
  /** Oracles to ask about trust, `@…`. */
  oracles: string[];
  /** Key pairs by their names. */
  owners: Map<string, Owner>;
  /** The default owner, if there is one. */
  owner: Owner | undefined;
}

/** The home directory of the lf program: LF_PATH, or `.lf` in the user's, or /var/lib/lf for root. */
export function homePath(): string {
  return process.env.LF_PATH || (process.getuid?.() === 0 ? '/var/lib/lf' : join(homedir(), '.lf'));
}

/** Reads client.json, of the home directory if no file is named. */
export async function readConfig(file = join(homePath(), 'client.json')): Promise<ClientConfig> {
  const wrong = (problem: string) => new LfError('ErrIO', `${file} ${problem}`);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw wrong(`cannot be read (${(error as NodeJS.ErrnoException).code}): lf owner new makes it`);
  }
  try {
    const members = membersOf(text.trim() === '' ? {} : JSON.parse(text), 'it');
    const texts = (value: unknown) => (Array.isArray(value) ? value : []).filter((one): one is string => typeof one === 'string');
    const owners = new Map<string, Owner>();
    let owner: Owner | undefined;
    for (const [name, value] of Object.entries((members.owners ?? {}) as Record<string, unknown>)) {
      const one = membersOf(value, `owner ${name}`);
      const read = Owner.import(blobBytes(one.private, 'private key'));
      owners.set(name, read);
      if (one.default === true) owner = read;
    }
    return { urls: texts(members.urls), oracles: texts(members.oracles), owners, owner };
  } catch (error) {
    // Not the text of a JSON error: it may quote a key.
    throw wrong(error instanceof LfError ? `is wrong: ${error.message}` : 'is not JSON');
  }
}

/** The content of authtoken.secret in a node's home directory: the `token` of a Client, which its node trusts. */
export async function readToken(path = homePath()): Promise<string> {
  try {
    return (await readFile(join(path, 'authtoken.secret'), 'utf8')).trim();
  } catch (error) {
    throw new LfError('ErrIO', `authtoken.secret in ${path} cannot be read (${(error as NodeJS.ErrnoException).code}): is it the node's home directory?`);
  }
}

/** Brotli for values: the `compress` of a write. */
export function compress(value: Bytes): Bytes {
  return new Uint8Array(brotliCompressSync(value, { params: { [constants.BROTLI_PARAM_LGWIN]: 16, [constants.BROTLI_PARAM_SIZE_HINT]: value.length } }));
}

/** A thread that does proof of work: the `work` of a write. */
export function workThread(): WorkerLike {
  return new Worker(new URL('./worker.js', import.meta.url));
}
