// What is committed is what the sources make.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildInto, committed } from '../build.mjs';

test('the committed files are what npm run build makes, and no others', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'lf-page-build-'));
  try {
    await buildInto(directory);
    const names = (await readdir(directory)).sort();
    assert.deepEqual((await readdir(committed)).sort(), names);
    for (const name of names) {
      const [made, kept] = await Promise.all([directory, committed].map(d => readFile(join(d, name))));
      assert.ok(made.equals(kept), `${name} is not what its sources make: run npm run build in page/ and commit it`);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('the client is built with the versions that it is tested with', async () => {
  const [page, client] = await Promise.all(
    ['../package.json', '../../clients/js/package.json'].map(async path => JSON.parse(await readFile(new URL(path, import.meta.url), 'utf8'))),
  );
  for (const [name, version] of Object.entries(client.dependencies)) {
    assert.equal(page.devDependencies[name], version, `${name}: npm install --save-dev ${name}@${version} in page/, build, and commit`);
  }
});
