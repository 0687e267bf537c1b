// The package as its users get it: packed, installed into a project of its own, used from plain JavaScript. And the
// examples of README.md, run there.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { TestNode, withNode } from './node.js';

const run = promisify(execFile);

test('the package', withNode, async () => {
  const project = await mkdtemp(join(tmpdir(), 'lf-js-package-'));
  const node = await TestNode.start();
  try {
    const { stdout: packed } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project]);
    const [{ filename, files }] = JSON.parse(packed) as [{ filename: string; files: { path: string }[] }];
    const paths = files.map(({ path }) => path);
    for (const wanted of ['README.md', 'package.json', 'dist/index.js', 'dist/index.d.ts', 'dist/node.js', 'dist/worker.js']) assert.ok(paths.includes(wanted), wanted);
    assert.deepEqual(paths.filter(path => /^(src|test|build|node_modules)\//.test(path)), []);
    // The main module and all that it needs of ours is for browsers too.
    const seen = new Set<string>();
    const visit = async (file: string): Promise<void> => {
      if (seen.has(file)) return;
      seen.add(file);
      for (const [, from] of (await readFile(join('dist', file), 'utf8')).matchAll(/from '([^']+)'/g)) {
        assert.doesNotMatch(from as string, /^node:/, file);
        if (from?.startsWith('./')) await visit(from);
      }
    };
    await visit('./index.js');
    await visit('./worker.js');
    assert.ok(seen.size > 10);

    await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'uses-lf', private: true, type: 'module' }));
    // What it depends on is installed here already, in the versions of the lockfile.
    const own = JSON.parse(await readFile('package.json', 'utf8')) as { dependencies: Record<string, string> };
    const lock = JSON.parse(await readFile('package-lock.json', 'utf8')) as { packages: Record<string, { dev?: boolean }> };
    const needed = Object.keys(lock.packages).filter(path => path.startsWith('node_modules/') && !lock.packages[path]?.dev);
    assert.ok(Object.keys(own.dependencies).every(name => needed.includes(`node_modules/${name}`)));
    await run('npm', ['install', '--offline', '--no-audit', '--no-fund', '--no-save', '--install-links=true', join(project, filename), ...needed.map(path => resolve(path))], { cwd: project });

    const examples = [...(await readFile('README.md', 'utf8')).matchAll(/^```js\n([^]*?)^```$/gm)].map(([, code]) => (code as string).replaceAll('http://127.0.0.1:9980', node.url));
    assert.equal(examples.length, 6);
    await node.lf(['owner', 'new', 'me']);
    await node.lf(['url', 'add', node.url]);
    // Written first, so that there is something to read.
    const order = [1, 0, 2, 3, 4, 5];
    const printed: string[] = [];
    for (const i of order) {
      const file = join(project, `example${i}.js`);
      await writeFile(file, examples[i] as string);
      const { stdout, stderr } = await run(process.execPath, [file], { cwd: project, env: { ...process.env, LF_PATH: node.clientPath } });
      assert.equal(stderr, '');
      printed[i] = stdout.trim();
    }
    assert.match(printed[0] as string, /^neigh \[.*'bad horse'.*\] 1 0$/s);
    assert.match(printed[1] as string, /^new =[0-9A-Za-z]+$/);
    assert.equal(printed[2], 'neigh');
    assert.equal(printed[3], 'true');
    assert.equal(printed[4], 'true ErrUnreachable');
    assert.equal((await node.lf(['get', '--raw', 'from node'])).toString(), 'long '.repeat(50));

    // Types are found by those who use TypeScript.
    await writeFile(join(project, 'typed.ts'), "import { Client, type Found } from 'lf-client';\nimport { compress } from 'lf-client/node';\nexport const f = async (): Promise<Found[][]> => new Client('http://x').query([]);\nexport const c: (v: Uint8Array) => Uint8Array = compress;\n");
    await run(process.execPath, [resolve('node_modules/typescript/bin/tsc'), '--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--typeRoots', resolve('node_modules/@types'), '--types', 'node', 'typed.ts'], { cwd: project }).catch((error: { stdout: string }) => assert.fail(error.stdout));
    console.log(`README.md examples ${examples.length}`);
  } finally {
    await node.remove();
    await rm(project, { recursive: true, force: true });
  }
});
