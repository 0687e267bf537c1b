// The node's state, asked for every two seconds, and what it was in the last minutes. One place asks; views listen.

import * as api from './api';

const PERIOD_MS = 2_000;
/** Nobody looks: the node is asked less. */
const HIDDEN_PERIOD_MS = 15_000;
/** A node on this machine answers in milliseconds; a far one in less than this. */
const ANSWER_MS = 4_000;
const SAMPLES_MAX = 150;

export interface Sample {
  /** Milliseconds, of a clock that only goes forward. */
  at: number;
  records: number;
  bytes: number;
  queries: number;
  peers: number;
}

export const state = {
  status: undefined as api.NodeStatus | undefined,
  metrics: new Map<string, number>(),
  /** False from the first answer that did not come until the next that does. */
  reachable: true,
  /** Since when it does not answer, milliseconds. */
  goneSince: 0,
  samples: [] as Sample[],
  /** The version the page was loaded from. */
  version: '',
};

const listeners = new Set<() => void>();

/** Calls after every answer, or when one did not come. Returns how to stop that. */
export function listen(listener: () => void): () => void {
  listeners.add(listener);
  if (state.status) listener();
  return () => listeners.delete(listener);
}

/** For how many seconds the node has not answered. */
export function goneSeconds(): number {
  return Math.round((Date.now() - state.goneSince) / 1000);
}

export function linked(): number {
  return state.status?.RecordCount ?? 0;
}

async function look(): Promise<void> {
  try {
    const [status, text] = await Promise.all([
      api.get<api.NodeStatus>('/status', { timeMs: ANSWER_MS }),
      api.text('/metrics').catch(() => ''),
    ]);
    state.status = status;
    state.metrics = readMetrics(text);
    state.version ||= status.Version.join('.');
    state.reachable = true;
    state.samples.push({
      at: performance.now(),
      records: status.RecordCount,
      bytes: status.DataSize,
      queries: state.metrics.get('lf_queries_total') ?? 0,
      peers: status.Peers?.length ?? 0,
    });
    if (state.samples.length > SAMPLES_MAX) state.samples.shift();
  } catch {
    if (state.reachable) state.goneSince = Date.now();
    state.reachable = false;
  }
  for (const listener of listeners) listener();
}

/** Prometheus' text: names with labels, and values. */
function readMetrics(text: string): Map<string, number> {
  const metrics = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const end = line.lastIndexOf(' ');
    metrics.set(line.slice(0, end), Number(line.slice(end + 1)));
  }
  return metrics;
}

let wake: (() => void) | undefined;

/** Asks for ever. */
export async function run(): Promise<never> {
  document.addEventListener('visibilitychange', () => document.hidden || wake?.());
  addEventListener('online', () => wake?.());
  for (;;) {
    await look();
    await new Promise<void>(resolve => {
      wake = resolve;
      setTimeout(resolve, document.hidden ? HIDDEN_PERIOD_MS : PERIOD_MS);
    });
  }
}

/** Asks now. */
export function refresh(): void {
  wake?.();
}

/** How much something grew per second, between one sample and the next. */
export function rates(of: (sample: Sample) => number): { at: number; value: number }[] {
  const out = [];
  for (let i = 1; i < state.samples.length; i++) {
    const [a, b] = [state.samples[i - 1] as Sample, state.samples[i] as Sample];
    // What counts from 0 again was started again.
    const grown = Math.max(0, of(b) - of(a));
    out.push({ at: b.at, value: (grown / Math.max(1, b.at - a.at)) * 1000 });
  }
  return out;
}

export function values(of: (sample: Sample) => number): { at: number; value: number }[] {
  return state.samples.map(sample => ({ at: sample.at, value: of(sample) }));
}

/** What grew in the last `seconds`, as far as known. */
export function grown(of: (sample: Sample) => number, seconds: number): { value: number; seconds: number } {
  const last = state.samples.at(-1);
  if (!last) return { value: 0, seconds: 0 };
  const first = state.samples.find(sample => sample.at >= last.at - seconds * 1000) ?? last;
  return { value: Math.max(0, of(last) - of(first)), seconds: (last.at - first.at) / 1000 };
}

/** How the node is, in a word and a sentence. */
export interface Health {
  level: 'good' | 'busy' | 'bad' | 'unknown';
  word: string;
  sentence: string;
  /** What to do, if anything. */
  advice?: string;
}

export function health(): Health {
  const { status, reachable } = state;
  if (!reachable) {
    return {
      level: 'bad',
      word: 'not answering',
      sentence: 'This node does not answer.',
      advice: 'What is shown is what it said last. Is it running? Start it with “lf node start”: this page goes on by itself.',
    };
  }
  if (!status) return { level: 'unknown', word: 'asking', sentence: 'Asking the node…' };
  if (status.ReadOnlyReason) {
    return {
      level: 'bad',
      word: 'not writing',
      sentence: 'This node reads, but does not write.',
      advice: `${status.ReadOnlyReason}.`,
    };
  }
  if (status.LocalTestMode) {
    return { level: 'good', word: 'well', sentence: 'This node is well.', advice: 'Local test mode: no peers, and records need no work.' };
  }
  if (status.MissingCount > 0) {
    return {
      level: 'busy',
      word: 'catching up',
      sentence: 'This node is catching up.',
      advice: `${status.MissingCount.toLocaleString('en')} records are still to be fetched. Answers may miss what is newer.`,
    };
  }
  if (status.P2PPort > 0 && !status.Peers?.length) {
    return {
      level: 'busy',
      word: 'alone',
      sentence: 'This node is alone.',
      advice: 'It has no peers now: nothing new comes, and what is written here stays here. It keeps trying; “lf node connect HOST:PORT” names a peer.',
    };
  }
  if (!status.FullySynchronized) {
    return {
      level: 'busy',
      word: 'catching up',
      sentence: 'This node is catching up.',
      advice: status.PendingCount > 0 ? `${status.PendingCount.toLocaleString('en')} records wait for others they link to.` : 'It compares its records with its peers’.',
    };
  }
  const peers = status.Peers?.length ?? 0;
  return {
    level: 'good',
    word: 'well',
    sentence: 'This node is well.',
    advice:
      peers === 0
        ? 'It runs without peers and answers from what it holds.'
        : `It holds every record of its network that it knows of: ${peers === 1 ? 'its peer has' : `its ${peers} peers have`} nothing that it lacks.`,
  };
}
