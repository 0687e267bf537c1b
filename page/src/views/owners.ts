// Owners and who certified them.

import { blobBytes } from 'lf-client';
import * as api from '../api';
import { authorities, type Authority } from '../der';
import { field, fill, h, problem, table, terms } from '../dom';
import { bytes, count, counted, day, short, span } from '../format';
import * as live from '../live';
import { hashLink, ownerLink } from './parts';
import type { View } from './view';

const LOOKED_AT = 2_000;
const OWNERS_SHOWN = 50;
const CERTIFICATES_PAGE = 200;

export function ownersView(): View {
  const input = h('input', { type: 'text', placeholder: '@…', autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', required: true, pattern: ' *@[0-9A-Za-z]+ *', title: '@ and base62' });
  const lately = h('div', {}, h('p', { class: 'muted' }, 'Looking…'));
  const certificates = h('div');
  let stopped = false;

  async function look(): Promise<void> {
    try {
      const page = await api.graph(LOOKED_AT);
      if (!stopped) showOwners(page);
    } catch (error) {
      fill(lately, problem(api.explainError(error)));
    }
  }

  function showOwners(page: api.GraphPage): void {
    const owners = new Map<string, { records: number; bytes: number; newest: number; taken: number }>();
    for (const record of page.Records) {
      const of = owners.get(record.Owner) ?? { records: 0, bytes: 0, newest: 0, taken: 0 };
      of.records++;
      of.bytes += record.Size;
      of.newest = Math.max(of.newest, record.Timestamp);
      if (record.Reputation === 0) of.taken++;
      owners.set(record.Owner, of);
    }
    const now = live.state.status?.Clock ?? Date.now() / 1000;
    const list = [...owners].sort(([, a], [, b]) => b.newest - a.newest || b.records - a.records);
    fill(
      lately,
      h('p', { class: 'muted' }, `${counted(list.length, 'owner')} of the newest ${counted(page.Records.length, 'record')}${list.length > OWNERS_SHOWN ? `; the last ${OWNERS_SHOWN} who wrote` : ''}`),
      table(
        'Owners who wrote lately',
        [{ head: 'Owner' }, { head: 'Last wrote' }, { head: 'Records', number: true }, { head: 'Bytes', number: true, wide: true }, { head: 'Under others’ names', number: true }],
        list.slice(0, OWNERS_SHOWN).map(([owner, of]) => [ownerLink(owner, 16), `${span(now - of.newest)} ago`, count(of.records), bytes(of.bytes), of.taken]),
      ),
    );
  }

  let shown: string | undefined;
  function update(): void {
    const parameters = live.state.status?.GenesisParameters;
    if (!parameters || shown === (parameters.AuthCertificates ?? '')) return;
    shown = parameters.AuthCertificates ?? '';
    if (!shown) {
      fill(certificates, h('p', {}, 'This network has no certificate authorities: every record pays with proof of work, and nobody vouches for owners.'));
      return;
    }
    const list = authorities(blobBytes(shown));
    fill(
      certificates,
      h('p', {}, parameters.AuthRequired ? 'Only certified owners write here.' : 'Owners certified by one of these write without proof of work.'),
      list.map(authority => authorityPart(authority)),
    );
  }

  let unlisten: (() => void) | undefined;
  return {
    title: 'Owners and certificates',
    place: '#/owners',
    element: h(
      'div',
      {},
      h(
        'form',
        {
          class: 'line',
          onsubmit: (event: Event) => {
            event.preventDefault();
            location.hash = `#/owner/${input.value.trim()}`;
          },
        },
        field('An owner', input),
        h('button', { type: 'submit' }, 'Show'),
      ),
      h('section', {}, h('h2', {}, 'Who wrote lately'), lately),
      h('section', {}, h('h2', {}, 'Certificate authorities'), certificates),
    ),
    start: () => {
      void look();
      unlisten = live.listen(update);
    },
    stop: () => {
      stopped = true;
      unlisten?.();
    },
  };
}

function authorityPart(authority: Authority): HTMLElement {
  const list = h('div', {}, h('p', { class: 'muted' }, 'Looking…'));
  async function look(after?: number): Promise<void> {
    try {
      const from = after === undefined ? '' : `&after=${after}`;
      const page = await api.get<{ Certificates: api.CertificateInfo[]; Next?: number }>(
        `/v1/certificates?issuer=${authority.serial}&count=${CERTIFICATES_PAGE}${from}`,
      );
      if (after === undefined) fill(list);
      if (page.Certificates.length > 0) list.append(certificateTable(page.Certificates));
      else if (after === undefined) list.append(h('p', { class: 'muted' }, 'It has issued nothing yet.'));
      if (page.Next) {
        const next = page.Next;
        const more = h('button', { type: 'button', class: 'quiet', onclick: () => { more.remove(); void look(next); } }, 'Show more');
        list.append(more);
      }
    } catch (error) {
      fill(list, problem(api.explainError(error)));
    }
  }
  void look();
  return h('article', {}, h('h3', {}, authority.subject || 'An authority without a name'), h('p', { class: 'muted mono', title: authority.serial }, `serial ${short(authority.serial, 20)}`), list);
}

function certificateTable(list: api.CertificateInfo[]): HTMLElement {
  const now = live.state.status?.Clock ?? Date.now() / 1000;
  return table(
    'Certificates issued',
    [{ head: 'For' }, { head: 'Subject', wide: true }, { head: 'State' }, { head: 'Valid', wide: true }, { head: 'Record', wide: true }],
    list.map(one => [
      one.Owner ? ownerLink(one.Owner, 16) : one.Authority ? 'an authority' : '–',
      one.Subject ?? '',
      one.Revoked
        ? h('span', { class: 'bad' }, `revoked${one.RevokedTime ? ` ${day(one.RevokedTime)}` : ''}${one.Reason ? `: ${one.Reason}` : ''}`)
        : now > one.NotAfter ? 'expired' : now < one.NotBefore ? 'not valid yet' : 'valid',
      `${day(one.NotBefore)} to ${day(one.NotAfter)}`,
      hashLink(one.Record, 9),
    ]),
  );
}

export function ownerView(owner: string): View {
  const element = h('div', { 'aria-busy': 'true' }, h('p', { class: 'muted' }, 'Looking…'));
  let stopped = false;

  async function look(): Promise<void> {
    try {
      const status = await api.get<api.OwnerStatus>(`/owner/${encodeURIComponent(owner)}`);
      const page = await api.graph(LOOKED_AT);
      if (stopped) return;
      const now = live.state.status?.Clock ?? Date.now() / 1000;
      const records = page.Records.filter(record => record.Owner === owner).reverse();
      const [valid, revoked] = [status.Certificates?.length ?? 0, status.RevokedCertificates?.length ?? 0];
      const certificates = [valid ? counted(valid, 'certificate') : '', revoked ? `${count(revoked)} revoked` : ''].filter(Boolean).join(', ');
      fill(
        element,
        status.RecordCount === 0 && h('p', { class: 'lead' }, 'This node has no record of this owner.'),
        terms(
          ['Owner', h('span', { class: 'mono full' }, status.Owner)],
          ['Type', status.OwnerType],
          ['Certified', status.HasCurrentCertificate ? 'yes, now' : status.AuthRequired ? 'no: it cannot write in this network' : 'no'],
          ['Certificates', certificates || 'none'],
          ['Records', `${count(status.RecordCount)}, ${bytes(status.RecordBytes)} in all`],
        ),
        records.length > 0 && [
          h('h2', {}, 'Its newest records'),
          table(
            'Its newest records',
            [{ head: 'Age' }, { head: 'Record' }, { head: 'Names', number: true }, { head: 'Size', number: true }, { head: 'Name' }],
            records.slice(0, OWNERS_SHOWN).map(record => [
              span(now - record.Timestamp),
              hashLink(record.Hash, 16),
              record.Selectors,
              bytes(record.Size),
              record.Selectors === 0 ? 'none' : record.Reputation === 0 ? h('span', { class: 'bad' }, 'somebody else was first') : 'its own',
            ]),
          ),
        ],
      );
    } catch (error) {
      if (!stopped) fill(element, problem(error instanceof api.Refused && error.status !== 403 ? `This is no owner: ${error.message}` : api.explainError(error)));
    }
    element.setAttribute('aria-busy', 'false');
  }

  return {
    title: `Owner ${short(owner)}`,
    place: '#/owners',
    element,
    start: () => void look(),
    stop: () => (stopped = true),
  };
}
