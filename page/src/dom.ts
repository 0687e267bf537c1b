// Making elements. Text always becomes text nodes: nothing that a record holds is ever read as HTML.

export type Child = Node | string | number | false | null | undefined | Child[];
type Value = string | number | boolean | undefined | null | ((event: never) => unknown);

/** An element. `on…` attributes are listeners; undefined, null and false attributes are left out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  dress(element, attributes);
  append(element, children);
  return element;
}

/** An SVG element. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, Value> = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  dress(element, attributes);
  append(element, children);
  return element;
}

function dress(element: Element, attributes: Record<string, Value>): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value as EventListener);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
}

export function append(element: Element, children: Child[]): void {
  for (const child of children) {
    if (child === undefined || child === null || child === false) continue;
    if (Array.isArray(child)) append(element, child);
    else element.append(child instanceof Node ? child : String(child));
  }
}

/** Puts other children in the place of an element's. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren();
  append(element, children);
}

/** Sets text where it is another, so that a live region is not read again without news. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

let ids = 0;
/** An id that no other element has. */
export function id(): string {
  return `i${++ids}`;
}

export interface Column {
  head: string;
  /** Numbers stand right. */
  number?: boolean;
  /** Not shown where there is little room. */
  wide?: boolean;
}

/** A table with a caption for who does not see it. */
export function table(caption: string, columns: Column[], rows: Child[][], className = ''): HTMLElement {
  const kind = (column: Column | undefined) =>
    [column?.number && 'number', column?.wide && 'wide'].filter(Boolean).join(' ') || undefined;
  const scroll = h(
    'div',
    { class: 'scroll' },
    h(
      'table',
      { class: className || undefined },
      h('caption', { class: 'hidden' }, caption),
      h('thead', {}, h('tr', {}, columns.map(column => h('th', { scope: 'col', class: kind(column) }, column.head)))),
      h(
        'tbody',
        {},
        rows.map(row => h('tr', {}, row.map((cell, i) => h('td', { class: kind(columns[i]) }, cell)))),
      ),
    ),
  );
  scroll.dataset['about'] = caption;
  widths.observe(scroll);
  return scroll;
}

/** What is too wide for its place is scrolled, with keys too: so it must take the focus. */
const widths = new ResizeObserver(entries => {
  for (const { target } of entries) {
    const element = target as HTMLElement;
    const wide = element.scrollWidth > element.clientWidth;
    if (wide === element.hasAttribute('tabindex')) continue;
    for (const [name, value] of [['tabindex', '0'], ['role', 'region'], ['aria-label', element.dataset['about'] ?? '']] as const) {
      if (wide) element.setAttribute(name, value);
      else element.removeAttribute(name);
    }
  }
});

/** Terms and what they are. Pairs whose second part is empty are left out. */
export function terms(...pairs: [string, Child][]): HTMLElement {
  const shown = pairs.filter(([, what]) => what !== undefined && what !== null && what !== false && what !== '');
  return h('dl', { class: 'terms' }, shown.map(([term, what]) => h('div', {}, h('dt', {}, term), h('dd', {}, what))));
}

/** A field with its label, and a line about it. */
export function field(label: string, input: HTMLElement, about?: Child): HTMLElement {
  input.id ||= id();
  const hint = about ? h('p', { class: 'hint', id: id() }, about) : undefined;
  if (hint) input.setAttribute('aria-describedby', hint.id);
  return h('div', { class: 'field' }, h('label', { for: input.id }, label), input, hint);
}

/** Text to copy, with the button for it. */
export function copyable(text: string): HTMLElement {
  const button = h('button', { type: 'button', class: 'small', onclick: copy, 'aria-label': `Copy ${text}` }, 'Copy');
  function copy(): void {
    const done = (word: string) => {
      button.textContent = word;
      setTimeout(() => (button.textContent = 'Copy'), 1500);
    };
    // Not there over plain HTTP from another machine.
    navigator.clipboard?.writeText(text).then(() => done('Copied'), () => done('Select it')) ?? done('Select it');
  }
  return h('div', { class: 'copyable' }, h('code', {}, text), button);
}

/** What went wrong and what to do, told at once. */
export function problem(text: string): HTMLElement {
  return h('p', { class: 'problem', role: 'alert' }, text);
}
