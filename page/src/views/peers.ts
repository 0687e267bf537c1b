// Who this node is connected to.

import * as api from '../api';
import { fill, h, problem, table, terms } from '../dom';
import { bytes, count, figure, short, span, when } from '../format';
import * as live from '../live';
import * as session from '../session';
import { askToken } from '../token';
import type { View } from './view';

const STATES: Record<string, string> = { new: 'new', syncing: 'comparing', synced: 'in step' };

export function peersView(): View {
  const element = h('div', { class: 'peers' });
  let [busy, last] = [false, 0];

  async function update(): Promise<void> {
    const status = live.state.status;
    if (busy || !status || !live.state.reachable || Date.now() - last < 1_500) return;
    if (status.LocalTestMode || status.P2PPort === 0) {
      fill(
        element,
        h('p', { class: 'lead' }, status.LocalTestMode ? 'This node runs in local test mode, without peers.' : 'This node was started without peers.'),
        h('p', {}, 'A node without --localtest connects to others of its network by itself; “lf testnet 3 --play” shows three of them at work.'),
      );
      return;
    }
    busy = true;
    try {
      show(await api.get<api.PeersStatus>('/v1/peers/status'), status);
      last = Date.now();
    } catch (error) {
      if (error instanceof api.Refused && error.status === 403) askFirst();
      else if (live.state.reachable) fill(element, problem(api.explainError(error)));
    } finally {
      busy = false;
    }
  }

  function askFirst(): void {
    if (element.querySelector('.ask')) return;
    fill(
      element,
      h('p', { class: 'lead ask' }, 'Who a node is connected to is told to its own machine, and to who has its token.'),
      h('button', { type: 'button', onclick: () => void askToken('To see the peers from here, enter it.').then(() => update()) }, 'Enter the token'),
    );
  }

  function show(peers: api.PeersStatus, status: api.NodeStatus): void {
    const listens = peers.Listens.length ? peers.Listens.join(', ') : 'nowhere';
    fill(
      element,
      terms(
        ['Connected', count(peers.Peers.length)],
        ['Known', `${count(peers.KnownPeers)} addresses`],
        ['Listens on', h('span', { class: 'mono' }, listens)],
      ),
      peers.Peers.length === 0
        ? h('p', {}, 'Nobody is connected. The node keeps trying the addresses it knows; “lf node connect HOST:PORT” names another.')
        : table(
            'Connected peers',
            [
              { head: 'Peer' },
              { head: 'Address' },
              { head: 'Direction', wide: true },
              { head: 'Records are' },
              { head: 'Its records', number: true, wide: true },
              { head: 'Round trip', number: true },
              { head: 'Connected', number: true, wide: true },
              { head: 'In / out', number: true, wide: true },
              { head: 'Conduct', number: true, wide: true },
            ],
            peers.Peers.map(peer => [
              h('span', { class: 'mono', title: `${peer.Peer} ${peer.Version ?? ''}` }, short(peer.Peer)),
              h('span', { class: 'mono' }, peer.Address),
              peer.Outbound ? 'out' : 'in',
              STATES[peer.State] ?? peer.State,
              peer.Records ? `${count(peer.Records)}${peer.Records > status.RecordCount ? ' ↑' : ''}` : '–',
              peer.RoundTripMicros === undefined ? '–' : `${figure(peer.RoundTripMicros / 1000)} ms`,
              span(peer.ConnectedSeconds),
              `${bytes(peer.ReceivedBytes)} / ${bytes(peer.SentBytes)}`,
              peer.Score,
            ]),
          ),
      peers.Bans.length > 0 && [
        h('h2', {}, 'Kept out'),
        table('Bans', [{ head: 'Whom' }, { head: 'Until' }, { head: 'Why' }], peers.Bans.map(ban => [
          h('span', { class: 'mono', title: ban.Peer }, short(ban.Peer, 20)),
          when(ban.Until),
          ban.Reason,
        ])),
      ],
    );
  }

  let unlisten: (() => void) | undefined;
  session.onToken(() => void update());
  return {
    title: 'Peers',
    place: '#/peers',
    element,
    start: () => (unlisten = live.listen(() => void update())),
    stop: () => unlisten?.(),
  };
}
