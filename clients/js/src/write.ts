// Writing: records are made, worked for and signed here, then posted. Keys and names stay.

import type { NodeStatus, OwnerStatus, Written } from './api.js';
import { equal, NO_BYTES, type Bytes } from './bytes.js';
import type { Client } from './client.js';
import { invalid, LfError } from './errors.js';
import type { Owner } from './owner.js';
import { Pulse, PULSE_MINUTES_MAX, pulseStart, th64Slowly } from './pulse.js';
import { maskValue, type Compress } from './masking.js';
import { LfRecord } from './record.js';
import { formatSelector, selectorsOf, type SelectorsLike } from './selector.js';
import { requiredDifficulty, searchWork, type WorkProgress } from './work.js';
import { searchInWorker, type WorkerFactory } from './workers.js';

/** Who does the work, where the network wants some: a node that trusts us, this thread in slices, a Worker, or nobody. */
export type WorkBy = 'node' | 'local' | 'none' | WorkerFactory;

/** How to write. */
export interface WriteOptions {
  owner: Owner;
  /** Masks the value; by default the first selector's name. Never sent. */
  maskingKey?: Bytes | undefined;
  /** Who does the work, if the network wants any: the node if not said. */
  work?: WorkBy | undefined;
  /** Hears how the work goes. */
  onProgress?: ((progress: WorkProgress) => void) | undefined;
  /** Compresses values with Brotli, as `compress` of `lf-client/node` does; they are written as they are without. */
  compress?: Compress | undefined;
  signal?: AbortSignal | undefined;
}

interface Plain {
  name: Bytes;
  ordinal: bigint;
}

/** What a node says before a record is made. */
interface Situation {
  status: NodeStatus;
  owner: OwnerStatus;
  existing: { record: LfRecord; value: Bytes | undefined; pulse: number } | undefined;
}

/** Writes a value, unless the owner's newest record with these selectors holds it already. */
export async function write(client: Client, selectors: SelectorsLike, value: Bytes, options: WriteOptions & { pulse?: boolean | undefined }): Promise<Written> {
  const plain = plainOf(selectors);
  const situation = await situationOf(client, selectors, options);
  const { existing } = situation;
  if (existing?.value && equal(existing.value, value)) {
    const unchanged: Written = { kind: 'unchanged', hash: existing.record.hash };
    if (!options.pulse) return unchanged;
    const pulsed = await pulseRecord(client, plain, situation, options);
    if (pulsed === 'not yet') return unchanged;
    if (pulsed instanceof Pulse) return { ...unchanged, kind: 'pulsed', pulse: pulsed.toString() };
    // It cannot be pulsed any more, or never could: written again.
  }
  return writeNew(client, plain, value, situation, options);
}

/** Pulses the owner's newest record with these selectors; one too old for that is written again. */
export async function renew(client: Client, selectors: SelectorsLike, options: WriteOptions): Promise<Written> {
  const plain = plainOf(selectors);
  const situation = await situationOf(client, selectors, options);
  const { existing } = situation;
  if (!existing) throw new LfError('ErrRecordNotFound', `${options.owner.public} has no record with these selectors: write it first`);
  const { hash } = existing.record;
  const pulsed = await pulseRecord(client, plain, situation, options);
  if (pulsed === 'not yet') return { kind: 'unchanged', hash };
  if (pulsed instanceof Pulse) return { kind: 'pulsed', hash, pulse: pulsed.toString() };
  if (pulsed === 'not pulsable') throw new LfError('ErrInvalidParameter', `record ${hash} cannot be pulsed: it has no pulse token of this owner and these selectors`);
  if (!existing.value) throw new LfError('ErrIncorrectKey', `record ${hash} is too old to be pulsed, and its value cannot be unmasked to write it again: give the masking key`);
  return writeNew(client, plain, existing.value, situation, options);
}

function plainOf(selectors: SelectorsLike): Plain[] {
  return selectorsOf(selectors).map(selector => {
    if (selector.from !== selector.to) throw invalid(`selector ${JSON.stringify(formatSelector(selector))} stands for several ordinals: write it as name#ordinal`);
    return { name: selector.name, ordinal: selector.from };
  });
}

async function situationOf(client: Client, selectors: SelectorsLike, { owner, maskingKey, signal }: WriteOptions): Promise<Situation> {
  const find = { owners: [owner.public], limit: 1, ...(maskingKey ? { maskingKey } : {}), ...(signal ? { signal } : {}) };
  const [status, known, sets] = await Promise.all([client.status({ signal }), client.owner(owner.public, { signal }), client.query(selectors, find)]);
  const found = sets[0]?.[0];
  const existing = found && { record: LfRecord.fromJson(found.record), value: found.value, pulse: found.pulse };
  return { status, owner: known, existing };
}

async function writeNew(client: Client, plain: readonly Plain[], value: Bytes, situation: Situation, options: WriteOptions): Promise<Written> {
  const { owner, signal } = options;
  const { status, existing } = situation;
  const parameters = status.GenesisParameters;
  const max = parameters.RecordMaxValueSize;
  const size = value.length > max && options.compress ? maskValue(value, 0n, NO_BYTES, owner.bytes, options.compress).length - 2 : value.length;
  if (size > max) throw new LfError('ErrRecordValueTooLarge', `value of ${size} bytes (as stored) is larger than this network's ${max}`);
  const isFree = status.LocalTestMode || situation.owner.HasCurrentCertificate;
  if (!isFree && parameters.AuthRequired) {
    throw new LfError('ErrRecordCertificateRequired', `this network requires a certificate, and ${owner.public} has none that is valid: ask who runs it (lf owner makecsr)`);
  }
  // Of two revisions of one second the larger hash counts, so ours must not be of the second of the old one.
  const now = situation.owner.ServerTime;
  const timestamp = existing ? Math.min(Math.max(now, existing.record.timestamp + 1), now + parameters.RecordMaxTimeDrift) : now;
  const start = pulseStart(plain, BigInt(timestamp), owner.privateHash());
  const pulseToken = await th64Slowly(start, PULSE_MINUTES_MAX, signal);
  const links = situation.owner.NewRecordLinks ?? [];
  const made = LfRecord.build({ owner, value, maskingKey: options.maskingKey, selectors: plain, links, timestamp, pulseToken, compress: options.compress });
  const work = isFree ? undefined : await workFor(client, made, requiredDifficulty(made.billableBytes, parameters.WorkFactor ?? 1), options);
  signal?.throwIfAborted();
  const record = made.sign(owner, work);
  await client.post(record, { signal });
  return { kind: 'new', hash: record.hash };
}

async function workFor(client: Client, record: LfRecord, difficulty: number, { owner, work = 'node', onProgress, signal }: WriteOptions): Promise<Bytes> {
  if (work === 'none') throw new LfError('ErrRecordInsufficientWork', `${owner.public} has no certificate, so the record needs proof of work: let the node or a worker do it`);
  if (work === 'node') {
    try {
      return await client.work(record.workHash, difficulty, { signal });
    } catch (error) {
      if (!(error instanceof LfError) || error.status !== 403) throw error;
      throw new LfError(error.name, `${error.message}; give its token, or let work be done here: work 'local', or a worker`, error.status);
    }
  }
  if (work === 'local') return searchWork(record.workHash, difficulty, { onProgress, signal });
  return searchInWorker(work, record.workHash, difficulty, { onProgress, signal });
}

async function pulseRecord(client: Client, plain: readonly Plain[], situation: Situation, { owner, signal }: WriteOptions): Promise<Pulse | 'not yet' | 'expired' | 'not pulsable'> {
  const { record, pulse } = situation.existing as NonNullable<Situation['existing']>;
  const minutes = Math.max(0, Math.floor((situation.owner.ServerTime - record.timestamp) / 60));
  if (minutes > PULSE_MINUTES_MAX) return 'expired';
  // One way along the chain gives the pulse, and shows whether it is the record's.
  const key = await th64Slowly(pulseStart(plain, BigInt(record.timestamp), owner.privateHash()), PULSE_MINUTES_MAX - minutes, signal);
  if ((await th64Slowly(key, minutes, signal)) !== record.pulseToken || record.pulseToken === 0n) return 'not pulsable';
  if (minutes <= Math.floor(Math.max(0, pulse - record.timestamp) / 60)) return 'not yet';
  const made = new Pulse(key, minutes);
  if (!(await client.postPulse(made, { signal }))) throw new LfError('ErrInvalidParameter', 'the node did not accept the pulse');
  return made;
}
