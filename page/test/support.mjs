// A real node, its command line, and a real browser that tells everything it does.
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

const lf = process.env.LF_BIN ?? 'lf';
const run = promisify(execFile);

/** A node in local test mode, in a directory of its own. */
export class Node {
  static async start() {
    const node = await Node.made();
    node.home = join(node.base, 'localtest');
    node.options = ['--localtest'];
    await node.up('127.0.0.1:0');
    return node;
  }

  /** A directory for a node, which is not started. */
  static async made() {
    const node = new Node();
    node.base = await mkdtemp(join(tmpdir(), 'lf-page-'));
    node.home = node.base;
    return node;
  }

  /** Starts it with peers, in the network of the genesis.lf in its home. */
  async join(...seeds) {
    this.options = ['--p2p', '127.0.0.1:0', ...seeds.flatMap(seed => ['--seed', seed])];
    await this.up('127.0.0.1:0');
  }

  /** Starts it, again on the port it had. */
  async up(listen = this.own.host) {
    this.process = spawn(lf, ['node', 'start', ...this.options, '--http', listen, '--path', this.base], { stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const line of createInterface({ input: this.process.stdout })) {
      const found = /ready: (http:[/\d.:]+\d)/.exec(line);
      if (!found) continue;
      this.own = new URL(found[1]);
      this.url ??= await this.front();
      this.process.stdout.resume();
      return;
    }
    throw new Error('the node did not start');
  }

  /** Where the page is: at the node; with LF_PAGE_DEV, in front of it and built from its sources, to try changes. */
  async front() {
    if (!process.env.LF_PAGE_DEV) return this.own;
    this.dev = spawn(process.execPath, [join(import.meta.dirname, '../dev.mjs'), this.own.href], { stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const line of createInterface({ input: this.dev.stdout })) return new URL(line);
    throw new Error('dev.mjs did not start');
  }

  /** Ends it, without letting it say good-bye. */
  async down() {
    const gone = new Promise(resolve => this.process.once('exit', resolve));
    this.process.kill('SIGKILL');
    await gone;
  }

  async stop() {
    if (this.process) await this.down();
    this.dev?.kill();
    await rm(this.base, { recursive: true, force: true });
  }

  /** What `lf ARGUMENTS` prints. */
  async lf(...args) {
    const env = { ...process.env, LF_PATH: this.home, HOME: this.base };
    delete env.LF_URL;
    return (await run(lf, args, { env, cwd: this.base })).stdout;
  }

  async owner(name) {
    await this.lf('owner', 'new', name);
    return this.lf('owner', 'export', name);
  }

  async token() {
    return (await readFile(join(this.home, 'authtoken.secret'), 'utf8')).trim();
  }
}

export async function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

/** The page in a browser of its own; everything it asks for and complains about is written down. */
export async function open(browser, node, hash = '#/', options = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const asked = [];
  const complaints = [];
  page.on('request', request => asked.push({ url: request.url(), method: request.method(), body: request.postDataBuffer(), headers: request.headers() }));
  page.on('console', message => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', error => complaints.push(String(error)));
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', event => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(new URL(`/${hash}`, node.url).href);
  return { page, context, asked, complaints, close: () => context.close() };
}

/** Looks a name up, as one does with the box. */
export async function lookUp(page, name) {
  await page.getByRole('search').getByRole('textbox').fill(name);
  await page.keyboard.press('Enter');
}
