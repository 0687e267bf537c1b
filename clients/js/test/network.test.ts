// A real network in which records need work: the node does it, and what it did is checked here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, Genesis, blobBytes, Owner, requiredDifficulty, toBytes, type WriteOptions } from '../src/index.js';
import { workThread } from '../src/node.js';
import { TestNode, withNode } from './node.js';

/** With LF_WORK_HERE, JavaScript searches too: some minutes. */
const by: WriteOptions['work'][] = process.env.LF_WORK_HERE ? ['node', workThread, 'local'] : ['node'];

test('a network with proof of work', withNode, async () => {
  const node = await TestNode.startNetwork();
  try {
    const client = new Client(node.url);
    const status = await client.status();
    assert.equal(status.LocalTestMode, false);
    const { parameters } = Genesis.parse(blobBytes(status.GenesisRecords));
    assert.equal(parameters.name, 'test');
    for (const [i, work] of by.entries()) {
      const owner = Owner.generate(i % 2 ? 'p384' : 'p224');
      await assert.rejects(client.set(`worked#${i}`, toBytes('hard'), { owner, work: 'none' }), { name: 'ErrRecordInsufficientWork' });
      const begun = Date.now();
      const { kind, hash } = await client.set(`worked#${i}`, toBytes('hard'), { owner, work });
      assert.equal(kind, 'new');
      const record = await client.record(hash);
      await record.verify({ ...parameters, work: true });
      console.log(`work for ${record.billableBytes} bytes by ${typeof work === 'string' ? work : 'a thread'}: ${Math.round((Date.now() - begun) / 1000)} s`);
      assert.ok(record.difficulty >= requiredDifficulty(record.billableBytes, 1));
      const [set] = await client.query(`worked#${i}`);
      assert.equal(set?.[0]?.hash, hash);
    }
    // Who is not trusted gets no work, and is told so.
    const stranger = new Client(node.url, { fetch: (url, init) => fetch(url, { ...init, headers: { ...(init?.headers as object), Origin: 'http://elsewhere.example' } }) });
    await assert.rejects(stranger.set('x', toBytes('y'), { owner: Owner.generate() }), { status: 403, message: /work be done here/ });
  } finally {
    await node.remove();
  }
});
