// The client: what an application calls. Names, masking keys and private keys never leave it, and what a node answers is
// checked before it is handed on.

import type { ExplainedSet, FindOptions, Found, NodeStatus, OwnerStatus, Peer, QueryResultJson, Written } from './api.js';
import { blobBytes, blobText, hashBytes, hashText, listFromJson, type Bytes } from './bytes.js';
import { invalid, LfError, wrongAnswer } from './errors.js';
import { Find } from './find.js';
import { Transport, type ClientOptions, type Request } from './http.js';
import { ownerBytes, type Owner } from './owner.js';
import { Pulse } from './pulse.js';
import { LfRecord, type RecordJson } from './record.js';
import type { SelectorsLike } from './selector.js';
import { watch, type WatchOptions } from './watch.js';
import { WORK_BYTES } from './work.js';
import { renew, write, type WriteOptions } from './write.js';

/** Of a request that can be stopped. */
export interface Stoppable {
  signal?: AbortSignal | undefined;
}

/** Speaks with a node, or with the next of several when one does not answer. */
export class Client {
  private readonly transport: Transport;

  /** `url` like `http://127.0.0.1:9980`. */
  constructor(url: string | readonly string[], options: ClientOptions = {}) {
    this.transport = new Transport(url, options);
  }

  /** The node's state, as it says. */
  async status(options: Stoppable = {}): Promise<NodeStatus> {
    const { url, body } = await this.object({ path: '/status', ...options });
    const status = body as unknown as NodeStatus;
    if (typeof status.GenesisParameters !== 'object' || typeof status.Clock !== 'number') throw wrongAnswer(url, 'it is no status');
    return status;
  }

  /** Looks for records: sets of those with the same selectors, the winner first. */
  async query(selectors: SelectorsLike, options: FindOptions = {}): Promise<Found[][]> {
    const find = new Find(selectors, options);
    const { url, body } = await this.transport.json({ path: '/query', json: find.query, signal: options.signal });
    return checking(url, options.signal, async () => {
      const sets: Found[][] = [];
      for (const set of listFromJson(body, 'result sets')) {
        const found: Found[] = [];
        for (const result of listFromJson(set, 'results')) found.push(await find.check(result));
        if (found.length) sets.push(found);
      }
      return sets;
    });
  }

  /** Looks for records and why they count. The records are checked; what the node says of them is its word. */
  async explain(selectors: SelectorsLike, options: FindOptions = {}): Promise<ExplainedSet[]> {
    const find = new Find(selectors, options);
    const { url, body } = await this.object({ path: '/v1/explain', json: find.query, signal: options.signal });
    return checking(url, options.signal, async () => {
      const sets: ExplainedSet[] = [];
      for (const set of listFromJson(body.Sets, 'result sets') as ExplainedJson[]) {
        const candidates: ExplainedSet['candidates'] = [];
        for (const one of listFromJson(set.Candidates, 'candidates') as CandidateJson[]) {
          candidates.push({
            ...(await find.check(one.Result)),
            age: one.Age,
            revisions: one.Revisions,
            reputation: one.Reputation,
            weightShare: one.WeightShare,
            recordsOnTop: one.RecordsOnTop,
            difficulty: one.Difficulty,
            certified: one.Certified,
            deniedBy: one.DeniedBy ?? [],
            goesOnFor: one.GoesOnFor ?? [],
          });
        }
        if (candidates.length) sets.push({ candidates, because: set.Because, warnings: set.Warnings ?? [] });
      }
      return sets;
    });
  }

  /** Records as they become linked. It comes again by itself where the connection is lost, and ends when `signal` says so
   * (it throws the signal's reason) or the loop is left. Oracles and limits do not apply. */
  watch(selectors: SelectorsLike, options: WatchOptions = {}): AsyncIterableIterator<Found> {
    return watch(this.transport, new Find(selectors, options), options);
  }

  /** Writes a value, unless the owner's newest record with these selectors holds it already. With `pulse`, that one is
   * pulsed then. */
  set(selectors: SelectorsLike, value: Bytes, options: WriteOptions & { pulse?: boolean | undefined }): Promise<Written> {
    return write(this, selectors, value, options);
  }

  /** Pulses the owner's newest record with these selectors: it stays for a year from now. One that is too old is written
   * again. */
  pulse(selectors: SelectorsLike, options: WriteOptions): Promise<Written> {
    return renew(this, selectors, options);
  }

  /** A record by its hash, `=…`. Its signatures are not checked: see `verify`. */
  async record(hash: string, options: Stoppable = {}): Promise<LfRecord> {
    hashOf(hash);
    const { url, body } = await this.transport.bytes({ path: `/record/raw/${hash}`, ...options });
    return checking(url, options.signal, async () => sameRecord(LfRecord.decode(body), hash));
  }

  /** A record by its hash, as the API writes it. */
  async recordJson(hash: string, options: Stoppable = {}): Promise<RecordJson> {
    hashOf(hash);
    const { url, body } = await this.object({ path: `/record/${hash}`, ...options });
    return checking(url, options.signal, async () => {
      sameRecord(LfRecord.fromJson(body), hash);
      return body as unknown as RecordJson;
    });
  }

  /** Hashes of records that a new one can link to: so many, or as many as the network wants. */
  async links(count?: number, options: Stoppable = {}): Promise<string[]> {
    if (count !== undefined && (!Number.isInteger(count) || count < 1)) throw invalid(`${count} links: must be 1 or more`);
    const { url, body } = await this.transport.bytes({ path: `/links${count === undefined ? '' : `?count=${count}`}`, ...options });
    if (body.length % 32) throw wrongAnswer(url, `links of ${body.length} bytes`);
    return Array.from({ length: body.length / 32 }, (_, i) => hashText(body.slice(32 * i, 32 * i + 32)));
  }

  /** What the node knows of an owner, `@…` or a key pair. */
  async owner(given: string | Owner, options: Stoppable = {}): Promise<OwnerStatus> {
    const owner = typeof given === 'string' ? given : given.public;
    ownerBytes(owner);
    const { url, body } = await this.object({ path: `/owner/${owner}`, ...options });
    if (body.Owner !== owner || typeof body.ServerTime !== 'number') throw wrongAnswer(url, 'it is not about the owner asked for');
    return body as unknown as OwnerStatus;
  }

  /** Publishes a record. One that the node has already is a success too. */
  async post(record: LfRecord, options: Stoppable = {}): Promise<void> {
    await this.transport.bytes({ path: '/post', bytes: record.encode(), headers: { 'Content-Type': 'application/octet-stream' }, ...options });
  }

  /** Publishes a pulse; whether the node took it. */
  async postPulse(pulse: Pulse, options: Stoppable = {}): Promise<boolean> {
    const { body } = await this.object({ path: '/pulse', bytes: pulse.encode(), headers: { 'Content-Type': 'application/octet-stream' }, ...options });
    return body.Accepted === true;
  }

  /** Lets a node that trusts us do proof of work. No key and no name goes there. */
  async work(workHash: Bytes, difficulty: number, options: Stoppable = {}): Promise<Bytes> {
    const { url, body } = await this.object({ path: '/v1/work', json: { WorkHash: blobText(workHash), Difficulty: difficulty }, patient: true, ...options });
    return checking(url, options.signal, async () => {
      const work = blobBytes(body.Work, 'work');
      if (work.length !== WORK_BYTES) throw new Error(`work of ${work.length} bytes`);
      return work;
    });
  }

  /** Lets a node that trusts us connect to a peer. */
  async connect(peer: Peer, options: Stoppable = {}): Promise<void> {
    await this.transport.bytes({ path: '/connect', json: peer, ...options });
  }

  private async object(request: Request): Promise<{ url: string; body: Record<string, unknown> }> {
    const { url, body } = await this.transport.json(request);
    if (typeof body !== 'object' || body === null || Array.isArray(body)) throw wrongAnswer(url, 'it is no JSON object');
    return { url, body: body as Record<string, unknown> };
  }
}

interface CandidateJson {
  Result: QueryResultJson;
  Age: number;
  Revisions: number;
  Reputation: number;
  WeightShare: number;
  RecordsOnTop: number;
  Difficulty: number;
  Certified: string;
  DeniedBy?: string[] | null;
  GoesOnFor?: string[] | null;
}

interface ExplainedJson {
  Candidates: unknown;
  Because: string;
  Warnings?: string[] | null;
}

/** A hash that a caller gave. */
function hashOf(text: string): Bytes {
  try {
    return hashBytes(text);
  } catch (error) {
    throw invalid((error as Error).message);
  }
}

function sameRecord(record: LfRecord, hash: string): LfRecord {
  if (record.hash !== hash) throw new Error(`it is record ${record.hash}`);
  return record;
}

/** What is wrong with an answer is the node's fault, and said so. */
async function checking<T>(url: string, signal: AbortSignal | undefined, check: () => Promise<T>): Promise<T> {
  try {
    return await check();
  } catch (error) {
    signal?.throwIfAborted();
    throw wrongAnswer(url, error instanceof LfError || error instanceof Error ? error.message : String(error));
  }
}
