// Records as they come.

import { parseSelector, type Found } from 'lf-client';
import { explainError } from '../api';
import { field, fill, h, problem, say } from '../dom';
import { counted, when } from '../format';
import { client, toBytes } from '../lf';
import * as session from '../session';
import { hashLink, ownerLink, valueOf } from './parts';
import { nameOf } from './query';
import type { View } from './view';

const SHOWN_MAX = 500;

let maskingKey = '';

export function watchView(names: string[]): View {
  const abort = new AbortController();
  const state = h('p', { class: 'muted', role: 'status' });
  const list = h('ul', { class: 'watched' });
  const log = h('div', { role: 'log', 'aria-label': 'Records that came' }, list);
  const trouble = h('div');
  const name = h('input', { type: 'text', value: names[0] ?? '', placeholder: 'bad horse#', autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', required: true });
  const masking = h('input', { type: 'password', value: maskingKey, autocomplete: 'off' });
  let came = 0;

  function submit(event: Event): void {
    event.preventDefault();
    const changed = masking.value !== maskingKey;
    maskingKey = masking.value;
    const target = `#/watch/${encodeURIComponent(name.value)}`;
    if (location.hash !== target) location.hash = target;
    else if (changed) dispatchEvent(new HashChangeEvent('hashchange'));
  }

  async function watch(): Promise<void> {
    try {
      const selectors = names.map(parseSelector);
      say(state, 'Watching. What is written from now on is shown here, newest first.');
      const options = maskingKey ? { maskingKey: toBytes(maskingKey), signal: abort.signal } : { signal: abort.signal };
      for await (const found of client().watch(selectors, options)) {
        if (abort.signal.aborted) return;
        session.remember(found.hash, found);
        list.prepend(row(found));
        if (list.children.length > SHOWN_MAX) list.lastElementChild?.remove();
        came++;
        say(state, `Watching: ${counted(came, 'record')} so far.`);
        document.title = `(${came}) Watch – LF node`;
      }
    } catch (error) {
      if (abort.signal.aborted) return;
      fill(state);
      fill(trouble, problem(explainError(error)));
    }
  }

  function row(found: Found): HTMLElement {
    return h(
      'li',
      {},
      h('div', { class: 'watched-name' }, h('strong', {}, nameOf(found.names)), h('span', { class: 'muted' }, when(Number(found.record.Timestamp)))),
      valueOf(found.value),
      h('div', { class: 'watched-more muted' }, 'trust ', found.trust, ' · ', ownerLink(found.record.Owner), ' · ', hashLink(found.hash)),
    );
  }

  return {
    title: names[0] ? `Watch ${names.join('  +  ')}` : 'Watch',
    place: '#/watch',
    element: h(
      'div',
      {},
      h('p', { class: 'lead' }, 'Shows records under a name in the moment this node has them, from wherever they come.'),
      h(
        'form',
        { class: 'fields', onsubmit: submit },
        field('Name to watch', name, 'name, name#ordinal, name#from#to, or name# for all ordinals'),
        field('Masking key', masking, 'If values are masked with another key than the name.'),
        h('button', { type: 'submit' }, 'Watch'),
      ),
      trouble,
      state,
      log,
    ),
    start: () => {
      if (names[0]) void watch();
    },
    stop: () => abort.abort(),
  };
}
