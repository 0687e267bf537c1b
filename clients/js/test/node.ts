// A real node in local test mode, and a home of its own.

import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The lf program, if there is one to test with. */
export const lfBin = process.env.LF_BIN;

const START_MS = 60_000;

/** A test with a real node is skipped without LF_BIN; test.sh wants it. */
export const withNode = { skip: lfBin ? false : 'LF_BIN does not name the lf program' };

/** A node that runs. */
export class TestNode {
  private constructor(
    private readonly process: ChildProcess,
    readonly url: string,
    /** Its home directory. */
    readonly path: string,
    /** The home directory of lf commands. */
    readonly clientPath: string,
  ) {}

  static async start(http = '127.0.0.1:0', path?: string): Promise<TestNode> {
    return TestNode.run(path ?? (await mkdtemp(join(tmpdir(), 'lf-js-'))), ['--localtest', '--http', http]);
  }

  /** The only node of a network of its own, in which records need work. */
  static async startNetwork(): Promise<TestNode> {
    const home = await mkdtemp(join(tmpdir(), 'lf-js-'));
    await promisify(execFile)(lfBin as string, ['makegenesis', '--name', 'test', '--links', '2', '--work-factor', '1', '--output', home]);
    return TestNode.run(home, ['--http', '127.0.0.1:0', '--p2p', '0']);
  }

  private static async run(home: string, args: readonly string[]): Promise<TestNode> {
    if (!lfBin) throw new Error('LF_BIN must name the lf program');
    const clientPath = await mkdtemp(join(tmpdir(), 'lf-js-client-'));
    const child = spawn(lfBin, ['node', 'start', '--logstderr', '--path', home, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const url = await new Promise<string>((resolve, reject) => {
      let printed = '';
      const hear = (chunk: Buffer) => {
        printed += chunk.toString();
        const found = /ready: (http:\/\/127\.0\.0\.1:[1-9]\d*)/.exec(printed);
        if (found) resolve(found[1] as string);
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.on('exit', () => reject(new Error(`the node ended: ${printed}`)));
      setTimeout(() => reject(new Error(`the node does not say where it is: ${printed}`)), START_MS).unref();
    });
    return new TestNode(child, url, home, clientPath);
  }

  /** Runs the lf program. */
  lf(args: readonly string[]): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const env = { ...process.env, LF_PATH: this.clientPath, LF_URL: this.url };
      execFile(lfBin as string, args, { encoding: 'buffer', env }, (error, stdout, stderr) =>
        error ? reject(new Error(`lf ${args.join(' ')}: ${stderr.toString()}`)) : resolve(stdout),
      );
    });
  }

  /** Stops it; its home stays until `remove`. */
  async stop(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = new Promise(resolve => this.process.once('exit', resolve));
    this.process.kill('SIGTERM');
    const late = setTimeout(() => this.process.kill('SIGKILL'), 20_000);
    await ended;
    clearTimeout(late);
  }

  async remove(): Promise<void> {
    await this.stop();
    for (const path of [this.path, this.clientPath]) await rm(path, { recursive: true, force: true });
  }
}
