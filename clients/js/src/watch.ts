// Following new records: server-sent events over fetch, and coming again where a connection is lost.

import type { FindOptions, Found, QueryResultJson } from './api.js';
import { readJson, type Bytes } from './bytes.js';
import { LfError, wrongAnswer } from './errors.js';
import type { Find } from './find.js';
import type { Transport } from './http.js';

/** A longer event ends the stream: a record as JSON is smaller. */
const EVENT_CHARS_MAX = 1 << 21;
const RETRY_MS = 2_000;

/** What to watch for. */
export interface WatchOptions extends FindOptions {
  /** The place in the first node's stream to begin at; from now on if not said. */
  from?: number;
  /** How long to wait before coming again: 2 s if not said. */
  retryMs?: number;
  /** Called each time that a connection stands: from then on nothing is missed. */
  watching?: () => void;
}

/** One event of a stream. */
export interface ServerEvent {
  id?: string;
  kind: string;
  data: string;
  /** The last comment in it. */
  comment: string;
}

/** Records as they become linked, for ever. The connection is made at once, not when the first record is asked for: what
 * comes meanwhile waits. */
export function watch(transport: Transport, find: Find, options: WatchOptions): AsyncIterableIterator<Found> {
  const { signal } = options;
  const stop = new AbortController();
  const abort = () => stop.abort(signal?.reason);
  const unlink = () => signal?.removeEventListener('abort', abort);
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort, { once: true });
  const records = follow(transport, find, { ...options, signal: stop.signal });
  let first: Promise<IteratorResult<Found, void>> | undefined = records.next();
  first.catch(unlink);
  const end = async (): Promise<IteratorReturnResult<undefined>> => {
    unlink();
    stop.abort();
    await records.return().catch(() => undefined);
    return { done: true, value: undefined };
  };
  return {
    next() {
      const next = first ?? records.next();
      first = undefined;
      next.catch(unlink);
      return next as Promise<IteratorResult<Found, undefined>>;
    },
    return: end,
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

async function* follow(transport: Transport, find: Find, options: WatchOptions): AsyncGenerator<Found, void, undefined> {
  const { signal, from, retryMs = RETRY_MS } = options;
  // Places are of one node's stream: another one would mean others by them.
  let place = from === undefined ? undefined : { url: transport.urls[0] as string, from };
  let last: { url: string; id: string } | undefined;
  const request = (url: string) => {
    const headers: Record<string, string> = { Accept: 'text/event-stream' };
    if (last?.url === url) headers['Last-Event-ID'] = last.id;
    const begin = last?.url !== url && place?.url === url ? `?from=${place.from}` : '';
    return { path: `/v1/watch${begin}`, json: find.query, headers, signal };
  };
  for (;;) {
    signal?.throwIfAborted();
    let finish: (() => void) | undefined;
    try {
      const { url, body } = await transport.stream(request, signal);
      finish = body.finish;
      options.watching?.();
      for await (const { id, kind, data, comment } of events(body.stream, signal)) {
        // Where the node began, so that nothing is missed if the connection is lost before the first record.
        const begun = /^ watching from (\d{1,10})$/.exec(comment)?.[1];
        if (begun !== undefined) place = { url, from: Number(begun) };
        if (id !== undefined) last = { url, id };
        if (data === '' || (kind !== 'record' && kind !== '' && kind !== 'message')) continue;
        let found: Found;
        try {
          const result = readJson(data) as QueryResultJson;
          if (!find.isWanted(result)) continue;
          found = await find.check(result);
        } catch (error) {
          signal?.throwIfAborted();
          throw wrongAnswer(url, (error as Error).message);
        }
        yield id !== undefined && /^\d{1,10}$/.test(id) ? { ...found, index: Number(id) } : found;
      }
    } catch (error) {
      signal?.throwIfAborted();
      // What a node refuses now it refuses again; all else may pass.
      const passing = !(error instanceof LfError) || error.name === 'ErrUnreachable' || error.status >= 500;
      if (!passing) throw error;
    } finally {
      finish?.();
    }
    await pause(retryMs, signal);
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}

/** The events of a stream. Ends with it, or when `signal` says so; a stream that is cut off within an event loses that one. */
export async function* events(stream: ReadableStream<Bytes>, signal?: AbortSignal): AsyncGenerator<ServerEvent, void, undefined> {
  const reader = stream.getReader();
  const stop = () => void reader.cancel().catch(() => undefined);
  if (signal?.aborted) stop();
  signal?.addEventListener('abort', stop);
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      // Lines may end in CR LF; one that ends in CR may have its LF still to come.
      const whole = rest.replace(/\r\n/g, '\n');
      const end = whole.lastIndexOf('\n\n');
      if (end < 0) {
        if (rest.length > EVENT_CHARS_MAX) throw new LfError('ErrWrongAnswer', `an event is longer than ${EVENT_CHARS_MAX} characters`);
        continue;
      }
      rest = whole.slice(end + 2);
      for (const block of whole.slice(0, end).split('\n\n')) yield eventOf(block);
    }
  } finally {
    signal?.removeEventListener('abort', stop);
    stop();
  }
}

function eventOf(block: string): ServerEvent {
  const event: ServerEvent = { kind: '', data: '', comment: '' };
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const content = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (colon === 0) event.comment = line.slice(1);
    else if (field === 'data') data.push(content);
    else if (field === 'event') event.kind = content;
    else if (field === 'id') event.id = content;
  }
  event.data = data.join('\n');
  return event;
}
