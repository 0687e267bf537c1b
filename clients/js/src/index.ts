// lf-client: reads and writes LF from browsers and Node. `Client` is where to begin; below it are the building blocks,
// which do no I/O.

export * from './api.js';
export {
  base62Decode,
  base62Encode,
  blobBytes,
  blobText,
  hashBytes,
  hashText,
  toBytes,
  type Bytes,
} from './bytes.js';
export { Certificate, CERTIFICATE_MASKING_KEY, Crl, serialText } from './certificates.js';
export { Client, type Stoppable } from './client.js';
export { collides, decodeComments, encodeComment, type Comment } from './comment.js';
export { LfError } from './errors.js';
export { amendableNames, amendParameters, Genesis, parametersFromJson, parametersToJson, parseParameters, type GenesisParameters } from './genesis.js';
export type { ClientOptions } from './http.js';
export { crc16, maskValue, unmaskValue, type Compress } from './masking.js';
export { ORDINAL_MAX, OrdinalMask } from './ordinal.js';
export { Owner, ownerBytes, ownerText, ownerTypeOf, ownerTypeOfName, passphraseMaskingKey, verifyOwner, type OwnerType } from './owner.js';
export { Pulse, PULSE_MINUTES_MAX, pulseStart, th64, th64Slowly } from './pulse.js';
export { LfRecord, RecordType, unmask, type RecordJson, type VerifyRules } from './record.js';
export { seeded } from './seeded.js';
export { addOrdinal, Claim, formatSelector, Name, parseSelector, selectorKeyRange, type Selector, type SelectorsLike } from './selector.js';
export type { WatchOptions } from './watch.js';
export {
  estimateSeconds,
  expectedHashes,
  prepareWorkTable,
  requiredDifficulty,
  SCORE_WITHOUT_WORK,
  searchWork,
  verifyWork,
  verifyWorkSlowly,
  workCost,
  WorkHasher,
  workScore,
  workTable,
  type WorkProgress,
} from './work.js';
export { searchInWorker, type WorkerFactory, type WorkerLike } from './workers.js';
export type { WorkBy, WriteOptions } from './write.js';
