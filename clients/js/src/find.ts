// Looking for records: selectors become ranges of keys, so that names and masking keys stay here, and what a node answers
// is checked against what was asked for.

import type { FindOptions, Found, FoundName, QueryResultJson } from './api.js';
import { base62Encode, blobText, compare, equal, listFromJson, wholeFromJson, type Bytes } from './bytes.js';
import { invalid, LfError } from './errors.js';
import { ownerBytes } from './owner.js';
import { LfRecord } from './record.js';
import { Name, selectorKeyRange, selectorsOf, type Selector, type SelectorsLike } from './selector.js';

/** How long checking goes on before others get their turn. */
const SLICE_MS = 20;

interface Target {
  name: Name;
  text: string;
  first: Bytes;
  last: Bytes;
}

/** A question: the query to send, and the checks of its answer. */
export class Find {
  private readonly targets: Target[];
  private readonly maskingKey: Bytes;
  private rested = Date.now();

  constructor(
    given: SelectorsLike,
    private readonly options: FindOptions,
  ) {
    const selectors = selectorsOf(given);
    for (const owner of [...(options.owners ?? []), ...(options.oracles ?? [])]) ownerBytes(owner);
    for (const number of [options.limit, options.after, options.before]) {
      if (number !== undefined && (!Number.isSafeInteger(number) || number < 0)) throw invalid(`${number} is not a whole number from 0 to 2⁵³ − 1`);
    }
    this.targets = selectors.map(selector => {
      const [first, last] = selectorKeyRange(selector);
      return { name: Name.of(selector.name), text: new TextDecoder('utf-8', { ignoreBOM: true }).decode(selector.name), first, last };
    });
    this.maskingKey = options.maskingKey ?? (selectors[0] as Selector).name;
  }

  /** The query as the API has it. */
  get query(): object {
    const { owners, oracles, order, limit, open, followRotations, after, before } = this.options;
    return {
      Ranges: this.targets.map(({ first, last }) => ({ KeyRange: equal(first, last) ? [blobText(first)] : [blobText(first), blobText(last)] })),
      ...(before !== undefined ? { TimeRange: [after ?? 0, before] } : after !== undefined ? { TimeRange: [after] } : {}),
      ...(owners?.length ? { Owners: owners } : {}),
      ...(order && order !== 'trust' ? { SortOrder: order } : {}),
      ...(limit ? { Limit: limit } : {}),
      ...(open ? { Open: true } : {}),
      ...(oracles?.length ? { Oracles: oracles } : {}),
      ...(followRotations ? { FollowRotations: true } : {}),
    };
  }

  /** Whether a watched record is of an owner and a time asked for: nodes do not look at these. */
  isWanted(result: QueryResultJson): boolean {
    const { owners, after = 0, before = Infinity } = this.options;
    const timestamp = Number(result.Record.Timestamp);
    return timestamp >= after && timestamp <= before && (!owners?.length || owners.includes(result.Record.Owner));
  }

  /** Checks a record of an answer, and unmasks its value. An error says what is wrong with it. */
  async check(json: unknown): Promise<Found> {
    // Many records take a while: others go on meanwhile.
    if (Date.now() - this.rested > SLICE_MS) {
      await new Promise(resolve => setTimeout(resolve));
      this.options.signal?.throwIfAborted();
      this.rested = Date.now();
    }
    const result = resultOf(json);
    const record = LfRecord.fromJson(result.Record);
    if (record.hash !== result.Hash) throw new Error(`record ${result.Hash} is really ${record.hash}`);
    const recovered = record.verifyClaims();
    const complain = (problem: string) => new Error(`record ${record.hash} ${problem}`);
    const enough = this.options.open ? recovered.length >= this.targets.length : recovered.length === this.targets.length;
    const within = ({ first, last }: Target, key: Bytes | undefined) => key !== undefined && compare(first, key) <= 0 && compare(key, last) <= 0;
    if (!enough || !this.targets.every((target, i) => within(target, recovered[i]?.key))) throw complain('does not have the selectors asked for');
    if (this.options.owners?.length && !this.options.owners.includes(record.owner)) throw complain('is of an owner not asked for');
    const { after = 0, before = Infinity } = this.options;
    if (record.timestamp < after || record.timestamp > before) throw complain('is of a time not asked for');
    const names = recovered.map(({ key }, i): FoundName => {
      const target = this.targets[i];
      const shown = `?${base62Encode(key)}`;
      if (!target) return { key: shown };
      try {
        return { name: target.text, ordinal: target.name.mask.unmask((record.selectors[i] as { ordinal: Bytes }).ordinal), key: shown };
      } catch {
        // A key of this name, whose ordinal was not masked by it.
        return { name: target.text, key: shown };
      }
    });
    const found: Found = {
      hash: result.Hash,
      record: result.Record,
      names,
      trust: result.Trust,
      localTrust: result.LocalTrust,
      oracleTrust: result.OracleTrust,
      weight: result.Weight.reduce((sum, word) => (sum << 32n) | BigInt(word), 0n),
      signed: result.Signed,
      pulse: Number(wholeFromJson(result.Pulse ?? record.timestamp, 'Pulse')),
      size: result.Size,
    };
    try {
      found.value = record.value(this.maskingKey);
    } catch (error) {
      // Of another masking key, or damaged before it was masked: there is a record, but no value to be had.
      if (!(error instanceof LfError)) throw error;
    }
    return found;
  }
}

function resultOf(json: unknown): QueryResultJson {
  const result = (typeof json === 'object' && json !== null ? json : {}) as QueryResultJson;
  const numbers = [result.Trust, result.LocalTrust, result.OracleTrust, result.Size];
  const words = listFromJson(result.Weight, 'weights', 4);
  const fine =
    numbers.every(n => typeof n === 'number' && n >= 0) &&
    typeof result.Hash === 'string' &&
    words.length === 4 &&
    words.every(word => Number.isInteger(word) && (word as number) >= 0 && (word as number) < 2 ** 32);
  if (!fine) throw new Error('a record has something missing');
  return { ...result, Signed: result.Signed === true };
}
