// Genesis (PROTOCOL.md §10): a network's parameters, how they are amended, and the file that starts a network.

import { blobBytes, blobText, equal, listFromJson, membersOf, NO_BYTES, type Bytes } from './bytes.js';
import { invalid, malformed } from './errors.js';
import { LfRecord, LINKS_MAX, RECORD_BYTES_MAX, RecordType } from './record.js';

const FILE_BYTES_MAX = 16 * RECORD_BYTES_MAX;

/** What genesis records may change later, if the first one says so. */
export const AMENDABLE = [
  'name',
  'contact',
  'comment',
  'authcertificates',
  'authrequired',
  'recordminlinks',
  'recordmaxvaluesize',
  'recordmaxtimedrift',
  'strictsignatures',
  'workfactor',
] as const;

/** A network's parameters. Absent ones are empty, 0 or false. */
export interface GenesisParameters {
  id: Bytes;
  amendableFields: string[];
  name: string;
  contact: string;
  comment: string;
  authCertificates: Bytes;
  revokedAuthCertificates: Bytes;
  authRequired: boolean;
  recordMinLinks: number;
  recordMaxValueSize: number;
  recordMaxTimeDrift: number;
  strictSignatures: boolean;
  workFactor: number;
}

/** The parameters of no network. */
export function noParameters(): GenesisParameters {
  return {
    id: new Uint8Array(32),
    amendableFields: [],
    name: '',
    contact: '',
    comment: '',
    authCertificates: NO_BYTES,
    revokedAuthCertificates: NO_BYTES,
    authRequired: false,
    recordMinLinks: 0,
    recordMaxValueSize: 0,
    recordMaxTimeDrift: 0,
    strictSignatures: false,
    workFactor: 0,
  };
}

type Key = keyof GenesisParameters;

function memberOf(key: Key): string {
  return key === 'id' ? 'ID' : (key[0] as string).toUpperCase() + key.slice(1);
}

function read(member: string, given: unknown, otherwise: GenesisParameters[Key]): GenesisParameters[Key] {
  const wrong = malformed(`genesis parameter ${member} is of a wrong type`);
  if (member === 'ID') {
    const id = new Uint8Array(32);
    if (!Array.isArray(given) || !given.every(n => Number.isInteger(n) && n >= 0 && n <= 255)) throw wrong;
    id.set(given.slice(0, 32));
    return id;
  }
  if (otherwise instanceof Uint8Array) return blobBytes(given, member);
  if (Array.isArray(otherwise)) {
    const list = listFromJson(given, member);
    if (!list.every(one => typeof one === 'string')) throw wrong;
    return list as string[];
  }
  if (typeof given !== typeof otherwise || (typeof given === 'number' && (!Number.isInteger(given) || given < 0))) throw wrong;
  return given as GenesisParameters[Key];
}

/** Reads parameters: names in any letter case, unknown ones ignored, a wrong type is an error. */
export function parametersFromJson(value: unknown): GenesisParameters {
  const parameters = noParameters();
  if (value === null || value === undefined) return parameters;
  const members = membersOf(value, 'genesis parameters');
  const found: Record<string, unknown> = {};
  for (const key of Object.keys(parameters) as Key[]) {
    const given = members[key.toLowerCase()];
    found[key] = given === null || given === undefined ? parameters[key] : read(memberOf(key), given, parameters[key]);
  }
  return found as unknown as GenesisParameters;
}

/** Parameters as genesis records hold them. */
export function parametersToJson(parameters: GenesisParameters): Record<string, unknown> {
  const always = ['ID', 'AuthRequired', 'RecordMinLinks', 'RecordMaxValueSize', 'RecordMaxTimeDrift'];
  const json: Record<string, unknown> = {};
  for (const key of Object.keys(noParameters()) as Key[]) {
    const [member, value] = [memberOf(key), parameters[key]];
    const isEmpty = typeof value === 'object' ? value.length === 0 : !value;
    if (isEmpty && !always.includes(member)) continue;
    json[member] = member === 'ID' ? Array.from(value as Bytes) : value instanceof Uint8Array ? blobText(value) : value;
  }
  return json;
}

/** Reads the JSON of a genesis record. */
export function parseParameters(text: Bytes): GenesisParameters {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch {
    throw malformed('genesis parameters are not JSON');
  }
  return parametersFromJson(value);
}

/** Parameters after a later genesis record's JSON: every amendable field as that says, absent ones empty. */
export function amendParameters(parameters: GenesisParameters, text: Bytes): GenesisParameters {
  if (text.length === 0) return parameters;
  const later = parseParameters(text);
  const amended = { ...parameters };
  for (const field of parameters.amendableFields.map(name => name.toLowerCase())) {
    if (field === 'authcertificates' || field === 'revokedauthcertificates') {
      amended.authCertificates = later.authCertificates;
      amended.revokedAuthCertificates = later.revokedAuthCertificates;
    } else if ((AMENDABLE as readonly string[]).includes(field)) {
      const key = (Object.keys(parameters) as Key[]).find(one => one.toLowerCase() === field) as Key;
      Object.assign(amended, { [key]: later[key] });
    }
  }
  return amended;
}

/** The names of fields that a new network makes amendable: checked, trimmed, in lower case. */
export function amendableNames(names: readonly string[]): string[] {
  return names.map(given => {
    const lower = given.trim().toLowerCase();
    const name = lower === 'recordmaxforwardtimedrift' ? 'recordmaxtimedrift' : lower;
    if (!(AMENDABLE as readonly string[]).includes(name)) {
      throw invalid(`no field named ${JSON.stringify(name)} can be amendable; there are: ${AMENDABLE.join(', ')}`);
    }
    return name;
  });
}

/** A network's start: the records of genesis.lf, checked, and the parameters of the first. */
export class Genesis {
  private constructor(
    readonly records: readonly LfRecord[],
    readonly parameters: GenesisParameters,
  ) {}

  /** Reads genesis.lf: records of one owner, signed, each linking to ones before it. Work is not checked. */
  static parse(file: Bytes): Genesis {
    if (file.length > FILE_BYTES_MAX) throw malformed(`genesis file has ${file.length} bytes, more than ${FILE_BYTES_MAX}`);
    const records: LfRecord[] = [];
    const known = new Set<string>();
    for (let at = 0; at < file.length; ) {
      const index = records.length;
      const [record, used] = LfRecord.decodeFirst(file.subarray(at, at + RECORD_BYTES_MAX + 1));
      at += used;
      const first = records[0] ?? record;
      if (record.type !== RecordType.genesis) throw malformed(`genesis record ${index} is not of type genesis`);
      if (!equal(first.ownerBytes, record.ownerBytes)) throw malformed(`genesis record ${index} has another owner than the first`);
      if (record.selectors.length) throw malformed(`genesis record ${index} has selectors`);
      const links = record.links;
      if (!links.every(link => known.has(link)) || (index > 0 && links.length === 0)) {
        throw malformed(`genesis record ${index} does not link to the records before it`);
      }
      record.verify();
      known.add(record.hash);
      records.push(record);
    }
    const [first] = records;
    if (!first) throw malformed('genesis file has no records');
    const parameters = parseParameters(first.value());
    const needed = Math.max(1, Math.min(parameters.recordMinLinks, LINKS_MAX));
    if (records.length < needed) throw malformed(`genesis file has ${records.length} records where the network needs ${needed}`);
    return new Genesis(records, parameters);
  }

  /** The owner of all genesis records. */
  get owner(): string {
    return this.records[0]?.owner ?? '';
  }
}
