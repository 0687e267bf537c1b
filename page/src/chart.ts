// Small charts: the last five minutes as a stepped line, from right to left. Each says in words what it shows.

import { fill, h, svg } from './dom';
import { figure } from './format';

const WIDTH = 240;
const HEIGHT = 40;
const WINDOW_MS = 300_000;

export interface Point {
  at: number;
  value: number;
}

export class Chart {
  readonly element: HTMLElement;
  private readonly line = svg('path', { class: 'line' });
  private readonly area = svg('path', { class: 'area' });
  private readonly top = h('span', { class: 'top', 'aria-hidden': 'true' });
  private readonly picture: SVGElement;

  /** `flat`: what does not begin at 0, such as a size. */
  constructor(
    private readonly about: string,
    private readonly show: (value: number) => string = figure,
    private readonly flat = false,
  ) {
    this.picture = svg(
      'svg',
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', class: 'chart' },
      svg('line', { x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5, class: 'base' }),
      this.area,
      this.line,
    );
    this.element = h('div', { class: 'charted' }, this.picture, this.top);
  }

  update(points: Point[]): void {
    const now = performance.now();
    const shown = points.filter(point => point.at >= now - WINDOW_MS);
    const numbers = shown.map(point => point.value);
    const [most, least] = [Math.max(...numbers, 0), Math.min(...numbers, Infinity)];
    const last = numbers.at(-1) ?? 0;
    const floor = this.flat && Number.isFinite(least) ? least : 0;
    const span = most - floor;
    const x = (at: number) => Math.round((WIDTH * (1 - (now - at) / WINDOW_MS)) * 10) / 10;
    const y = (value: number) =>
      Math.round((HEIGHT - 2 - (span > 0 ? ((value - floor) / span) * (HEIGHT - 6) : 0)) * 10) / 10;
    let path = '';
    for (const [i, point] of shown.entries()) {
      path += i === 0 ? `M${x(point.at)} ${y(point.value)}` : `H${x(point.at)}V${y(point.value)}`;
    }
    const first = shown[0];
    if (path) path += `H${WIDTH}`;
    this.line.setAttribute('d', path);
    this.area.setAttribute('d', first ? `${path}V${HEIGHT}H${x(first.at)}Z` : '');
    fill(this.top, span > 0 ? this.show(most) : '');
    const words = numbers.length ? `highest ${this.show(most)}, now ${this.show(last)}` : 'nothing yet';
    this.picture.setAttribute('aria-label', `${this.about}, last five minutes: ${words}`);
  }
}

/** A share of a whole as a bar. */
export function bar(share: number): SVGElement {
  return svg(
    'svg',
    { viewBox: '0 0 100 6', preserveAspectRatio: 'none', class: 'bar', 'aria-hidden': 'true' },
    svg('rect', { width: 100, height: 6, class: 'rest' }),
    svg('rect', { width: Math.max(0, Math.min(100, share * 100)), height: 6, class: 'part' }),
  );
}
