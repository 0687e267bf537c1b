// Proof of work in a thread of its own: what is said to the module `lf-client/worker`, and how it answers.

import type { Bytes } from './bytes.js';
import { LfError, malformed } from './errors.js';
import { WORK_BYTES, type WorkProgress } from './work.js';

/** A Worker of a browser, or of node:worker_threads. */
export interface WorkerLike {
  postMessage(message: unknown): void;
  terminate(): unknown;
  addEventListener?(kind: string, listener: (event: any) => void): void;
  on?(kind: string, listener: (given: any) => void): unknown;
}

/** Starts a Worker with the module `lf-client/worker`. */
export type WorkerFactory = () => WorkerLike;

/** The search in a Worker, which is ended afterwards. */
export function searchInWorker(
  factory: WorkerFactory,
  workHash: Bytes,
  difficulty: number,
  { onProgress, signal }: { onProgress?: ((progress: WorkProgress) => void) | undefined; signal?: AbortSignal | undefined } = {},
): Promise<Bytes> {
  return new Promise<Bytes>((resolve, reject) => {
    signal?.throwIfAborted();
    const worker = factory();
    const stop = () => end(() => reject(signal?.reason as Error));
    const end = (settle: () => void) => {
      signal?.removeEventListener('abort', stop);
      void worker.terminate();
      settle();
    };
    signal?.addEventListener('abort', stop);
    const fail = (problem: unknown) => {
      const told = problem instanceof Error ? problem.message : String((problem as { message?: unknown } | undefined)?.message ?? 'it could not be started');
      end(() => reject(new LfError('ErrWharrgarblFailed', `the worker failed: ${told}`)));
    };
    const hear = (message: unknown) => {
      const { work, error, hashes, expected } = message as { work?: Bytes; error?: string } & Partial<WorkProgress>;
      if (error !== undefined) fail(new Error(error));
      else if (work?.length === WORK_BYTES) end(() => resolve(work));
      else if (work) end(() => reject(malformed(`work of ${work.length} bytes: must be ${WORK_BYTES}`)));
      else if (hashes !== undefined && expected !== undefined) onProgress?.({ hashes, expected });
    };
    if (worker.addEventListener) {
      worker.addEventListener('message', (event: { data: unknown }) => hear(event.data));
      worker.addEventListener('error', fail);
    } else {
      worker.on?.('message', hear);
      worker.on?.('error', fail);
    }
    worker.postMessage({ workHash, difficulty });
  });
}
