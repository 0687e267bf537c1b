// Proof of work: wharrgarbl.json, the work in records.json, and searching, here and in a thread. The table takes half a
// minute to make.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '@noble/hashes/sha2.js';
import { hex } from '../src/bytes.js';
import { workThread } from '../src/node.js';
import { LfRecord } from '../src/record.js';
import { tableByWebCrypto, tableInSteps } from '../src/table.js';
import { estimateSeconds, expectedHashes, prepareWorkTable, searchWork, verifyWork, WorkHasher, workCost, workTable } from '../src/work.js';
import { searchInWorker, type WorkerLike } from '../src/workers.js';
import { big, bytes, load, number, report, text } from './vectors.js';

test('the table can be made in slices and stopped', async () => {
  const stop = new AbortController();
  const making = prepareWorkTable(stop.signal);
  stop.abort();
  await assert.rejects(making, { name: 'AbortError' });
});

test('WebCrypto makes the table of the definition', async () => {
  for (const mebibytes of [1, 3]) {
    const making = tableInSteps(mebibytes << 20);
    let step = making.next();
    while (!step.done) step = making.next();
    assert.equal(hex(sha256(step.value)), hex(sha256(await tableByWebCrypto(crypto.subtle, undefined, mebibytes << 20))));
  }
});

test('wharrgarbl.json', async () => {
  await prepareWorkTable();
  const cases = load('wharrgarbl.json');
  for (const one of cases) {
    switch (one.type) {
      case 'table': {
        const table = workTable();
        assert.equal(table.length, number(one, 'size'));
        assert.equal(hex(sha256(table)), text(one, 'sha256'));
        assert.equal(hex(table.slice(0, 64)), text(one, 'first_64_bytes'));
        assert.equal(hex(table.slice(-64)), text(one, 'last_64_bytes'));
        break;
      }
      case 'frankenhash': {
        const hasher = new WorkHasher(bytes(one, 'work_input'));
        const branches = one.branches as string[];
        assert.equal(hasher.hash(bytes(one, 'in')), big(one, 'out'));
        const isCheap = branches[0] === 'rounds1' && !branches.includes('table');
        assert.equal(hasher.cheapHash(bytes(one, 'in')), isCheap ? big(one, 'out') : undefined);
        break;
      }
      case 'verify': {
        const work = bytes(one, 'work');
        if (work.length === 14) assert.equal(verifyWork(bytes(one, 'input'), work), number(one, 'verify'), text(one, 'description'));
        else assert.throws(() => verifyWork(bytes(one, 'input'), work), { name: 'ErrInvalidObject' });
        break;
      }
      default:
        assert.fail(`unknown type ${String(one.type)}`);
    }
  }
  report('wharrgarbl.json', cases.length);
});

test('work in records.json', async () => {
  let worked = 0;
  for (const one of load('records.json')) {
    if (one.type !== 'record') continue;
    const record = LfRecord.decode(bytes(one, 'record'));
    if (one.validate_work === true) {
      await record.verify({ work: true });
      await assert.rejects(record.verify({ work: true, workFactor: 1000 }), { name: 'ErrRecordInsufficientWork' });
      worked++;
    } else await assert.rejects(record.verify({ work: true }), { name: 'ErrRecordInsufficientWork' });
  }
  assert.ok(worked >= 3);
  report('records.json, real work', worked);
});

test('a search finds what verifies', async () => {
  const input = new Uint8Array(48).fill(1);
  const heard: number[] = [];
  const work = await searchWork(input, 20, { onProgress: ({ hashes, expected }) => heard.push(hashes / expected) });
  assert.equal(verifyWork(input, work), 20);
  assert.equal(verifyWork(new Uint8Array(48).fill(2), work), 0);
  await assert.rejects(searchWork(input, 0), { name: 'ErrInvalidObject' });
  const stop = new AbortController();
  await assert.rejects(searchWork(input, 0x0f7b0000, { signal: stop.signal, onProgress: () => stop.abort() }), { name: 'AbortError' });
  console.log(`a small record (250 bytes): ${Math.round(expectedHashes(workCost(250)) / 1e5) / 10} million hashes, about ${Math.round(estimateSeconds(workCost(250)) / 60)} minutes`);
});

test('a search in a thread', async () => {
  const input = new Uint8Array(48).fill(3);
  let heard = 0;
  const work = await searchInWorker(workThread, input, 20, { onProgress: () => heard++ });
  assert.equal(verifyWork(input, work), 20);
  assert.ok(heard >= 0);
});

test('a thread that fails or is stopped is ended', async () => {
  let ended = 0;
  const fake = (answer: unknown): WorkerLike => {
    const listeners = new Map<string, (given: unknown) => void>();
    return {
      on: (kind: string, listener: (given: unknown) => void) => listeners.set(kind, listener),
      postMessage: () => queueMicrotask(() => listeners.get(answer instanceof Error ? 'error' : 'message')?.(answer)),
      terminate: () => ended++,
    };
  };
  const input = new Uint8Array(48);
  await assert.rejects(searchInWorker(() => fake(new Error('no memory')), input, 1), { name: 'ErrWharrgarblFailed', message: /no memory/ });
  await assert.rejects(searchInWorker(() => fake({ error: 'broken' }), input, 1), { name: 'ErrWharrgarblFailed' });
  await assert.rejects(searchInWorker(() => fake({ work: new Uint8Array(3) }), input, 1), { name: 'ErrInvalidObject' });
  const stop = new AbortController();
  const search = searchInWorker(() => fake({ hashes: 1, expected: 2 }), input, 1, { signal: stop.signal, onProgress: () => stop.abort() });
  await assert.rejects(search, { name: 'AbortError' });
  assert.equal(ended, 4);
});
