// clients/e2e.json: the steps that every client does against a real node. ../README.md says what each means.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { sha256 } from '@noble/hashes/sha2.js';
import { Client, formatSelector, LfError, LfRecord, Owner, parseSelector, toBytes, type Found, type FindOptions, type OwnerType, type Selector } from '../src/index.js';
import { compress } from '../src/node.js';
import { concat, hex, unhex } from '../src/bytes.js';
import { TestNode, withNode } from './node.js';

interface Step {
  do: string;
  as?: string;
  type?: OwnerType;
  passphrase?: string;
  public?: string;
  owner?: string;
  selectors?: string[];
  owners?: string[];
  mask?: string;
  value?: unknown;
  pulse?: boolean;
  open?: boolean;
  limit?: number;
  seconds_ago?: number;
  records?: number;
  flip_bit?: boolean;
  hash?: string;
  args?: unknown[];
  stdout?: unknown;
  expect?: unknown;
  error?: string;
}

type Expected = { value?: unknown; owner?: string; trust?: number; names?: (string | null)[] };

function valueOf(given: unknown): Uint8Array {
  if (typeof given === 'string') return toBytes(given);
  const value = given as { hex?: string; repeat?: string; times?: number; noise?: number };
  if (value.hex !== undefined) return unhex(value.hex);
  if (value.repeat !== undefined) return toBytes(value.repeat.repeat(value.times as number));
  const hashes = Array.from({ length: Math.ceil((value.noise as number) / 32) }, (_, i) => sha256(toBytes(String(i))));
  return concat(...hashes).slice(0, value.noise);
}

const WATCHED_MS = 30_000;

class Runner {
  private readonly owners = new Map<string, Owner>();
  private readonly watches = new Map<string, AsyncIterator<Found>>();
  readonly stop = new AbortController();

  constructor(
    private readonly node: TestNode,
    private readonly client: Client,
  ) {}

  private owner(name: string | undefined): Owner {
    const owner = this.owners.get(name as string);
    assert.ok(owner, `no owner is called ${name}`);
    return owner;
  }

  private selectors(step: Step): Selector[] {
    return (step.selectors ?? []).map(parseSelector);
  }

  private options(step: Step): FindOptions {
    return {
      ...(step.mask !== undefined ? { maskingKey: toBytes(step.mask) } : {}),
      ...(step.owners ? { owners: step.owners.map(name => this.owner(name).public) } : {}),
      ...(step.limit ? { limit: step.limit } : {}),
      ...(step.open ? { open: true } : {}),
    };
  }

  private compare(found: Found, expected: Expected): void {
    for (const [member, wanted] of Object.entries(expected)) {
      if (member === 'value') assert.deepEqual(found.value === undefined ? null : hex(found.value), wanted === null ? null : hex(valueOf(wanted)));
      else if (member === 'owner') assert.equal(found.record.Owner, this.owner(wanted as string).public);
      else if (member === 'trust') assert.equal(found.trust, wanted);
      else if (member === 'names') {
        const names = found.names.map(({ name, ordinal }) => (name === undefined || ordinal === undefined ? null : formatSelector({ name: toBytes(name), from: ordinal, to: ordinal })));
        assert.deepEqual(names, wanted);
      } else assert.fail(`unknown member ${member}`);
    }
  }

  private compareSets(sets: Found[][], step: Step): void {
    const expected = step.expect as Expected[][];
    assert.deepEqual(sets.map(set => set.length), expected.map(set => set.length));
    for (const [i, set] of sets.entries()) for (const [k, found] of set.entries()) this.compare(found, expected[i]?.[k] as Expected);
  }

  private async raw(step: Step): Promise<LfRecord[]> {
    const [set] = await this.client.query(this.selectors(step), this.options(step));
    return Promise.all((set ?? []).map(({ hash }) => this.client.record(hash)));
  }

  private async next(name: string): Promise<Found> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('nothing came')), WATCHED_MS);
    });
    const result = await Promise.race([this.watches.get(name)?.next(), late]);
    clearTimeout(timer);
    assert.ok(result && !result.done);
    return result.value;
  }

  async run(step: Step): Promise<void> {
    const { client } = this;
    switch (step.do) {
      case 'status': {
        const status = (await client.status()) as unknown as Record<string, unknown>;
        for (const [member, expected] of Object.entries(step.expect as object)) assert.deepEqual(status[member], expected);
        return;
      }
      case 'owner': {
        const owner = step.passphrase === undefined ? Owner.generate(step.type) : Owner.fromPassphrase(step.passphrase);
        if (step.public) assert.equal(owner.public, step.public);
        this.owners.set(step.as as string, owner);
        return;
      }
      case 'reimport': {
        const again = Owner.import(this.owner(step.owner).exportPem());
        assert.equal(again.public, this.owner(step.owner).public);
        this.owners.set(step.as as string, again);
        return;
      }
      case 'get':
        return this.compareSets(await client.query(this.selectors(step), this.options(step)), step);
      case 'explain': {
        const sets = await client.explain(this.selectors(step), this.options(step));
        assert.ok(sets.every(set => set.because !== ''));
        return this.compareSets(sets.map(set => set.candidates), step);
      }
      case 'set': {
        const options = { owner: this.owner(step.owner), maskingKey: step.mask === undefined ? undefined : toBytes(step.mask), pulse: step.pulse, work: 'none' as const };
        // Some compressed, as Node can do, and some not.
        const squeeze = step.owner === 'alice' ? compress : undefined;
        const { kind } = await client.set(this.selectors(step), valueOf(step.value), { ...options, compress: squeeze });
        assert.equal(kind, step.expect);
        return;
      }
      case 'pulse': {
        const { kind, pulse } = await client.pulse(this.selectors(step), { owner: this.owner(step.owner), work: 'none' });
        assert.equal(kind, step.expect);
        assert.equal(pulse?.startsWith('!') ?? false, kind === 'pulsed');
        return;
      }
      case 'make': {
        const now = (await client.status()).Clock;
        const selectors = this.selectors(step).map(({ name, from }) => ({ Name: new TextDecoder().decode(name), Ordinal: Number(from) }));
        const body = JSON.stringify({ Selectors: selectors, Passphrase: step.passphrase, MaskingKey: step.mask, Value: step.value, Timestamp: now - (step.seconds_ago as number) });
        const response = await fetch(`${this.node.url}/makerecord`, { method: 'POST', body });
        assert.equal(response.status, 200, await response.text());
        return;
      }
      case 'watch': {
        const watch = client.watch(this.selectors(step), { ...this.options(step), from: 0, signal: this.stop.signal });
        this.watches.set(step.as as string, watch);
        return;
      }
      case 'watched': {
        for (const expected of step.expect as Expected[]) this.compare(await this.next(step.as as string), expected);
        return;
      }
      case 'verify': {
        const records = await this.raw(step);
        assert.equal(records.length, step.records);
        for (const record of records) {
          const again = LfRecord.decode(record.encode());
          assert.equal(again.hash, record.hash);
          assert.deepEqual(again.encode(), record.encode());
          await again.verify({ strictSignatures: true });
        }
        return;
      }
      case 'post': {
        const raw = ((await this.raw(step))[0] as LfRecord).encode();
        if (step.flip_bit) raw[raw.length - 1] = (raw[raw.length - 1] as number) ^ 1;
        return client.post(LfRecord.decode(raw));
      }
      case 'record':
        await client.record(step.hash as string);
        return;
      case 'lf': {
        const printed = await this.node.lf((step.args ?? []).map(arg => new TextDecoder().decode(valueOf(arg))));
        if (step.stdout !== undefined) assert.equal(hex(printed), hex(valueOf(step.stdout)));
        return;
      }
      default:
        assert.fail(`unknown step ${step.do}`);
    }
  }
}

test('e2e.json', withNode, async () => {
  const { steps } = JSON.parse(readFileSync('../e2e.json', 'utf8')) as { steps: Step[] };
  const node = await TestNode.start();
  const runner = new Runner(node, new Client(node.url));
  try {
    for (const [i, step] of steps.entries()) {
      const shown = `step ${i + 1}: ${JSON.stringify(step)}`;
      let failed: unknown;
      try {
        await runner.run(step);
      } catch (error) {
        failed = error;
      }
      if (step.error) assert.ok(failed instanceof LfError && failed.name === step.error, `${shown}: ${String(failed)}`);
      else if (failed) throw new Error(`${shown}: ${String(failed)}`, { cause: failed });
    }
    console.log(`e2e.json ${steps.length}`);
  } finally {
    runner.stop.abort();
    await node.remove();
  }
});
