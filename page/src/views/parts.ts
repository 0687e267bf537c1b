// What several views show alike.

import { h } from '../dom';
import { readable, short } from '../format';

export function hashLink(hash: string, length = 11): HTMLElement {
  return h('a', { href: `#/record/${hash}`, class: 'mono', title: hash }, short(hash, length));
}

export function ownerLink(owner: string, length = 11): HTMLElement {
  return h('a', { href: `#/owner/${owner}`, class: 'mono', title: owner }, short(owner, length));
}

export function queryLink(selector: string, text = selector): HTMLElement {
  return h('a', { href: `#/query/${encodeURIComponent(selector)}` }, text);
}

/** A value: text as it is, other bytes in hexadecimal digits. */
export function valueOf(value: Uint8Array | undefined, className = 'text'): HTMLElement {
  if (value === undefined) return h('span', { class: 'muted' }, 'cannot be opened with this name: another masking key is needed');
  if (value.length === 0) return h('span', { class: 'muted' }, 'empty');
  const { text, binary } = readable(value);
  return h('span', { class: binary ? `${className} binary` : className, dir: 'auto' }, text);
}
