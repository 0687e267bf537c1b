// Asking the node. Everything goes to where the page came from, and nothing but the token is ever added.

import * as session from './session';

/** What the node answered when it did not do what it was asked. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const TIME_MAX_MS = 8_000;

/** JSON from a path. */
export async function get<T>(path: string, options: { token?: string; timeMs?: number } = {}): Promise<T> {
  return (await ask(path, options)).json() as Promise<T>;
}

export async function text(path: string): Promise<string> {
  return (await ask(path, {})).text();
}

async function ask(path: string, options: { token?: string; timeMs?: number }): Promise<Response> {
  const token = options.token ?? session.token();
  const response = await fetch(path, {
    headers: token ? { Authorization: `Bearer ${token}` } : {},
    signal: AbortSignal.timeout(options.timeMs ?? TIME_MAX_MS),
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
  });
  if (response.ok) return response;
  if (response.status === 403 && token && options.token === undefined) {
    // A token of before, that the node does not know any more: worse than none.
    session.setToken(undefined);
    return ask(path, options);
  }
  const told = (await response.json().catch(() => ({}))) as { Message?: string };
  throw new Refused(response.status, told.Message ?? `the node answered ${response.status}`);
}

const GONE = 'The node does not answer. Is it running? This page tries again by itself.';

/** What the client says of a URL is of the one node there is here. */
function sentence(message: string): string {
  const plain = message.replaceAll(`${location.origin} `, 'the node ');
  return `${plain[0]?.toUpperCase() ?? ''}${plain.slice(1)}`;
}

/** One line on what went wrong, and what to do. */
export function explainError(error: unknown): string {
  if (error instanceof Refused) return error.message;
  const { name, message, status } = error as { name?: string; message?: string; status?: number };
  if (name === 'ErrUnreachable') return GONE;
  if (typeof status === 'number' && message) return sentence(message);
  if (name === 'TimeoutError') return 'The node takes too long to answer. Try again, or ask for less.';
  if (error instanceof TypeError && /fetch|network|load failed/i.test(message ?? '')) return GONE;
  return message || String(error);
}

// What the node tells, as far as the page reads it (/v1/openapi.json).

export interface NodeStatus {
  Version: number[];
  Uptime: number;
  Clock: number;
  RecordCount: number;
  DataSize: number;
  FullySynchronized: boolean;
  GenesisParameters: Parameters;
  Oracle?: string;
  OracleThreads: number;
  P2PPort: number;
  LocalTestMode: boolean;
  Peers?: unknown[];
  PendingCount: number;
  LimboCount: number;
  ReadOnlyReason?: string;
  MissingCount: number;
  FetchedCount: number;
  HTTPSUntil?: number;
  HTTPSProblem?: string;
}

export interface Parameters {
  Name?: string;
  Contact?: string;
  Comment?: string;
  AuthCertificates?: string;
  AuthRequired: boolean;
  RecordMinLinks: number;
  RecordMaxValueSize: number;
  RecordMaxTimeDrift: number;
  WorkFactor?: number;
}

export interface GraphRecord {
  Index: number;
  Hash: string;
  Owner: string;
  Timestamp: number;
  Type: number;
  Links: number[];
  Weight: number[];
  Score: number;
  Reputation: number;
  Size: number;
  Selectors: number;
}

export interface GraphPage {
  Records: GraphRecord[];
  Linked: number;
  Tips: number;
}

export interface PeerStatus {
  Peer: string;
  Address: string;
  Outbound: boolean;
  Version?: string;
  RoundTripMicros?: number;
  ConnectedSeconds: number;
  State: string;
  Records: number;
  Score: number;
  ReceivedBytes: number;
  SentBytes: number;
}

export interface PeersStatus {
  Peers: PeerStatus[];
  Bans: { Peer: string; Until: number; Reason: string }[];
  Listens: string[];
  KnownPeers: number;
}

export interface OwnerStatus {
  Owner: string;
  OwnerType: string;
  Certificates?: string[];
  RevokedCertificates?: string[];
  HasCurrentCertificate: boolean;
  AuthRequired: boolean;
  RecordCount: number;
  RecordBytes: number;
}

export interface CertificateInfo {
  Serial: string;
  Issuer?: string;
  Subject?: string;
  Owner?: string;
  NotBefore: number;
  NotAfter: number;
  Authority: boolean;
  Revoked: boolean;
  RevokedTime?: number;
  Reason?: string;
  Record: string;
}

export function graph(count: number, from?: number): Promise<GraphPage> {
  return get(`/v1/graph?count=${count}${from === undefined ? '' : `&from=${from}`}`);
}
