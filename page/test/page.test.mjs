// The page in a real browser, on a real node.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import axe from 'axe-core';
import { lookUp, Node, open, startBrowser } from './support.mjs';

const VIEWS = ['#/', '#/graph', '#/watch', '#/watch/lighthouse', '#/peers', '#/owners', '#/write', '#/query/lighthouse', '#/query/log%23', '#/query/nothing%20here', '#/elsewhere'];
let node;
let browser;

before(async () => {
  [node, browser] = await Promise.all([Node.start(), startBrowser()]);
});

after(async () => {
  await browser?.close();
  await node?.stop();
});

test('an empty node says what to do next', async () => {
  const { page, complaints, close } = await open(browser, node);
  await page.getByText('This node is well.').waitFor();
  await page.getByRole('heading', { name: /Nothing is here yet/ }).waitFor();
  await page.getByText("lf set 'bad horse#1' neigh").waitFor();
  await page.getByRole('button', { name: /Copy lf set/ }).waitFor();
  assert.equal(await page.getByRole('status').first().textContent(), 'well');
  assert.match(await page.title(), /Overview/);
  assert.deepEqual(complaints, []);
  await close();
});

describe('with records', () => {
  before(async () => {
    await node.owner('keeper');
    await node.owner('rival');
    await node.lf('owner', 'default', 'keeper');
    await node.lf('set', 'lighthouse', 'the lamp is lit');
    await node.lf('set', 'log#3', 'fog comes in');
    await node.lf('set', 'log#4', 'the sail is gone');
    await node.lf('set', '--owner', 'rival', 'lighthouse', 'no lamp here');
    await node.lf('set', '--mask', 'other key', 'chest', 'gold');
  });

  test('records, charts and the newest records are on the overview', async () => {
    const { page, complaints, close } = await open(browser, node);
    const records = page.locator('.instrument').filter({ has: page.getByRole('heading', { name: 'Records', exact: true }) });
    await records.getByText('8', { exact: true }).waitFor();
    const newest = page.getByRole('table', { name: 'Newest records' });
    await newest.getByRole('row').nth(8).waitFor();
    assert.equal(await newest.getByText('name taken').count(), 1);
    await page.getByRole('img', { name: /New records a second, last five minutes/ }).waitFor();
    // What comes while one looks.
    await node.lf('set', 'log#5', 'voices');
    await records.getByText('9', { exact: true }).waitFor();
    await page.getByRole('img', { name: /New records a second, last five minutes: highest (?!0,)/ }).waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a name is looked up, one ordinal and a range', async () => {
    const { page, complaints, close } = await open(browser, node);
    await lookUp(page, 'log#3');
    await page.getByText('fog comes in').waitFor();
    assert.equal(await page.locator('.set').count(), 1);
    await lookUp(page, 'log#3#4');
    await page.getByText('the sail is gone').waitFor();
    assert.deepEqual(await page.locator('.set h2').allTextContents(), ['log#3', 'log#4']);
    await lookUp(page, 'log');
    await page.getByText('Nobody has written anything here').waitFor();
    await page.getByRole('link', { name: 'Look at all ordinals' }).click();
    await page.getByText('the sail is gone').waitFor();
    // An address leads there by itself, and back goes back.
    await page.goto(new URL('/#/query/log%234', node.url).href);
    await page.getByText('the sail is gone').waitFor();
    await page.goBack();
    await page.getByText('fog comes in').waitFor();
    await lookUp(page, 'log#x');
    await page.getByRole('alert').filter({ hasText: /ordinal/ }).waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a conflict shows all who claim the name, and why the winner wins', async () => {
    const { page, complaints, close } = await open(browser, node, '#/query/lighthouse');
    const set = page.getByRole('article', { name: 'lighthouse#0' });
    assert.equal(await set.locator('.winning').textContent(), 'the lamp is lit');
    await set.getByText(/Why this one wins: .*trusted more.*its owner was here first/).waitFor();
    await set.getByText('What is weak about it').waitFor();
    const rows = set.getByRole('table').getByRole('row');
    assert.equal(await rows.count(), 3);
    assert.match(await rows.nth(1).textContent(), /wins.*the lamp is lit.*first here/);
    assert.match(await rows.nth(2).textContent(), /no lamp here.*somebody else was first here/);
    await page.getByText(/1 result · contested/).waitFor();
    // By weight alone the same may not win, and the page says that it is by weight.
    await page.getByText('Options').click();
    await page.getByLabel('Order of candidates').selectOption('weight');
    await page.getByRole('button', { name: 'Look again' }).click();
    await page.getByText(/by weight alone/).first().waitFor();
    assert.match(page.url(), /order=weight/);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a record has a page: checked here, and opened by who knows its name', async () => {
    const { page, complaints, close } = await open(browser, node, '#/query/lighthouse');
    await page.locator('.set a[href^="#/record/="]').first().click();
    await page.getByText('checked in this browser').waitFor();
    assert.equal(await page.locator('.winning').textContent(), 'the lamp is lit');
    await page.reload();
    await page.getByText('The value is masked').waitFor();
    await page.getByLabel('Name, or masking key').fill('lighthouses');
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByText('That does not open it').waitFor();
    await page.getByLabel('Name, or masking key').fill('lighthouse');
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByText('the lamp is lit').waitFor();
    await page.goto(new URL(`/#/record/=${'A'.repeat(43)}`, node.url).href);
    await page.getByRole('alert').filter({ hasText: 'does not have that record' }).waitFor();
    assert.equal(complaints.filter(text => !/404/.test(text)).length, 0);
    await close();
  });

  test('what is written elsewhere appears in a watch', async () => {
    const { page, complaints, close } = await open(browser, node, '#/watch/bells%23');
    await page.getByText('Watching.').waitFor();
    const log = page.getByRole('log');
    await page.waitForRequest(() => true, { timeout: 100 }).catch(() => {});
    let ordinal = 0;
    // The watch may begin a moment after the page says so: what is written then is written again.
    while ((await log.getByRole('listitem').count()) === 0) {
      assert.ok(++ordinal < 20, 'a record that was watched did not appear');
      await node.lf('set', `bells#${ordinal}`, `ring ${ordinal}`);
      await log.getByText(`ring ${ordinal}`).waitFor({ timeout: 5_000 }).catch(() => {});
    }
    await node.lf('set', 'bells#100', 'the last');
    await log.getByText('the last').waitFor();
    await log.getByText('bells#100').waitFor();
    assert.match(await log.getByRole('listitem').first().textContent(), /the last/, 'the newest is on top');
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a wrong token is refused, the right one writes, signed here; nothing secret leaves', async () => {
    const key = await node.owner('writer');
    const { page, complaints, asked, close } = await open(browser, node, '#/write');
    const secretName = 'zanzibar beacon';
    const secretKey = 'parsley thyme';
    const secretValue = 'rosemary for remembrance';
    await page.getByLabel('Owner’s private key').fill('no key');
    await page.getByRole('button', { name: 'Use this owner' }).click();
    await page.getByRole('alert').filter({ hasText: 'This is no owner' }).waitFor();
    await page.getByLabel('Owner’s private key').fill(key);
    await page.getByRole('button', { name: 'Use this owner' }).click();
    await page.getByText('(ed25519)').waitFor();
    await page.getByLabel('Name', { exact: true }).fill(`${secretName}#7`);
    await page.getByLabel('Value').fill(secretValue);
    await page.getByRole('main').getByLabel('Masking key').fill(secretKey);
    await page.getByRole('button', { name: 'Sign and publish' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Token', { exact: true }).fill('0123456789abcdef');
    await dialog.getByRole('button', { name: 'Use this token' }).click();
    await dialog.getByRole('alert').filter({ hasText: 'This is not the node’s token' }).waitFor();
    assert.equal(await node.lf('get', '--mask', secretKey, `${secretName}#7`), '', 'nothing is written without the token');
    await dialog.getByLabel('Token', { exact: true }).fill(await node.token());
    await dialog.getByRole('button', { name: 'Use this token' }).click();
    await page.getByText('Written and published.').waitFor();
    assert.match(await node.lf('get', '--mask', secretKey, `${secretName}#7`), /rosemary for remembrance/);

    // Again is no news; and looking it up needs the key.
    await page.getByRole('button', { name: 'Sign and publish' }).click();
    await page.getByText('That value is there already').waitFor();
    await lookUp(page, `${secretName}#7`);
    await page.getByText('another masking key is needed').waitFor();
    await page.getByText('Options').click();
    await page.getByRole('main').getByLabel('Masking key').fill(secretKey);
    await page.getByRole('button', { name: 'Look again' }).click();
    await page.getByText(secretValue).waitFor();

    const scalar = key.split('\n').filter(line => line && !/^-|:/.test(line)).join('');
    const privateBytes = Buffer.from(scalar, 'base64').subarray(1, 33);
    const secrets = [secretName, 'zanzibar', secretKey, 'parsley', secretValue, 'rosemary', scalar.slice(0, 40), privateBytes, privateBytes.toString('hex')];
    const forms = secrets.flatMap(secret => {
      const bytes = Buffer.from(secret);
      return [bytes, Buffer.from(encodeURIComponent(bytes.toString('latin1'))), Buffer.from(bytes.toString('base64').replace(/=+$/, '').slice(0, -1))];
    });
    assert.ok(asked.some(one => one.method === 'POST' && one.url.endsWith('/post')), 'the record was sent as bytes');
    assert.ok(asked.some(one => one.url.endsWith('/v1/explain') && one.body.includes('KeyRange')));
    for (const one of asked) {
      assert.equal(new URL(one.url).origin, node.url.origin, 'nothing else is ever asked');
      const sent = Buffer.concat([Buffer.from(`${one.url}\n${JSON.stringify(one.headers)}\n`), one.body ?? Buffer.alloc(0)]);
      for (const form of forms) assert.ok(!sent.includes(form), `${one.method} ${one.url} tells ${form}`);
    }
    // The browser itself says in its console that the wrong token was refused.
    assert.deepEqual(complaints.filter(text => !/status of 403/.test(text)), []);

    // The token can be forgotten; the owner is gone with the page.
    assert.equal(await page.evaluate(() => sessionStorage.length), 1);
    await page.getByRole('button', { name: 'Forget token' }).click();
    assert.equal(await page.evaluate(() => sessionStorage.length + localStorage.length), 0);
    await page.goto(new URL('/#/write', node.url).href);
    await page.reload();
    await page.getByLabel('Owner’s private key').waitFor();
    await close();
  });

  test('without the token nothing is written', async () => {
    const { page, close } = await open(browser, node, '#/write?name=quiet');
    await page.getByText('No owner yet?').click();
    await page.getByRole('button', { name: 'Make an owner here' }).click();
    await page.getByRole('button', { name: 'Save its key as a file' }).waitFor();
    assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'quiet');
    await page.getByRole('button', { name: 'Sign and publish' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('Nothing was written').waitFor();
    assert.equal(await node.lf('get', 'quiet'), '');
    await close();
  });

  test('the graph: as a picture that keys walk through, and as a table', async () => {
    const { page, complaints, close } = await open(browser, node, '#/graph');
    await page.getByText(/^\d+ records, \d+ deep · \d+ tips?$/).waitFor();
    const picture = page.getByLabel(/Graph of the newest records/);
    await picture.focus();
    await page.keyboard.press('ArrowLeft');
    const selected = page.getByRole('region', { name: 'Selected record' });
    await selected.getByText('nothing yet: a tip').waitFor();
    await page.keyboard.press('Home');
    await selected.getByText('genesis').waitFor();
    await selected.getByText(/records? of those shown · work ×/).waitFor();
    await page.getByText('The newest as a table').click();
    const before = await page.getByRole('table').getByRole('row').count();
    await node.lf('set', 'more', 'weight');
    await page.waitForFunction(count => document.querySelectorAll('details.table tr').length > count, before);
    await picture.focus();
    await page.keyboard.press('End');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: /^Record =/ }).waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('the graph of 10,000 records is drawn, from all to near', async () => {
    const { page, complaints, close } = await open(browser, node, '#/peers');
    const linked = 12_000;
    const records = Array.from({ length: linked }, (_, i) => ({
      Index: i,
      Hash: `=${String(i).padStart(43, '0')}`,
      Owner: `@${'1'.repeat(43)}`,
      Timestamp: 1_700_000_000 + i,
      Type: i === 0 ? 1 : 0,
      Links: [i - 1, i - 2, i - 3 - (i % 5)].filter(link => link >= 0),
      Weight: [0, 0, 0, 1000 * (linked - i)],
      Score: 1000,
      Reputation: i % 97 === 5 ? 0 : 63,
      Size: 300,
      Selectors: 1,
    }));
    let pages = 0;
    await page.route('**/v1/graph?*', route => {
      pages++;
      const query = new URL(route.request().url()).searchParams;
      const count = Math.min(2_000, Number(query.get('count')));
      const from = query.has('from') ? Number(query.get('from')) : linked - count;
      return route.fulfill({ json: { Records: records.slice(from, from + count), Linked: linked, Tips: 1 } });
    });
    await page.getByRole('link', { name: 'Graph', exact: true }).click();
    await page.getByText('The newest 10,000 of 12,000 records').waitFor();
    assert.equal(pages, 5);
    const inked = () =>
      page.evaluate(() => {
        const canvas = document.querySelector('canvas.graph');
        const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        let inked = 0;
        for (let i = 3; i < data.length; i += 4) if (data[i] > 0) inked++;
        return inked / (data.length / 4);
      });
    const near = await inked();
    assert.ok(near > 0.002 && near < 0.5, `${near} of the picture is drawn`);
    await page.getByLabel('Zoom: from all to near').fill('0');
    await page.waitForFunction(() => document.querySelector('canvas.map').hidden);
    const all = await inked();
    assert.ok(all > 0.002, `${all} of the picture is drawn`);
    // It is this test that reads pixels back.
    assert.deepEqual(complaints.filter(text => !/willReadFrequently/.test(text)), []);
    await close();
  });

  test('owners: who wrote lately, and one of them', async () => {
    const { page, complaints, close } = await open(browser, node, '#/owners');
    await page.getByText('no certificate authorities').waitFor();
    await page.getByRole('table', { name: /Owners who wrote lately/ }).getByRole('link').first().click();
    await page.getByRole('heading', { name: /^Owner @/ }).waitFor();
    await page.getByText('Its newest records').first().waitFor();
    assert.deepEqual(complaints, []);
    await page.goto(new URL('/#/owner/@abc', node.url).href);
    await page.getByRole('alert').filter({ hasText: 'This is no owner' }).waitFor();
    await close();
  });

  test('by keyboard alone: to the content, to the box, to a result, to its record', async () => {
    const { page, complaints, close } = await open(browser, node);
    await page.getByText('This node is well.').waitFor();
    const focused = () => page.evaluate(() => document.activeElement?.textContent || document.activeElement?.getAttribute('aria-label'));
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'To the content');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'main');
    await page.keyboard.press('/');
    await page.keyboard.type('lighthouse');
    await page.keyboard.press('Enter');
    await page.getByText('the lamp is lit').first().waitFor();
    assert.equal(await focused(), 'lighthouse', 'focus is where the result is');
    for (let i = 0; i < 12 && !(await page.evaluate(() => document.activeElement?.getAttribute('href')?.startsWith('#/record/'))); i++) {
      await page.keyboard.press('Tab');
      assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none', 'focus is seen');
    }
    await page.keyboard.press('Enter');
    await page.getByText('checked in this browser').waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('every view fits a phone, and passes axe in light and dark', async () => {
    const hash = /=[0-9A-Za-z]{43}/.exec(await node.lf('get', '--json', 'lighthouse'))[0];
    const owner = /@[0-9A-Za-z]{43}/.exec(await node.lf('get', '--json', 'lighthouse'))[0];
    const problems = [];
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [360, 1200]) {
        const { page, complaints, close } = await open(browser, node, '#/', { colorScheme, viewport: { width, height: 740 } });
        for (const view of [...VIEWS, `#/record/${hash}`, `#/owner/${owner}`]) {
          await page.evaluate(to => (location.hash = to), view);
          await page.waitForFunction(() => !document.querySelector('main [aria-busy=true]') && document.querySelector('header [role=status]').textContent === 'well');
          for (const details of await page.locator('main details:not([open]) > summary').all()) await details.click();
          const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          if (over > 0) problems.push(`${view} at ${width}: ${over} pixels too wide`);
          await page.evaluate(axe.source);
          const result = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
          for (const one of result.violations) problems.push(`${view} ${colorScheme} ${width}: ${one.id}: ${one.nodes.map(n => n.html).slice(0, 2).join(' | ')}`);
        }
        assert.deepEqual(complaints, []);
        await close();
      }
    }
    assert.deepEqual(problems, []);
  });

  test('a node that goes away is told, and found again', async () => {
    const { page, complaints, close } = await open(browser, node);
    await page.getByText('This node is well.').waitFor();
    await node.down();
    await page.getByRole('alert').filter({ hasText: 'This node does not answer.' }).waitFor();
    await page.getByText('not answering').waitFor();
    await lookUp(page, 'lighthouse');
    await page.getByRole('main').getByRole('alert').filter({ hasText: 'The node does not answer' }).waitFor();
    await node.up();
    await page.getByRole('alert').filter({ hasText: 'This node does not answer.' }).waitFor({ state: 'hidden' });
    await lookUp(page, 'lighthouse');
    await page.getByText('the lamp is lit').first().waitFor();
    await page.getByRole('link', { name: 'Overview', exact: true }).click();
    await page.getByText('This node is well.').waitFor();
    // The browser's own lines about connections that were refused, and nothing else.
    assert.deepEqual(complaints.filter(text => !/ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE/.test(text)), []);
    await close();
  });
});

test('what a record holds is never more than text', async () => {
  const nasty = '<img src=x onerror="document.title=1"><script>document.title=2</script>\u202e';
  await node.lf('set', 'nasty', nasty);
  const { page, complaints, close } = await open(browser, node, '#/query/nasty');
  await page.locator('.winning .text').waitFor();
  assert.equal(await page.locator('main img, main script').count(), 0);
  assert.match(await page.title(), /^nasty/);
  assert.deepEqual(complaints, []);
  await close();
});
