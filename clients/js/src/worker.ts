// The search for work in a thread of its own: `new Worker(new URL('lf-client/worker', import.meta.url), { type: 'module' })`
// in a browser, the same with node:worker_threads in Node. Takes one { workHash, difficulty }, says { hashes, expected } now
// and then, and ends with { work } or { error }.

import { searchWork } from './work.js';

interface Port {
  postMessage(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
}

async function port(): Promise<Port> {
  const scope = globalThis as unknown as { postMessage?: (message: unknown) => void; addEventListener?: (kind: string, listener: (event: { data: unknown }) => void) => void };
  if (typeof scope.postMessage === 'function' && scope.addEventListener) {
    return { postMessage: message => scope.postMessage?.(message), onMessage: listener => scope.addEventListener?.('message', event => listener(event.data)) };
  }
  // Not the name itself, so that bundlers for browsers do not look for it.
  const threads = (await import(/* @vite-ignore */ ['node', 'worker_threads'].join(':'))) as typeof import('node:worker_threads');
  const parent = threads.parentPort;
  if (!parent) throw new Error('this is the module of a worker');
  return { postMessage: message => parent.postMessage(message), onMessage: listener => void parent.on('message', listener) };
}

const { postMessage, onMessage } = await port();
onMessage(message => {
  const { workHash, difficulty } = message as { workHash: Uint8Array; difficulty: number };
  searchWork(workHash, difficulty, { onProgress: postMessage }).then(
    work => postMessage({ work }),
    (error: Error) => postMessage({ error: error.message }),
  );
});
