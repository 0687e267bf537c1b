// Asking for the node's token, and trying it before it is kept.

import * as api from './api';
import { append, copyable, field, fill, h, problem } from './dom';
import { state } from './live';
import * as session from './session';

/** The token, asked for if there is none; undefined if the user would rather not. */
export async function needToken(why: string): Promise<string | undefined> {
  return session.token() ?? (await askToken(why));
}

export function askToken(why: string): Promise<string | undefined> {
  return new Promise(resolve => {
    const input = h('input', { type: 'password', autocomplete: 'off', required: true, spellcheck: 'false' });
    const trouble = h('div', { 'aria-live': 'polite' });
    const done = h('button', { type: 'submit' }, 'Use this token');
    const dialog = h('dialog', { 'aria-labelledby': 'token-title' });
    const home = state.status?.LocalTestMode ? '~/.lf/localtest' : '~/.lf';
    append(dialog, [
      h(
        'form',
        { onsubmit: (event: Event) => void submit(event) },
        h('h2', { id: 'token-title' }, 'The node’s token'),
        h('p', {}, `${why} It is the text of authtoken.secret in the node’s home directory:`),
        copyable(`cat ${home}/authtoken.secret`),
        field('Token', input, 'Kept in this tab until you close it, and sent to this node only.'),
        trouble,
        h(
          'div',
          { class: 'buttons' },
          done,
          h('button', { type: 'button', class: 'quiet', onclick: () => dialog.close() }, 'Cancel'),
        ),
      ),
    ]);
    async function submit(event: Event): Promise<void> {
      event.preventDefault();
      const given = input.value.trim();
      done.disabled = true;
      fill(trouble);
      try {
        // What no header can carry is no token.
        if (!/^[!-~]+$/.test(given)) throw new api.Refused(403, '');
        await api.get('/v1/peers/status', { token: given });
        session.setToken(given);
        dialog.close();
      } catch (error) {
        const wrong = error instanceof api.Refused && error.status === 403;
        fill(trouble, problem(wrong ? 'This is not the node’s token. Look again: it is one line, and each home directory has its own.' : api.explainError(error)));
        input.select();
      } finally {
        done.disabled = false;
      }
    }
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(session.token());
    });
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
  });
}
