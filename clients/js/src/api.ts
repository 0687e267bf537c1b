// What nodes answer, as JSON has it, and what the client makes of it. Member names of JSON are the API's.

import type { RecordJson } from './record.js';
import type { Bytes } from './bytes.js';

/** A network's parameters in JSON. */
export interface GenesisParametersJson {
  ID: number[];
  AmendableFields?: string[];
  Name?: string;
  Contact?: string;
  Comment?: string;
  AuthCertificates?: string;
  RevokedAuthCertificates?: string;
  AuthRequired: boolean;
  RecordMinLinks: number;
  RecordMaxValueSize: number;
  RecordMaxTimeDrift: number;
  StrictSignatures?: boolean;
  WorkFactor?: number;
}

/** A peer: `Address` alone (`HOST:PORT` or a multiaddr), or the others. */
export interface Peer {
  IP?: string;
  Port?: number;
  Identity?: string;
  Address?: string;
}

/** A node's state. */
export interface NodeStatus {
  Software: string;
  Version: number[];
  APIVersion: number;
  MinAPIVersion: number;
  MaxAPIVersion: number;
  /** Seconds since it started. */
  Uptime: number;
  /** Its clock, seconds since 1970. */
  Clock: number;
  RecordCount: number;
  DataSize: number;
  FullySynchronized: boolean;
  GenesisRecords: string;
  GenesisParameters: GenesisParametersJson;
  Oracle?: string;
  OracleThreads?: number;
  P2PPort: number;
  LocalTestMode: boolean;
  Identity?: string;
  Peers?: Peer[];
  PendingCount?: number;
  LimboCount?: number;
  ReadOnlyReason?: string;
  MissingCount?: number;
  FetchedCount?: number;
  HTTPSUntil?: number;
  HTTPSProblem?: string;
}

/** What a node knows of an owner. */
export interface OwnerStatus {
  Owner: string;
  OwnerType?: string;
  /** DER, as byte strings in JSON. */
  Certificates?: string[];
  RevokedCertificates?: string[];
  HasCurrentCertificate: boolean;
  AuthRequired: boolean;
  RecordCount: number;
  RecordBytes: number;
  /** Links for the owner's next record. */
  NewRecordLinks?: string[] | null;
  /** The node's clock, seconds since 1970. */
  ServerTime: number;
}

/** One record of a query's answer, as JSON. */
export interface QueryResultJson {
  Hash: string;
  Size: number;
  Record: RecordJson;
  Value?: string;
  Pulse?: number;
  Trust: number;
  LocalTrust: number;
  OracleTrust: number;
  /** Four words of 32 bits, the most significant first. */
  Weight: number[];
  Signed: boolean;
}

/** A selector of a record that was found. */
export interface FoundName {
  /** The plain name, where it was asked for. */
  name?: string;
  /** The plain ordinal, where the name is known. */
  ordinal?: bigint;
  /** The selector key, `?…`. */
  key: string;
}

/** A record that was found: checked and unmasked here. What a node says of its trust is the node's word. */
export interface Found {
  hash: string;
  record: RecordJson;
  /** The plain value; absent if the masking key does not fit. */
  value?: Bytes;
  /** Its selectors, in order. */
  names: FoundName[];
  /** 0 to 1: what the node thinks, with the oracles that were asked. */
  trust: number;
  /** 1 or 0: what the node itself thinks. */
  localTrust: number;
  /** 0 to 1: what the oracles think. */
  oracleTrust: number;
  /** The work in and on top of it: 96 bits. */
  weight: bigint;
  /** Whether its owner had a valid certificate. */
  signed: boolean;
  /** When it was last pulsed, seconds since 1970; its timestamp if never. */
  pulse: number;
  /** Bytes of the record. */
  size: number;
  /** Of a watch: its place in the node's stream. `from` of the next watch is one more. */
  index?: number;
}

/** What one owner has in a result set, and what speaks for and against it. */
export interface Candidate extends Found {
  /** Of the newest revision, in seconds by the node's clock. */
  age: number;
  /** How many of this owner's there are. */
  revisions: number;
  /** 63 good, 48 links to a newer record, 0 another owner was first. */
  reputation: number;
  /** Its part of the set's weight, 0 to 1. */
  weightShare: number;
  /** Work on top of it, as multiples of what it scores itself. */
  recordsOnTop: number;
  /** Of its work; 0 without. */
  difficulty: number;
  /** `yes`, `no` or `revoked`. */
  certified: string;
  /** The oracles asked that say it collides with another owner's. */
  deniedBy: string[];
  /** Owners whose revisions count with these. */
  goesOnFor: string[];
}

/** A result set with all that decided. */
export interface ExplainedSet {
  /** The winner first. */
  candidates: Candidate[];
  /** Why it wins, one sentence. */
  because: string;
  /** Why the answer is weak, a sentence each. */
  warnings: string[];
}

/** What became of a write. */
export interface Written {
  kind: 'new' | 'unchanged' | 'pulsed';
  /** The record that holds the value now. */
  hash: string;
  /** The pulse, `!…`, if it was pulsed. */
  pulse?: string;
}

/** What to look for, beside the selectors. */
export interface FindOptions {
  /** Unmasks values; by default the first selector's name. Never sent. */
  maskingKey?: Bytes;
  /** Only these owners, `@…`. */
  owners?: readonly string[];
  /** How the records of a set are sorted; by trust if not said. */
  order?: 'trust' | 'weight' | 'timestamp' | 'deterministic';
  /** Oracles whose comments count, `@…`. */
  oracles?: readonly string[];
  /** The most records of each set. */
  limit?: number;
  /** Also records with more selectors than were asked for. */
  open?: boolean;
  /** Follow every owner who named a successor, not just those certified by one authority. */
  followRotations?: boolean;
  /** Not older than this, seconds since 1970. */
  after?: number;
  /** Not newer than this, seconds since 1970. */
  before?: number;
  signal?: AbortSignal;
}
