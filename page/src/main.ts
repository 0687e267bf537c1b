// The frame: who the node is and how it is, where one can go, and the view that was chosen. Where one is stands after the
// # of the address, which browsers keep to themselves: so names in it never reach the node.

import { fill, h, say } from './dom';
import * as live from './live';
import * as session from './session';
import { askToken } from './token';
import { route } from './views';
import type { View } from './views/view';

const NAV: [string, string][] = [
  ['#/', 'Overview'],
  ['#/graph', 'Graph'],
  ['#/watch', 'Watch'],
  ['#/peers', 'Peers'],
  ['#/owners', 'Owners'],
  ['#/write', 'Write'],
];

const dot = h('span', { class: 'dot', 'aria-hidden': 'true' });
const word = h('span', { role: 'status' });
const network = h('span', { class: 'network' });
const told = h('span', { role: 'alert' });
const since = h('span', { 'aria-hidden': 'true' });
const notice = h('div', { class: 'notice', hidden: true }, told, since);
const main = h('main', { id: 'main', tabindex: '-1' });
const links = NAV.map(([href, text]) => h('a', { href }, text));
const token = h('button', { type: 'button', class: 'quiet', onclick: () => void changeToken() });

const box = h('input', {
  type: 'text',
  class: 'box',
  placeholder: 'bad horse#2#10',
  'aria-label': 'Look up a name: name, name#ordinal, name#from#to or name#',
  autocomplete: 'off',
  autocapitalize: 'none',
  spellcheck: 'false',
  enterkeyhint: 'search',
});

async function changeToken(): Promise<void> {
  if (session.token()) session.setToken(undefined);
  else await askToken('To see or do what only this machine may.');
}

function showToken(): void {
  say(token, session.token() ? 'Forget token' : 'Enter token');
}

function frame(): void {
  const search = h(
    'form',
    {
      role: 'search',
      class: 'search',
      onsubmit: (event: SubmitEvent) => {
        event.preventDefault();
        if (box.value.trim() === '') return box.focus();
        const target = `#/query/${encodeURIComponent(box.value)}`;
        if (location.hash === target) show();
        else location.hash = target;
      },
    },
    box,
    h('button', { type: 'submit' }, 'Look up'),
  );
  document.body.append(
    h('a', { class: 'skip', href: '#main', onclick: skip }, 'To the content'),
    h(
      'header',
      {},
      h(
        'div',
        { class: 'bar-top' },
        h('a', { href: '#/', class: 'brand', 'aria-label': 'LF: overview' }, 'LF'),
        network,
        h('span', { class: 'state' }, dot, word),
        token,
      ),
      h('div', { class: 'bar-nav' }, h('nav', { 'aria-label': 'Views' }, links), search),
    ),
    notice,
    main,
    h(
      'footer',
      {},
      h('p', {}, 'Names and masking keys stay in this browser: the node is asked for key ranges, and values are opened here.'),
      h('p', { class: 'version' }),
    ),
  );
}

function skip(event: Event): void {
  event.preventDefault();
  main.focus();
}

let view: View | undefined;
let first = true;

function show(): void {
  view?.stop?.();
  view = route(location.hash);
  const heading = h('h1', { tabindex: '-1' }, view.title);
  if (view.hideTitle) heading.classList.add('hidden');
  fill(main, heading, view.element);
  document.title = `${view.title} – LF node`;
  if (view.query !== undefined) box.value = view.query;
  for (const link of links) {
    const here = link.getAttribute('href') === (view.place ?? '');
    if (here) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  // Who goes somewhere by keyboard or screen reader is there now.
  if (!first) {
    scrollTo(0, 0);
    heading.focus({ preventScroll: true });
  }
  first = false;
  view.start?.();
}

function showHealth(): void {
  const health = live.health();
  const status = live.state.status;
  dot.className = `dot ${health.level}`;
  say(word, health.word);
  const name = status?.GenesisParameters.Name || 'network without a name';
  const mode = status?.LocalTestMode ? ', local test' : '';
  say(network, status ? `${name}${mode} · ${location.host}` : location.host);
  const changed = status && live.state.version && status.Version.join('.') !== live.state.version;
  const text = !live.state.reachable
    ? `${health.sentence} ${health.advice ?? ''}`
    : changed
      ? 'The node runs another version now: load this page again.'
      : '';
  notice.hidden = text === '';
  say(told, text);
  // Who listens is told once; the seconds are for who looks.
  say(since, live.state.reachable ? '' : ` No answer for ${live.goneSeconds()} s.`);
  document.body.classList.toggle('gone', !live.state.reachable);
  const version = document.querySelector('footer .version');
  if (version && status) say(version, `LF ${status.Version.slice(0, 3).join('.')}`);
}

frame();
showToken();
session.onToken(showToken);
live.listen(showHealth);
showHealth();
addEventListener('hashchange', show);
addEventListener('keydown', event => {
  const target = event.target as HTMLElement;
  if (event.key === '/' && !event.ctrlKey && !event.metaKey && !/^(input|textarea|select)$/i.test(target.tagName)) {
    event.preventDefault();
    box.focus();
    box.select();
  }
});
show();
void live.run();
