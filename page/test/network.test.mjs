// The page on nodes with peers, in a network with an authority and proof of work.
import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Node, open, startBrowser } from './support.mjs';

let one;
let two;
let browser;

before(async () => {
  [one, two, browser] = await Promise.all([Node.made(), Node.made(), startBrowser()]);
  await one.lf('ca', 'root', '--common-name', 'Example CA', '--output', 'ca.pem');
  await one.lf('makegenesis', '--name', 'harbour', '--work-factor', '1', '--ca-file', 'ca.pem', '--amendable', 'authcertificates');
  await copyFile(join(one.base, 'genesis.lf'), join(two.base, 'genesis.lf'));
  await one.join();
  const { P2PPort } = JSON.parse(await one.lf('--json', 'status'));
  await two.join(`127.0.0.1:${P2PPort}`);
  for (const [name, title] of [['alice', 'Alice Example'], ['bob', 'Bob Example']]) {
    await one.lf('owner', 'new', name);
    await one.lf('owner', 'makecsr', name, '--common-name', title, '--output', `${name}.csr`);
    await one.lf('owner', 'authorize', 'ca.pem', `${name}.csr`, '365');
  }
  await one.lf('set', '--owner', 'alice', 'weather', 'sunny');
  const bob = /^bob .*(@\S+)/m.exec(await one.lf('owner', 'list'))[1];
  await one.lf('ca', 'revoke', 'ca.pem', bob, '--reason', 'keyCompromise');
});

after(async () => {
  await browser?.close();
  await Promise.all([one?.stop(), two?.stop()]);
});

test('peers, and that nothing is missing', async () => {
  const { page, complaints, close } = await open(browser, two, '#/peers');
  const peers = page.getByRole('table', { name: 'Connected peers' });
  await peers.getByText('in step').waitFor();
  await peers.getByText('127.0.0.1:').waitFor();
  await page.getByRole('link', { name: 'Overview', exact: true }).click();
  await page.getByText('its peer has nothing that it lacks').waitFor();
  await page.getByText('0 in, 1 out').waitFor();
  assert.deepEqual(complaints, []);
  await close();
});

test('authorities, what they issued and what they took back', async () => {
  const { page, complaints, close } = await open(browser, two, '#/owners');
  await page.getByRole('heading', { name: 'Example CA' }).waitFor();
  const issued = page.getByRole('table', { name: 'Certificates issued' });
  await issued.getByRole('row', { name: /Alice Example.*valid/ }).waitFor();
  await issued.getByRole('row', { name: /Bob Example.*revoked .*keyCompromise/ }).waitFor();
  await issued.getByRole('row', { name: /Alice Example/ }).getByRole('link').first().click();
  await page.getByText('yes, now').waitFor();
  await page.goto(new URL('/#/query/weather', two.url).href);
  await page.getByText('sunny').waitFor();
  await page.getByText('· certified').waitFor();
  assert.deepEqual(complaints, []);
  await close();
});

test('the node does the work for what is signed here, and the other node has it', async () => {
  const { page, asked, complaints, close } = await open(browser, one, '#/write?name=tide');
  await one.lf('owner', 'new', 'carol', 'p224');
  await page.getByLabel('Owner’s private key').fill(await one.lf('owner', 'exportstring', 'carol'));
  await page.getByRole('button', { name: 'Use this owner' }).click();
  await page.getByText('(p224)').waitFor();
  await page.getByLabel('Value').fill('high at noon');
  await page.getByRole('button', { name: 'Sign and publish' }).click();
  await page.getByRole('dialog').getByLabel('Token', { exact: true }).fill(await one.token());
  await page.getByRole('dialog').getByRole('button', { name: 'Use this token' }).click();
  await page.getByText('Written and published.').waitFor({ timeout: 240_000 });
  const work = asked.find(request => request.url.endsWith('/v1/work'));
  assert.deepEqual(Object.keys(JSON.parse(work.body)), ['WorkHash', 'Difficulty'], 'all that the node is told');
  // Replication takes a moment.
  let tries = 0;
  while (!/high at noon/.test(await two.lf('get', 'tide'))) assert.ok(++tries < 500, 'the record did not come to the other node');
  const other = await open(browser, two, '#/query/tide');
  await other.page.getByText('high at noon').waitFor();
  assert.deepEqual([...complaints, ...other.complaints], []);
  await other.close();
  await close();
});
