// Looking up names. The node is asked for key ranges; what the keys stand for, and the values, are known here alone. Each
// result set shows its winner, why it wins, how sure that is, and all others who claim the same.

import { formatSelector, parseSelector, type ExplainedSet, type FindOptions, type Selector } from 'lf-client';
import { explainError } from '../api';
import { bar } from '../chart';
import { field, fill, h, id, problem, table, terms } from '../dom';
import { bytes, count, counted, figure, percent, reputation, span, when } from '../format';
import { client, toBytes } from '../lf';
import * as session from '../session';
import { hashLink, ownerLink, valueOf } from './parts';
import type { View } from './view';

const ORDERS: [string, string][] = [
  ['trust', 'trust: what this node, and oracles you name, think'],
  ['weight', 'weight: the most work on top'],
  ['timestamp', 'time: the newest'],
  ['deterministic', 'deterministic: what every synchronized node answers alike'],
];
const SETS_AT_ONCE = 50;

/** A masking key stays when other options change; it is never in the address. */
let maskingKey = '';

export function queryView(names: string[], parameters: URLSearchParams): View {
  const results = h('div', { class: 'results', 'aria-busy': 'true' });
  const status = h('p', { class: 'muted', role: 'status' }, 'Looking…');
  const order = parameters.get('order') ?? 'trust';
  const abort = new AbortController();
  const shown = names.join('  +  ');

  const also = h('input', { type: 'text', value: names.slice(1).join(' / '), autocomplete: 'off', spellcheck: 'false', placeholder: 'second name / third name' });
  const masking = h('input', { type: 'password', value: maskingKey, autocomplete: 'off' });
  const orders = h('select', {}, ORDERS.map(([value, text]) => h('option', { value, selected: value === order }, text)));
  const owners = h('input', { type: 'text', value: parameters.get('owners') ?? '', autocomplete: 'off', spellcheck: 'false', placeholder: '@owner @owner' });
  const oracles = h('input', { type: 'text', value: parameters.get('oracles') ?? '', autocomplete: 'off', spellcheck: 'false', placeholder: '@oracle @oracle' });
  const set = maskingKey !== '' || [...parameters.keys()].length > 0 || names.length > 1;
  const options = h(
    'details',
    { class: 'options', open: set },
    h('summary', {}, 'Options'),
    h(
      'form',
      { onsubmit: submit },
      h(
        'div',
        { class: 'fields' },
        field('Masking key', masking, 'Opens values that were masked with another key than the name. Stays in this browser’s memory.'),
        field('Order of candidates', orders),
        field('And also under', also, 'Records with several names: the others, in order.'),
        field('Only of owners', owners),
        field('Oracles that count', oracles, 'Whose comments on taken names are believed besides this node.'),
      ),
      h('button', { type: 'submit' }, 'Look again'),
    ),
  );

  function submit(event: Event): void {
    event.preventDefault();
    maskingKey = masking.value;
    const others = also.value.split('/').map(text => text.trim()).filter(Boolean);
    const path = [names[0] ?? '', ...others].map(encodeURIComponent).join('/');
    const next = new URLSearchParams();
    if (orders.value !== 'trust') next.set('order', orders.value);
    if (owners.value.trim()) next.set('owners', owners.value.trim());
    if (oracles.value.trim()) next.set('oracles', oracles.value.trim());
    const query = next.toString();
    const target = `#/query/${path}${query ? `?${query}` : ''}`;
    if (location.hash === target) void look();
    else location.hash = target;
  }

  async function look(): Promise<void> {
    results.setAttribute('aria-busy', 'true');
    try {
      const selectors = names.map(parseSelector);
      const find: FindOptions = { order: order as NonNullable<FindOptions['order']>, signal: abort.signal };
      if (maskingKey) find.maskingKey = toBytes(maskingKey);
      const list = (name: string) => (parameters.get(name) ?? '').split(/[\s,]+/).filter(Boolean);
      if (list('owners').length) find.owners = list('owners');
      if (list('oracles').length) find.oracles = list('oracles');
      const sets = await client().explain(selectors, find);
      if (abort.signal.aborted) return;
      show(sets, selectors);
    } catch (error) {
      if (abort.signal.aborted) return;
      fill(status);
      fill(results, problem(explainError(error)));
    }
    results.setAttribute('aria-busy', 'false');
  }

  function show(sets: ExplainedSet[], selectors: Selector[]): void {
    for (const set of sets) for (const found of set.candidates) session.remember(found.hash, found);
    if (sets.length === 0) {
      fill(status);
      const path = selectors.map(s => encodeURIComponent(formatSelector(s))).join('/');
      const name = names[0] ?? '';
      fill(
        results,
        h(
          'div',
          { class: 'none' },
          h('p', { class: 'lead' }, 'Nobody has written anything here that this node knows of.'),
          h(
            'ul',
            {},
            !name.includes('#') && h('li', {}, 'Only ordinal 0 was asked for. ', h('a', { href: `#/query/${encodeURIComponent(`${name}#`)}` }, 'Look at all ordinals')),
            h('li', {}, h('a', { href: `#/watch/${path}` }, 'Watch it'), ': what comes is shown at once'),
            h('li', {}, h('a', { href: `#/write?name=${encodeURIComponent(name)}` }, 'Write it'), ': who comes first keeps a name'),
          ),
        ),
      );
      return;
    }
    const contested = sets.filter(set => set.candidates.length > 1).length;
    fill(
      status,
      counted(sets.length, 'result'),
      contested > 0 && ` · ${contested === sets.length && sets.length === 1 ? 'contested' : `${count(contested)} contested`}`,
      ' · ',
      h('a', { href: `#/watch/${names.map(encodeURIComponent).join('/')}` }, 'watch'),
    );
    // What is weak about all of them is said once.
    const [one, ...rest] = sets.map(set => set.warnings);
    const shared = rest.length > 0 && one ? one.filter(text => rest.every(warnings => warnings.includes(text))) : [];
    fill(results, shared.length > 0 && weak('What is weak about all of them', shared));
    more(sets, 0, new Set(shared));
  }

  function more(sets: ExplainedSet[], from: number, said: Set<string>): void {
    for (const set of sets.slice(from, from + SETS_AT_ONCE)) results.append(resultSet(set, said));
    const left = sets.length - from - SETS_AT_ONCE;
    if (left <= 0) return;
    const button = h('button', { type: 'button', class: 'quiet', onclick: next }, `Show ${count(Math.min(left, SETS_AT_ONCE))} more of ${count(left)}`);
    function next(): void {
      button.remove();
      more(sets, from + SETS_AT_ONCE, said);
    }
    results.append(button);
  }

  return {
    title: shown || 'Look up',
    query: names[0] ?? '',
    element: h('div', { class: 'query' }, status, results, options),
    start: () => {
      if (names[0]) void look();
      else {
        fill(status, 'Give a name in the box above: name, name#ordinal, name#from#to, or name# for all ordinals.');
        results.setAttribute('aria-busy', 'false');
      }
    },
    stop: () => abort.abort(),
  };
}

type Candidate = ExplainedSet['candidates'][number];

export function nameOf(names: { name?: string; ordinal?: bigint; key: string }[]): string {
  return names.map(n => (n.name === undefined ? `?${n.key.replace(/^\?/, '').slice(0, 11)}…` : `${n.name}#${n.ordinal ?? '?'}`)).join('  +  ');
}

function weak(title: string, warnings: string[]): HTMLElement {
  return h('div', { class: 'weak' }, h('strong', {}, title), h('ul', {}, warnings.map(text => h('li', {}, text))));
}

function resultSet(set: ExplainedSet, said: Set<string>): HTMLElement {
  const [winner, ...others] = set.candidates;
  if (!winner) return h('div');
  const title = id();
  const warnings = set.warnings.filter(text => !said.has(text));
  return h(
    'article',
    { class: 'set', 'aria-labelledby': title },
    h('h2', { id: title }, nameOf(winner.names) || 'a record'),
    h('div', { class: 'winning' }, valueOf(winner.value, 'big text')),
    h(
      'p',
      { class: 'because' },
      h('strong', {}, others.length ? 'Why this one wins: ' : 'Why this one: '),
      `${set.because}.`,
    ),
    warnings.length > 0 && weak('What is weak about it', warnings),
    others.length > 0 ? candidates(set.candidates) : facts(winner),
  );
}

function facts(one: Candidate): HTMLElement {
  const list = terms(
    ['Record', hashLink(one.hash)],
    ['Owner', [ownerLink(one.record.Owner), certified(one.certified) ? ` ${certified(one.certified)}` : '']],
    ['Trust', trust(one)],
    ['Written', `${span(one.age)} ago${one.revisions > 1 ? `, ${counted(one.revisions, 'revision')}` : ''}`],
    ['Work on top', `× ${figure(one.recordsOnTop)}`],
    ['Size', bytes(one.size)],
    ['Goes on for', one.goesOnFor?.length ? one.goesOnFor.map(owner => [ownerLink(owner), ' ']) : ''],
  );
  list.className = 'facts';
  return list;
}

function trust(one: Candidate): string {
  return `${one.trust.toFixed(2)} · ${reputation(one.reputation)}`;
}

function certified(word: string): string {
  return word === 'yes' ? '· certified' : word === 'revoked' ? '· certificate revoked' : '';
}

function candidates(list: Candidate[]): HTMLElement {
  return table(
    'All who claim this name, the winner first',
    [
      { head: 'Place' },
      { head: 'Value' },
      { head: 'Owner' },
      { head: 'Trust', number: true },
      { head: 'What this node saw' },
      { head: 'Share of weight', number: true },
      { head: 'Work on top', number: true, wide: true },
      { head: 'Written', number: true, wide: true },
      { head: 'Record', wide: true },
    ],
    list.map((one, place) => [
      place === 0 ? h('span', { class: 'wins' }, 'wins') : `${place + 1}.`,
      valueOf(one.value),
      [ownerLink(one.record.Owner), certified(one.certified) && h('span', { class: 'muted' }, ` ${certified(one.certified)}`)],
      one.trust.toFixed(2),
      [
        reputation(one.reputation),
        one.deniedBy?.length ? `; ${counted(one.deniedBy.length, 'oracle')} against it` : '',
        one.goesOnFor?.length ? '; goes on for an older key' : '',
      ],
      h('span', { class: 'share' }, bar(one.weightShare), h('span', {}, percent(one.weightShare))),
      `× ${figure(one.recordsOnTop)}`,
      h('span', { title: when(Number(one.record.Timestamp)) }, `${span(one.age)} ago`),
      hashLink(one.hash, 7),
    ]),
    'candidates',
  );
}
