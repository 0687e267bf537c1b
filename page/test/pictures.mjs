// `npm run pictures`: the pictures in docs/src/pictures, of a real node with some records. LF_BIN is the program.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Node, open, startBrowser } from './support.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const directory = resolve(here, process.argv[2] ?? '../../docs/src/pictures');
const COUNT = Number(process.env.LF_PICTURE_RECORDS ?? 10_000);
const WRITERS = 4;

const [node, browser] = await Promise.all([Node.start(), startBrowser()]);
await mkdir(directory, { recursive: true });
try {
  await node.owner('keeper');
  await node.owner('rival');
  await node.lf('owner', 'default', 'keeper');
  await node.lf('set', 'lighthouse', 'the lamp is lit');
  await node.lf('set', 'log#3', 'fog comes in, first bell rung');
  await node.lf('set', 'log#4', 'the sail is gone; bell every minute');
  await node.lf('set', 'log#5', 'voices on the water, answered by horn');
  await node.lf('set', '--owner', 'rival', 'lighthouse', 'no lamp here, sail on');
  const start = await open(browser, node);
  await start.page.getByText('This node is well.').waitFor();

  // Writers at the same time, so that the graph is as wide as it is where many write.
  await Promise.all(
    Array.from({ length: WRITERS }, async (_, writer) => {
      await node.owner(`writer${writer}`);
      const lines = Array.from({ length: Math.ceil(COUNT / WRITERS) }, (_, i) => JSON.stringify({ Selectors: [`sensor ${writer}#${i}`], Value: `reading ${i}` }));
      const file = join(node.base, `${writer}.jsonl`);
      await writeFile(file, lines.join('\n'));
      await node.lf('import', '--owner', `writer${writer}`, file);
    }),
  );
  await start.page.waitForTimeout(3_000);
  await start.page.screenshot({ path: join(directory, 'page-light.png') });
  await start.close();

  const dark = await open(browser, node, '#/query/lighthouse', { colorScheme: 'dark' });
  await dark.page.getByText('Why this one wins').waitFor();
  await dark.page.screenshot({ path: join(directory, 'page-dark.png') });
  await dark.close();

  const phone = await open(browser, node, '#/query/log%23', { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 });
  await phone.page.getByText('the sail is gone').waitFor();
  await phone.page.screenshot({ path: join(directory, 'page-phone.png') });
  await phone.close();

  const dag = await open(browser, node, '#/graph');
  await dag.page.getByText(/^The newest 10,000|records, \d/).waitFor();
  await dag.page.getByLabel(/Graph of the newest records/).focus();
  for (let i = 0; i < 90; i++) await dag.page.keyboard.press('ArrowLeft');
  await dag.page.getByRole('region', { name: 'Selected record' }).waitFor();
  // Without the ring around what has the focus.
  await dag.page.evaluate(() => document.activeElement.blur());
  await dag.page.waitForTimeout(500);
  await dag.page.screenshot({ path: join(directory, 'page-dag.png') });
  await dag.close();
} finally {
  await browser.close();
  await node.stop();
}
