export * from './bytes';
export * from './client';
export { Owner, type OwnerType } from './owner';
export { LfRecord, unmask, type RecordJson } from './record';
export { formatSelector, parseSelector, selectorKeyRange, type Selector } from './selector';
