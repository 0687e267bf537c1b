// Asking nodes: one HTTP request to the first of several that answers, with bounds on time and size. What the answers
// mean is not known here.

import { readJson, type Bytes } from './bytes.js';
import { invalid, LfError, wrongAnswer } from './errors.js';

const ANSWER_BYTES_MAX = 64 << 20;
const ERROR_BYTES_MAX = 64 << 10;
const TIMEOUT_MS = 60_000;
/** Of a proxy before a node, or of a node that has too much to do: another may do better. */
const PASSING = [502, 503, 504];

/** How to speak with nodes. */
export interface ClientOptions {
  /** The content of the first node's `authtoken.secret`. It is sent to that one alone. */
  token?: string;
  /** Instead of the global `fetch`. */
  fetch?: typeof fetch;
  /** How long a node may take for an answer: 60 s if not said. */
  timeoutMs?: number;
}

/** What to ask. */
export interface Request {
  path: string;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as they are. */
  bytes?: Bytes;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** No limit to how long the answer takes. */
  patient?: boolean;
}

/** An answer, and who gave it. */
export interface Answer<T> {
  url: string;
  body: T;
}

interface Started {
  response: Response;
  /** Ends waiting for the rest of the answer. */
  finish: () => void;
}

/** Nodes to ask. */
export class Transport {
  readonly urls: readonly string[];
  private readonly options: ClientOptions;
  /** Who answered last is asked first. */
  private preferred = 0;

  constructor(url: string | readonly string[], options: ClientOptions) {
    this.urls = (typeof url === 'string' ? [url] : url).map(checked);
    if (this.urls.length === 0) throw invalid('no node URL: give one, such as http://127.0.0.1:9980');
    this.options = options;
  }

  /** Asks for JSON. */
  async json(request: Request): Promise<Answer<unknown>> {
    const { url, body } = await this.bytes(request);
    try {
      return { url, body: readJson(new TextDecoder().decode(body)) };
    } catch {
      throw wrongAnswer(url, 'it is not JSON');
    }
  }

  /** Asks for bytes. */
  async bytes(request: Request): Promise<Answer<Bytes>> {
    return this.each(request, async index => {
      const { response, finish } = await this.start(index, request, request.patient ? undefined : this.timeoutMs);
      try {
        return await readAll(response, ANSWER_BYTES_MAX);
      } finally {
        finish();
      }
    });
  }

  /** Asks for a stream, which may last. `request` may depend on who is asked. The caller reads it, then calls `finish`. */
  async stream(request: (url: string) => Request, signal: AbortSignal | undefined): Promise<Answer<{ stream: ReadableStream<Bytes>; finish: () => void }>> {
    return this.each({ path: '', signal }, async (index, url) => {
      const { response, finish } = await this.start(index, request(url), undefined);
      if (response.body) return { stream: response.body as ReadableStream<Bytes>, finish };
      finish();
      throw wrongAnswer(url, 'it has no body');
    });
  }

  private get timeoutMs(): number {
    return this.options.timeoutMs ?? TIMEOUT_MS;
  }

  /** Tries one node after the other. */
  private async each<T>(request: Request, ask: (index: number, url: string) => Promise<T>): Promise<Answer<T>> {
    let problem: unknown;
    for (let i = 0; i < this.urls.length; i++) {
      const index = (this.preferred + i) % this.urls.length;
      const url = this.urls[index] as string;
      request.signal?.throwIfAborted();
      try {
        const body = await ask(index, url);
        this.preferred = index;
        return { url, body };
      } catch (error) {
        request.signal?.throwIfAborted();
        if (error instanceof LfError && !PASSING.includes(error.status)) throw error;
        problem = error instanceof LfError ? error : new LfError('ErrUnreachable', `cannot reach ${url}: ${reason(error)}`);
      }
    }
    throw problem;
  }

  /** Sends the request; an answer that is no success is an error. */
  private async start(index: number, request: Request, timeoutMs: number | undefined): Promise<Started> {
    const url = this.urls[index] as string;
    const controller = new AbortController();
    const { signal } = request;
    const stop = () => controller.abort(signal?.reason);
    signal?.addEventListener('abort', stop);
    const late = () => controller.abort(new Error(`no answer within ${timeoutMs} ms`));
    const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
    };
    try {
      const headers = { ...request.headers };
      if (request.json !== undefined) headers['Content-Type'] = 'application/json';
      if (index === 0 && this.options.token) headers.Authorization = `Bearer ${this.options.token}`;
      const body = request.json === undefined ? request.bytes : JSON.stringify(request.json);
      const ask = this.options.fetch ?? fetch;
      const response = await ask(url + request.path, {
        method: body === undefined ? 'GET' : 'POST',
        headers,
        ...(body === undefined ? {} : { body: body as BodyInit }),
        signal: controller.signal,
        cache: 'no-store',
        credentials: 'omit',
        // Not to where a node sends us: the token, if any, is for this one.
        redirect: 'error',
      });
      if (!response.ok) throw await refusal(url, response);
      return { response, finish };
    } catch (error) {
      finish();
      throw error;
    }
  }
}

function checked(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw invalid(`node URL ${JSON.stringify(text)} is none: it must be like http://127.0.0.1:9980`);
  }
  if ((url.protocol !== 'http:' && url.protocol !== 'https:') || url.username || url.password || url.search || url.hash) {
    throw invalid(`node URL ${JSON.stringify(text)} must be http or https, with nothing but host, port and path`);
  }
  return url.href.replace(/\/+$/, '');
}

/** Why a request failed: what fetch hides in the cause. */
function reason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const told = cause instanceof Error ? cause.message || (cause as Error & { code?: string }).code : String(cause);
  return told || 'the connection failed';
}

async function refusal(url: string, response: Response): Promise<LfError> {
  let told: { Message?: unknown; ErrTypeName?: unknown } = {};
  try {
    told = (JSON.parse(new TextDecoder().decode(await readAll(response, ERROR_BYTES_MAX))) ?? {}) as typeof told;
  } catch {
    // Not a node's own answer: its status says it all.
  }
  const name = typeof told.ErrTypeName === 'string' && /^Err\w+$/.test(told.ErrTypeName) ? told.ErrTypeName : `ErrHttp${response.status}`;
  const message = typeof told.Message === 'string' && told.Message ? told.Message : `HTTP status ${response.status}`;
  return new LfError(name, `${url} refused: ${message}`, response.status);
}

async function readAll(response: Response, max: number): Promise<Bytes> {
  if (!response.body) return new Uint8Array(0);
  const reader = (response.body as ReadableStream<Bytes>).getReader();
  const parts: Bytes[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > max) {
      void reader.cancel().catch(() => undefined);
      throw new LfError('ErrWrongAnswer', `an answer is longer than ${max} bytes`);
    }
    parts.push(value);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
