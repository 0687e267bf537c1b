// Which view an address asks for.

import { h } from '../dom';
import { graphView } from './graph';
import { overview } from './overview';
import { ownersView, ownerView } from './owners';
import { peersView } from './peers';
import { queryView } from './query';
import { recordView } from './record';
import type { View } from './view';
import { watchView } from './watch';
import { writeView } from './write';

/** The view for what stands after the # of the address: `#/query/NAME…?order=…`. */
export function route(hash: string): View {
  const [path = '', search = ''] = split(hash.replace(/^#/, ''), '?');
  const [, place = '', ...rest] = path.split('/');
  const parameters = new URLSearchParams(search);
  let parts: string[];
  try {
    parts = rest.map(decodeURIComponent);
  } catch {
    return nowhere();
  }
  const [part = ''] = parts;
  switch (place) {
    case '':
      return overview();
    case 'query':
      return queryView(parts, parameters);
    case 'record':
      return recordView(part);
    case 'graph':
      return graphView();
    case 'watch':
      return watchView(parts);
    case 'peers':
      return peersView();
    case 'owners':
      return ownersView();
    case 'owner':
      return ownerView(part);
    case 'write':
      return writeView(parameters);
  }
  return nowhere();
}

function split(text: string, at: string): [string, string] {
  const i = text.indexOf(at);
  return i < 0 ? [text, ''] : [text.slice(0, i), text.slice(i + 1)];
}

function nowhere(): View {
  return {
    title: 'There is nothing here',
    element: h('p', {}, 'This address leads nowhere. ', h('a', { href: '#/' }, 'To the overview')),
  };
}
