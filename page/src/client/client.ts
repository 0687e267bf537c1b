// The node's HTTP API, as far as the page needs more of it than plain JSON.

import { unsafe } from '@noble/ciphers/aes.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { base62Encode, blobBytes, blobText, compare, concat, equal, fromBig, LfError, toBig, type Bytes } from './bytes';
import type { Owner } from './owner';
import { draft, hashBytes, LfRecord, unmask, type RecordJson } from './record';
import { Name, selectorKeyRange, type Selector } from './selector';

export interface FindOptions {
  maskingKey?: Bytes;
  owners?: string[];
  order?: 'trust' | 'weight' | 'timestamp' | 'deterministic';
  oracles?: string[];
  limit?: number;
  signal?: AbortSignal;
}

export interface Found {
  hash: string;
  record: RecordJson;
  /** Unmasked here; none if the key does not fit. */
  value?: Bytes;
  names: { name?: string; ordinal?: bigint; key: string }[];
  trust: number;
  localTrust: number;
  oracleTrust: number;
  weight: bigint;
  size: number;
}

export interface Candidate extends Found {
  age: number;
  revisions: number;
  reputation: number;
  weightShare: number;
  recordsOnTop: number;
  difficulty: number;
  certified: string;
  deniedBy: string[];
  goesOnFor: string[];
}

export interface ExplainedSet {
  candidates: Candidate[];
  because: string;
  warnings: string[];
}

export interface Written {
  kind: 'new' | 'unchanged' | 'pulsed';
  hash: string;
}

interface ResultJson {
  Hash: string;
  Size: number;
  Record: RecordJson;
  Trust: number;
  LocalTrust: number;
  OracleTrust: number;
  Weight: number[];
}

interface CandidateJson {
  Result: ResultJson;
  Age: number;
  Revisions: number;
  Reputation: number;
  WeightShare: number;
  RecordsOnTop: number;
  Difficulty: number;
  Certified: string;
  DeniedBy?: string[];
  GoesOnFor?: string[];
}

const RETRY_MS = 2_000;

/** JSON whose pulse tokens, of 64 bits, stay exact: as texts. In a text, the quotes of a name are escaped. */
function readJson(text: string): unknown {
  return JSON.parse(text.replace(/"PulseToken":(\d+)/g, '"PulseToken":"$1"'));
}

export class Client {
  constructor(
    private readonly url: string,
    private readonly options: { token?: string } = {},
  ) {}

  private async ask(path: string, init: RequestInit = {}): Promise<Response> {
    const token = this.options.token;
    const response = await fetch(new URL(path, this.url), {
      ...init,
      headers: { ...(init.headers as Record<string, string>), ...(token ? { Authorization: `Bearer ${token}` } : {}) },
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
    });
    if (response.ok) return response;
    const told = (await response.json().catch(() => ({}))) as { Message?: string; ErrTypeName?: string };
    throw new LfError(told.Message ?? `the node answered ${response.status}`, told.ErrTypeName || 'ErrInvalidObject', response.status);
  }

  private async post<T>(path: string, json: unknown, signal?: AbortSignal): Promise<T> {
    const init: RequestInit = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(json) };
    if (signal) init.signal = signal;
    return readJson(await (await this.ask(path, init)).text()) as T;
  }

  async explain(selectors: Selector[], options: FindOptions = {}): Promise<ExplainedSet[]> {
    type Answer = { Sets: { Candidates: CandidateJson[]; Because: string; Warnings?: string[] }[] };
    const answer = await this.post<Answer>('/v1/explain', query(selectors, options), options.signal);
    const check = new Check(selectors, options);
    const sets: ExplainedSet[] = [];
    for (const set of answer.Sets) {
      const candidates: Candidate[] = [];
      for (const one of set.Candidates) {
        candidates.push({
          ...(await check.found(one.Result)),
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
      sets.push({ candidates, because: set.Because, warnings: set.Warnings ?? [] });
    }
    return sets;
  }

  async query(selectors: Selector[], options: FindOptions = {}): Promise<Found[][]> {
    const answer = await this.post<ResultJson[][]>('/query', query(selectors, options), options.signal);
    const check = new Check(selectors, options);
    return Promise.all(answer.map(set => Promise.all(set.map(one => check.found(one)))));
  }

  /** Records as they become linked; comes again by itself where the connection was lost. */
  async *watch(selectors: Selector[], options: FindOptions = {}): AsyncGenerator<Found> {
    const body = JSON.stringify(query(selectors, options));
    const check = new Check(selectors, options);
    let last: string | undefined;
    for (;;) {
      try {
        const headers: Record<string, string> = { 'Content-Type': 'application/json' };
        if (last !== undefined) headers['Last-Event-ID'] = last;
        const init: RequestInit = { method: 'POST', headers, body };
        if (options.signal) init.signal = options.signal;
        const response = await this.ask('/v1/watch', init);
        for await (const event of events(response.body as ReadableStream<Bytes>)) {
          if (event.id !== undefined) last = event.id;
          if (event.name === 'record') yield await check.found(readJson(event.data) as ResultJson);
        }
      } catch (error) {
        options.signal?.throwIfAborted();
        // What the node refuses now it refuses again.
        if (error instanceof LfError && error.status !== 503) throw error;
      }
      options.signal?.throwIfAborted();
      await new Promise(resolve => setTimeout(resolve, RETRY_MS));
    }
  }

  async record(hash: string): Promise<LfRecord> {
    hashBytes(hash);
    const response = await this.ask(`/record/raw/${hash}`);
    const record = LfRecord.decode(new Uint8Array(await response.arrayBuffer()));
    if (record.hash !== hash) throw new LfError('the node gave another record than was asked for');
    return record;
  }

  async set(
    selectors: Selector[],
    value: Bytes,
    options: { owner: Owner; maskingKey?: Bytes; work?: 'node' | 'none'; signal?: AbortSignal },
  ): Promise<Written> {
    const { owner, signal } = options;
    type Network = { LocalTestMode: boolean; GenesisParameters: { AuthRequired: boolean; WorkFactor?: number; RecordMaxValueSize: number; RecordMaxTimeDrift: number } };
    type Status = { NewRecordLinks?: string[]; ServerTime: number; HasCurrentCertificate: boolean };
    const init: RequestInit = signal ? { signal } : {};
    const [network, status] = await Promise.all([
      this.ask('/status', init).then(r => r.json() as Promise<Network>),
      this.ask(`/owner/${owner.public}`, init).then(r => r.json() as Promise<Status>),
    ]);
    const maskingKey = options.maskingKey ?? (selectors[0] as Selector).name;
    const find: FindOptions = { owners: [owner.public], limit: 1, maskingKey };
    if (signal) find.signal = signal;
    const existing = (await this.query(selectors, find))[0]?.[0];
    if (existing?.value && equal(existing.value, value)) return { kind: 'unchanged', hash: existing.hash };
    const parameters = network.GenesisParameters;
    if (value.length > parameters.RecordMaxValueSize) {
      throw new LfError(`the value has ${value.length} bytes; this network takes ${parameters.RecordMaxValueSize}`, 'ErrRecordValueTooLarge');
    }
    const needsWork = !network.LocalTestMode && !status.HasCurrentCertificate;
    if (needsWork && parameters.AuthRequired) {
      throw new LfError('this network wants owners with a certificate, and this one has none: lf owner makecsr', 'ErrRecordCertificateRequired');
    }
    // Of two revisions of one second the larger hash counts, so ours must not be of the second of the old one.
    const now = status.ServerTime;
    const timestamp = existing ? Math.min(Math.max(now, existing.record.Timestamp + 1), now + parameters.RecordMaxTimeDrift) : now;
    const names = selectors.map(s => ({ name: s.name, ordinal: s.from }));
    const made = draft({ owner, value, maskingKey, selectors: names, links: status.NewRecordLinks ?? [], timestamp, pulseToken: await pulseToken(names, timestamp, owner, signal) });
    let work: Bytes | undefined;
    if (needsWork) {
      if (options.work === 'none') throw new LfError('this network wants proof of work', 'ErrRecordInsufficientWork');
      const difficulty = Math.min(0x0f7b0000, cost(made.billableBytes) * (parameters.WorkFactor || 1));
      const answer = await this.post<{ Work: string }>('/v1/work', { WorkHash: blobText(made.workHash), Difficulty: difficulty }, signal);
      work = blobBytes(answer.Work);
    }
    const record = made.sign(owner, work);
    await this.ask('/post', { ...init, method: 'POST', body: record.encode() as Uint8Array<ArrayBuffer> });
    return { kind: 'new', hash: record.hash };
  }
}

function query(selectors: Selector[], options: FindOptions): object {
  if (selectors.length === 0 || selectors.length > 15) throw new LfError('a query has 1 to 15 selectors', 'ErrQueryRequiresSelectors');
  return {
    Ranges: selectors.map(selector => {
      const [first, last] = selectorKeyRange(selector);
      return { KeyRange: equal(first, last) ? [blobText(first)] : [blobText(first), blobText(last)] };
    }),
    ...(options.order && options.order !== 'trust' ? { SortOrder: options.order } : {}),
    ...(options.owners ? { Owners: options.owners } : {}),
    ...(options.oracles ? { Oracles: options.oracles } : {}),
    ...(options.limit ? { Limit: options.limit } : {}),
  };
}

/** Checks what a node answers: records that hash to what it says, are signed, and lie in the ranges asked for. */
class Check {
  private readonly ranges: { name: Name; text: string; first: Bytes; last: Bytes }[];
  private readonly maskingKey: Bytes;
  private rested = performance.now();

  constructor(selectors: Selector[], options: FindOptions) {
    this.ranges = selectors.map(selector => {
      const [first, last] = selectorKeyRange(selector);
      return { name: Name.of(selector.name), text: new TextDecoder().decode(selector.name), first, last };
    });
    this.maskingKey = options.maskingKey ?? selectors[0]?.name ?? new Uint8Array(0);
  }

  async found(result: ResultJson): Promise<Found> {
    // Many records take a while: the page goes on meanwhile.
    if (performance.now() - this.rested > 30) {
      await new Promise(resolve => setTimeout(resolve));
      this.rested = performance.now();
    }
    const bad = (why: string) => new LfError(`the node’s answer is not to be trusted: ${why}`, 'ErrInvalidObject');
    const record = LfRecord.fromJson(result.Record);
    if (record.hash !== result.Hash) throw bad('a record is another than it says');
    await record.verify();
    const keys = record.keys();
    const names = keys.map((key, i) => {
      const range = this.ranges[i];
      const shown = `?${base62Encode(key)}`;
      if (!range) return { key: shown };
      if (compare(key, range.first) < 0 || compare(key, range.last) > 0) throw bad('a record was not asked for');
      try {
        return { name: range.text, ordinal: range.name.unmask((record.selectors[i] as { ordinal: Bytes }).ordinal), key: shown };
      } catch {
        return { name: range.text, key: shown };
      }
    });
    if (keys.length < this.ranges.length) throw bad('a record was not asked for');
    const found: Found = {
      hash: result.Hash,
      record: result.Record,
      names,
      trust: result.Trust,
      localTrust: result.LocalTrust,
      oracleTrust: result.OracleTrust,
      weight: result.Weight.reduce((sum, word) => (sum << 32n) | BigInt(word), 0n),
      size: result.Size,
    };
    try {
      found.value = unmask(record, this.maskingKey);
    } catch {
      // Another key.
    }
    return found;
  }
}

/** Server-sent events. */
async function* events(stream: ReadableStream<Bytes>): AsyncGenerator<{ id?: string; name: string; data: string }> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let buffer = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      buffer += decoder.decode(value, { stream: true });
      let end: number;
      while ((end = buffer.indexOf('\n\n')) >= 0) {
        const event: { id?: string; name: string; data: string } = { name: '', data: '' };
        for (const line of buffer.slice(0, end).split('\n')) {
          const [, field, content = ''] = /^(\w+): ?(.*)$/.exec(line) ?? [];
          if (field === 'id') event.id = content;
          else if (field === 'event') event.name = content;
          else if (field === 'data') event.data += content;
        }
        buffer = buffer.slice(end + 2);
        yield event;
      }
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}

/** What work must pay for so many bytes (PROTOCOL.md §8). */
export function cost(bytes: number): number {
  if (bytes < 4) return bytes + 1;
  const b = 3 * Math.min(bytes, 65_536);
  let s = Math.floor(Math.sqrt(b));
  if (b - s * s > s) s++;
  return s * b * 3 - 8 * b;
}

const MINUTES_MAX = 525_600;

/** The end of the chain whose other links are a record's pulses (PROTOCOL.md §9). */
export async function pulseToken(names: { name: Bytes; ordinal: bigint }[], timestamp: number, owner: Owner, signal?: AbortSignal): Promise<bigint> {
  const start = sha256(concat(...names.flatMap(({ name, ordinal }) => [name, fromBig(ordinal, 8)]), fromBig(BigInt(timestamp), 8), owner.privateHash()));
  let i = toBig(start.slice(0, 8));
  const slice = 20_000;
  for (let done = 0; done < MINUTES_MAX; done += slice) {
    i = th64(i, Math.min(slice, MINUTES_MAX - done));
    await new Promise(resolve => setTimeout(resolve));
    signal?.throwIfAborted();
  }
  return i;
}

const TH64_KEY = unsafe.expandKeyLE(Uint8Array.of(0x01, 0xc8, 0x10, 0x5d, 0x63, 0x65, 0x10, 0x04, 0x63, 0xca, 0xff, 0xfe, 0x16, 0x11, 0x2a, 0xad));

export function th64(start: bigint, times: number): bigint {
  let low = Number(start & 0xffffffffn);
  let high = Number(start >> 32n);
  for (let k = 0; k < times; k++) {
    const { s0, s1, s2, s3 } = unsafe.encrypt(TH64_KEY, low, high, 0, 0);
    low = (s0 ^ s2 ^ low) >>> 0;
    high = (s1 ^ s3 ^ high) >>> 0;
  }
  return (BigInt(high) << 32n) | BigInt(low);
}
