// How the node is, at a glance: a sentence, instruments, and the newest records.

import * as api from '../api';
import { Chart } from '../chart';
import { copyable, fill, h, say, table } from '../dom';
import { bytes, count, counted, day, figure, recordType, short, span, weightOf } from '../format';
import * as live from '../live';
import { hashLink, ownerLink } from './parts';
import type { View } from './view';

const NEWEST = 12;
/** The disk is shown to fill up when it has less free than so many times what the node needs to write. */
const SCARCE = 4;

class Instrument {
  readonly value = h('p', { class: 'value' });
  readonly about = h('p', { class: 'about' });
  readonly element: HTMLElement;

  constructor(label: string, chart?: Chart) {
    this.element = h('section', { class: 'instrument' }, h('h2', {}, label), this.value, this.about, chart?.element);
  }

  show(value: string, about: string, level = ''): void {
    say(this.value, value);
    say(this.about, about);
    this.element.dataset['level'] = level;
  }
}

export function overview(): View {
  const sentence = h('p', { class: 'sentence' });
  const advice = h('p', { class: 'advice' });
  const charts = {
    rate: new Chart('New records a second'),
    queries: new Chart('Queries a second'),
    peers: new Chart('Peers', count),
    size: new Chart('Bytes of records', bytes, true),
  };
  const records = new Instrument('Records', charts.rate);
  const data = new Instrument('Disk', charts.size);
  const queries = new Instrument('Queries', charts.queries);
  const peers = new Instrument('Peers', charts.peers);
  const sync = new Instrument('Sync');
  const oracle = new Instrument('Oracle');
  const certificates = new Instrument('Certificates');
  const process = new Instrument('Running');
  const newest = h('section', { class: 'newest', 'aria-label': 'Newest records' });
  const next = h('div');
  const element = h(
    'div',
    { class: 'overview' },
    h('div', { class: 'headline' }, sentence, advice),
    next,
    h(
      'div',
      { class: 'instruments' },
      [records, queries, peers, data, sync, certificates, oracle, process].map(i => i.element),
    ),
    newest,
    about(),
  );

  let shownCount = -1;
  let stopped = false;
  let hinted: boolean | undefined;

  function update(): void {
    const { status, metrics } = live.state;
    const health = live.health();
    say(sentence, health.sentence);
    say(advice, health.advice ?? '');
    advice.hidden = !health.advice;
    if (!status) return;

    const lately = live.grown(sample => sample.records, 60);
    const pending = status.PendingCount + status.LimboCount;
    records.show(
      count(status.RecordCount),
      [
        lately.seconds >= 10 ? `${count(lately.value)} in the last ${span(lately.seconds)}` : '',
        pending ? `${count(pending)} waiting` : '',
      ].filter(Boolean).join(' · ') || 'watching for new ones',
    );
    charts.rate.update(live.rates(sample => sample.records));

    const asked = live.rates(sample => sample.queries);
    queries.show(`${figure(asked.at(-1)?.value ?? 0)} /s`, `${count(metrics.get('lf_queries_total') ?? 0)} since the start`);
    charts.queries.update(asked);

    const connected = status.Peers?.length ?? 0;
    const known = metrics.get('lf_peers_known');
    if (status.LocalTestMode || status.P2PPort === 0) peers.show('none', 'this node runs without peers');
    else {
      const [incoming, outgoing] = [metrics.get('lf_peers{direction="in"}'), metrics.get('lf_peers{direction="out"}')];
      const about = [
        connected ? `${incoming ?? 0} in, ${outgoing ?? 0} out` : 'nobody is connected',
        known ? `${count(known)} known` : '',
      ];
      peers.show(count(connected), about.filter(Boolean).join(' · '), connected ? '' : 'busy');
    }
    charts.peers.element.hidden = status.LocalTestMode || status.P2PPort === 0;
    charts.peers.update(live.values(sample => sample.peers));

    const [free, needed] = [metrics.get('lf_disk_free_bytes'), metrics.get('lf_disk_needed_bytes')];
    const scarce = free !== undefined && needed !== undefined && free < SCARCE * needed;
    data.show(
      bytes(status.DataSize),
      status.ReadOnlyReason ? 'writing has stopped' : free === undefined ? 'of records; writing works' : `of records · ${bytes(free)} free`,
      status.ReadOnlyReason ? 'bad' : scarce ? 'busy' : '',
    );
    charts.size.update(live.values(sample => sample.bytes));

    if (status.MissingCount > 0) {
      const all = status.MissingCount + status.FetchedCount;
      sync.show(`${Math.floor((status.FetchedCount / all) * 100)} %`, `${count(status.MissingCount)} records to fetch`, 'busy');
    } else if (status.FullySynchronized) sync.show('complete', status.LocalTestMode ? 'nothing to compare with' : 'nothing is known to be missing');
    else sync.show('comparing', status.PendingCount ? `${counted(status.PendingCount, 'record')} with missing links` : 'with its peers', 'busy');

    const comments = status.Oracle ? `comments on taken names · ${counted(status.OracleThreads, 'thread')}` : 'it does not comment on taken names';
    oracle.show(status.Oracle ? short(status.Oracle) : 'no', comments);
    oracle.value.title = status.Oracle ?? '';

    const parameters = status.GenesisParameters;
    const https = status.HTTPSProblem
      ? `HTTPS: ${status.HTTPSProblem}`
      : status.HTTPSUntil
        ? `HTTPS until ${day(status.HTTPSUntil)}`
        : 'HTTPS is not served';
    const soon = status.HTTPSUntil !== undefined && status.HTTPSUntil - status.Clock < 7 * 86400;
    certificates.show(
      parameters.AuthRequired ? 'required' : parameters.AuthCertificates ? 'accepted' : 'not used',
      https,
      status.HTTPSProblem ? 'bad' : soon ? 'busy' : '',
    );

    process.show(span(status.Uptime), `LF ${status.Version.slice(0, 3).join('.')}${status.P2PPort ? ` · port ${status.P2PPort} for peers` : ''}`);

    // Only what the network began with is here: the genesis, a handful of records.
    const empty = status.RecordCount <= Math.max(1, parameters.RecordMinLinks);
    if (empty !== hinted) {
      hinted = empty;
      fill(next, empty && whatNext(status.LocalTestMode));
    }
    if (status.RecordCount !== shownCount && live.state.reachable) {
      shownCount = status.RecordCount;
      void showNewest();
    }
  }

  async function showNewest(): Promise<void> {
    try {
      const page = await api.graph(NEWEST);
      if (stopped) return;
      const now = live.state.status?.Clock ?? Date.now() / 1000;
      fill(
        newest,
        h('div', { class: 'heading' }, h('h2', {}, 'Newest records'), h('a', { href: '#/graph' }, 'as a graph')),
        table(
          'Newest records',
          [
            { head: 'Age' },
            { head: 'Record' },
            { head: 'Type' },
            { head: 'Owner', wide: true },
            { head: 'Names', number: true, wide: true },
            { head: 'Size', number: true, wide: true },
            { head: 'Work on top', number: true },
          ],
          page.Records.reverse().map(record => [
            span(now - record.Timestamp),
            hashLink(record.Hash),
            record.Reputation === 0 ? `${recordType(record.Type)}, name taken` : recordType(record.Type),
            ownerLink(record.Owner),
            record.Selectors,
            bytes(record.Size),
            `× ${figure(weightOf(record.Weight) / Math.max(1, record.Score) - 1)}`,
          ]),
        ),
      );
    } catch {
      shownCount = -1;
    }
  }

  let unlisten: (() => void) | undefined;
  return {
    title: 'Overview',
    hideTitle: true,
    place: '#/',
    element,
    start: () => (unlisten = live.listen(update)),
    stop: () => {
      stopped = true;
      unlisten?.();
    },
  };
}

function whatNext(localTest: boolean): HTMLElement {
  return h(
    'section',
    { class: 'next' },
    h('h2', {}, 'Nothing is here yet but the network’s first records'),
    h('p', {}, 'In a terminal on this machine:'),
    h(
      'ol',
      {},
      h('li', {}, 'Write a value under a name.', copyable("lf set 'bad horse#1' neigh")),
      h('li', {}, 'Read it: all ordinals of the name.', copyable("lf get 'bad horse#'")),
      h('li', {}, 'Or look it up in the box above, or ', h('a', { href: '#/write' }, 'write from here'), '.'),
      !localTest && h('li', {}, 'To begin with all records of a running node instead:', copyable('lf node bootstrap https://HOST')),
    ),
  );
}

function about(): HTMLElement {
  return h(
    'section',
    { class: 'what' },
    h('h2', {}, 'What LF is'),
    h(
      'p',
      {},
      'A key/value store that nobody owns: every node holds every record, and answers by itself. Records are signed, their names hidden, ' +
        'and each links to older ones, so that everything written later adds weight to what was there. Who takes a name first keeps it; ' +
        'where two claim one, trust decides, and ',
      h('a', { href: '#/graph' }, 'the graph'),
      ' shows what lies on top of what.',
    ),
  );
}
