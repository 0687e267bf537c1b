// One record: what is in it, checked here, and its value, opened here.

import { unmask, type LfRecord } from 'lf-client';
import { explainError } from '../api';
import { field, fill, h, problem, say, table, terms } from '../dom';
import { bytes, recordType, short, span, when } from '../format';
import { client, toBytes } from '../lf';
import * as live from '../live';
import * as session from '../session';
import { hashLink, ownerLink, valueOf } from './parts';
import { nameOf } from './query';
import type { View } from './view';

export function recordView(hash: string): View {
  const element = h('div', { class: 'record', 'aria-busy': 'true' }, h('p', { class: 'muted' }, 'Fetching…'));
  let stopped = false;

  async function look(): Promise<void> {
    try {
      const record = await client().record(hash);
      if (!stopped) show(record);
    } catch (error) {
      const status = (error as { status?: number }).status;
      const unknown = status === 404 ? 'This node does not have that record. It may not have reached it yet, or the hash is wrong.' : explainError(error);
      if (!stopped) fill(element, problem(unknown));
    }
    element.setAttribute('aria-busy', 'false');
  }

  function show(record: LfRecord): void {
    const seen = session.recall(record.hash);
    const check = h('span', { role: 'status' }, 'checking…');
    void record.verify().then(
      () => say(check, 'the owner’s signature and the claims to its names hold, checked in this browser'),
      error => {
        say(check, `does not hold: ${explainError(error)}`);
        check.className = 'bad';
      },
    );
    const now = live.state.status?.Clock ?? Date.now() / 1000;
    fill(
      element,
      value(record, seen),
      terms(
        ['Hash', h('span', { class: 'mono full' }, record.hash)],
        ['Names', seen ? nameOf(seen.names) : ''],
        ['Type', recordType(record.type)],
        ['Owner', ownerLink(record.owner, 64)],
        ['Written', `${when(record.timestamp)} (${span(now - record.timestamp)} ago)`],
        ['Checked', check],
        ['Size', bytes(record.encode().length)],
        ['Links to', record.links.length ? h('span', { class: 'list' }, record.links.map(link => [hashLink(link, 14), ' '])) : 'nothing'],
        ['Work', record.work?.length ? `proof of work, difficulty ${difficulty(record.work)}` : 'none'],
      ),
      record.selectors.length > 0 && [
        h('h2', {}, record.selectors.length === 1 ? 'Its name, hidden' : 'Its names, hidden'),
        h('p', { class: 'hint' }, 'A claim proves that the writer knew the name. Who does not know it sees only this.'),
        table(
          'Selectors',
          [{ head: 'Masked ordinal' }, { head: 'Claim' }],
          record.selectors.map(selector => [
            h('span', { class: 'mono' }, hex(selector.ordinal)),
            h('span', { class: 'mono', title: hex(selector.signature) }, short(hex(selector.signature), 40)),
          ]),
        ),
      ],
    );
  }

  function value(record: LfRecord, seen: session.Seen | undefined): HTMLElement {
    if (seen?.value) return h('div', { class: 'winning' }, valueOf(seen.value, 'big text'));
    const box = h('div', { class: 'winning', 'aria-live': 'polite' });
    const key = h('input', { type: 'text', autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false' });
    const trouble = h('div', { 'aria-live': 'polite' });
    const open = (text: string): boolean => {
      try {
        fill(box, valueOf(unmask(record, toBytes(text)), 'big text'));
        return true;
      } catch {
        return false;
      }
    };
    if (record.type === 3 || record.type === 4) {
      // What certificates are masked with is known to all.
      if (open('lfCertificate')) return box;
    } else if (record.type !== 0 && open('')) return box;
    fill(
      box,
      h(
        'form',
        {
          class: 'unmask',
          onsubmit: (event: Event) => {
            event.preventDefault();
            if (!open(key.value)) fill(trouble, problem('That does not open it: the value was masked with another key.'));
          },
        },
        h('p', { class: 'muted' }, 'The value is masked. Who knows its name can open it.'),
        field('Name, or masking key', key, 'Used here only: it does not leave this browser.'),
        h('button', { type: 'submit' }, 'Open'),
        trouble,
      ),
    );
    return box;
  }

  return {
    title: `Record ${short(hash)}`,
    element,
    start: () => void look(),
    stop: () => (stopped = true),
  };
}

function difficulty(work: Uint8Array): string {
  const last = work.subarray(work.length - 4);
  return String(last.reduce((sum, byte) => sum * 256 + byte, 0));
}

function hex(data: Uint8Array): string {
  return Array.from(data, byte => byte.toString(16).padStart(2, '0')).join('');
}
