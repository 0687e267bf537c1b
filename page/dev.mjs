// `npm run dev [NODE'S URL]`: builds on every request and serves the page on a port of its own, everything else is the
// node's. With the page's own policy, so that what works here works there.
import { createServer, request } from 'node:http';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildInto } from './build.mjs';

const node = new URL(process.argv[2] ?? 'http://127.0.0.1:9980');
const directory = join(tmpdir(), `lf-page-dev-${process.pid}`);
const files = { '/': ['index.html', 'text/html'], '/page/page.js': ['page.js', 'text/javascript'], '/page/page.css': ['page.css', 'text/css'], '/page/icon.svg': ['icon.svg', 'image/svg+xml'] };
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const server = createServer(async (incoming, answer) => {
  const file = files[new URL(incoming.url, 'http://x').pathname];
  if (file) {
    try {
      if (file[0] === 'index.html') await buildInto(directory);
      answer.writeHead(200, { 'Content-Type': `${file[1]}; charset=utf-8`, 'Content-Security-Policy': policy, 'Cache-Control': 'no-store' });
      answer.end(await readFile(join(directory, file[0])));
    } catch (error) {
      answer.writeHead(500).end(String(error));
    }
    return;
  }
  const headers = { ...incoming.headers, host: node.host };
  const onward = request(new URL(incoming.url, node), { method: incoming.method, headers }, reply => {
    answer.writeHead(reply.statusCode, reply.headers);
    reply.pipe(answer);
  });
  onward.on('error', () => answer.destroy());
  answer.on('close', () => onward.destroy());
  incoming.pipe(onward);
});
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`));
