// Writing. The record is made and signed here, with an owner that is in this page's memory only; the node adds what needs
// no secret: links, and the proof of work. For that it wants its token.

import { formatSelector, Owner, parseSelector } from 'lf-client';
import { explainError } from '../api';
import { copyable, field, fill, h, problem, say, terms } from '../dom';
import { span } from '../format';
import { client, toBytes } from '../lf';
import * as live from '../live';
import * as session from '../session';
import { needToken } from '../token';
import { hashLink, ownerLink } from './parts';
import type { View } from './view';

export function writeView(parameters: URLSearchParams): View {
  const owner = h('div', { class: 'owner-part', 'aria-live': 'polite' });
  const name = h('input', { type: 'text', value: parameters.get('name') ?? '', placeholder: 'bad horse#1', required: true, autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false' });
  const value = h('textarea', { rows: 3, spellcheck: 'false' });
  const masking = h('input', { type: 'password', autocomplete: 'off' });
  const publish = h('button', { type: 'submit' }, 'Sign and publish');
  const stop = h('button', { type: 'button', class: 'quiet', hidden: true }, 'Stop');
  const progress = h('p', { class: 'muted', role: 'status' });
  const outcome = h('div', { 'aria-live': 'polite' });
  let abort: AbortController | undefined;
  stop.addEventListener('click', () => abort?.abort());

  function showOwner(): void {
    if (session.signer.owner) {
      const held = session.signer.owner;
      fill(
        owner,
        h('p', {}, 'Signs: ', ownerLink(held.public, 24), ` (${held.type})`),
        h('div', { class: 'buttons' },
          h('button', { type: 'button', class: 'quiet', onclick: () => { session.signer.owner = undefined; showOwner(); } }, 'Forget this owner')),
      );
      return;
    }
    const pem = h('textarea', { rows: 4, spellcheck: 'false', autocomplete: 'off', class: 'mono', placeholder: '-----BEGIN LF OWNER PRIVATE KEY-----' });
    const file = h('input', { type: 'file', accept: '.pem,.txt,text/plain' });
    const trouble = h('div', { 'aria-live': 'polite' });
    const take = (text: string) => {
      try {
        session.signer.owner = Owner.import(text);
        pem.value = '';
        showOwner();
      } catch (error) {
        fill(trouble, problem(`This is no owner: ${explainError(error)}. Give what “lf owner export NAME” prints.`));
      }
    };
    file.addEventListener('change', () => void file.files?.[0]?.text().then(take));
    fill(
      owner,
      field('Owner’s private key', pem, 'What “lf owner export NAME” prints. Kept in this page’s memory only, never sent or stored; gone when the page is.'),
      h('div', { class: 'buttons' },
        h('button', { type: 'button', onclick: () => take(pem.value.trim()) }, 'Use this owner'),
        h('label', { class: 'file' }, 'or a file ', file)),
      trouble,
      h('details', {},
        h('summary', {}, 'No owner yet?'),
        h('p', {}, 'Make one on this machine, where it stays in client.json:'),
        copyable('lf owner new me'),
        h('p', {}, 'Or make one here. Save it before you leave: without it nobody can change what it wrote.'),
        h('button', { type: 'button', class: 'quiet', onclick: makeOwner }, 'Make an owner here')),
    );
  }

  function makeOwner(): void {
    const made = Owner.generate();
    session.signer.owner = made;
    showOwner();
    const pem = made.exportPem();
    const save = h('button', { type: 'button' }, 'Save its key as a file');
    save.addEventListener('click', () => {
      const url = URL.createObjectURL(new Blob([pem], { type: 'application/x-pem-file' }));
      h('a', { href: url, download: `owner-${made.public.slice(1, 9)}.pem` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    });
    owner.querySelector('.buttons')?.prepend(save);
  }

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    fill(outcome);
    const signer = session.signer.owner;
    if (!signer) return fill(outcome, problem('Nobody signs yet: give an owner first.'));
    let selector;
    try {
      selector = parseSelector(name.value);
      if (selector.from !== selector.to) throw new Error('a record has one ordinal, not a range: name#ordinal');
    } catch (error) {
      return fill(outcome, problem(explainError(error)));
    }
    if (!(await needToken('Writing from a browser needs the node’s token.'))) {
      return fill(outcome, problem('Nothing was written: the node wants its token from browsers.'));
    }
    abort = new AbortController();
    publish.disabled = true;
    stop.hidden = false;
    const begun = Date.now();
    const local = live.state.status?.LocalTestMode;
    say(progress, local ? 'Signing…' : 'The node searches for the proof of work. This may take a minute or more.');
    const clock = setInterval(() => say(progress, `The node searches for the proof of work: ${span((Date.now() - begun) / 1000)} so far.`), 5_000);
    try {
      const written = await client().set([selector], toBytes(value.value), {
        owner: signer,
        work: local ? 'none' : 'node',
        signal: abort.signal,
        ...(masking.value ? { maskingKey: toBytes(masking.value) } : {}),
      });
      const text = formatSelector(selector);
      fill(
        outcome,
        h('p', { class: 'done' }, written.kind === 'unchanged' ? 'That value is there already: nothing was written.' : written.kind === 'pulsed' ? 'The value is there already: it was confirmed with a pulse.' : 'Written and published.'),
        terms(
          ['Record', hashLink(written.hash, 22)],
          ['Under', h('a', { href: `#/query/${encodeURIComponent(text)}` }, text)],
        ),
      );
      live.refresh();
    } catch (error) {
      const stopped = abort.signal.aborted;
      const refused = (error as { status?: number }).status === 403;
      if (refused) session.setToken(undefined);
      fill(outcome, problem(stopped ? 'Stopped: nothing was written.' : refused ? 'The node does not accept this token (any more). Publish again to enter another.' : explainError(error)));
    } finally {
      clearInterval(clock);
      fill(progress);
      publish.disabled = false;
      stop.hidden = true;
      abort = undefined;
    }
  }

  showOwner();
  return {
    title: 'Write',
    place: '#/write',
    element: h(
      'div',
      { class: 'write' },
      h('p', { class: 'lead' }, 'The record is made and signed in this browser. The node gives links and does the proof of work; it learns neither the name, nor the value, nor the key.'),
      h('section', {}, h('h2', {}, 'Who signs'), owner),
      h(
        'form',
        { onsubmit: (event: Event) => void submit(event) },
        h('h2', {}, 'What is written'),
        h('div', { class: 'fields' },
          field('Name', name, 'name, or name#ordinal'),
          field('Value', value, 'Readable for all who know the name, or the masking key.'),
          field('Masking key', masking, 'If empty, the name masks the value.')),
        h('div', { class: 'buttons' }, publish, stop),
        progress,
        outcome,
      ),
    ),
    stop: () => abort?.abort(),
  };
}
