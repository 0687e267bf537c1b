// Builds the page into the node's crate: four files, the same bytes from the same sources on every machine.
// `node build.mjs DIRECTORY` builds elsewhere, to compare.
import { copyFile, mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
export const committed = resolve(here, '../crates/lf-node/src/http/page');

/** The client's own dependencies are taken from here, so that nothing depends on what is installed beside it. */
const pinned = {
  name: 'pinned',
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, args => {
      if (args.pluginData === pinned || args.kind === 'entry-point') return undefined;
      if (args.path === 'lf-client') return { path: resolve(here, '../clients/js/src/index.ts') };
      return build.resolve(args.path, { kind: args.kind, resolveDir: here, pluginData: pinned });
    });
  },
};

export async function buildInto(directory) {
  await mkdir(directory, { recursive: true });
  await build({
    absWorkingDir: here,
    entryPoints: { page: 'src/main.ts' },
    outdir: directory,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    charset: 'utf8',
    legalComments: 'eof',
    tsconfigRaw: {},
    plugins: [pinned],
    logLevel: 'warning',
  });
  await build({
    absWorkingDir: here,
    entryPoints: { page: 'src/page.css' },
    outdir: directory,
    minify: true,
    target: 'es2022',
    charset: 'utf8',
    logLevel: 'warning',
  });
  for (const name of ['index.html', 'icon.svg']) await copyFile(join(here, 'src', name), join(directory, name));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildInto(resolve(process.argv[2] ?? committed));
