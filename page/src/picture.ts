// The graph on a canvas: old records left, new ones right, links as lines. Near, each record is seen; far, each column of
// pixels is a bar, as high as there are records. Only what is in sight is drawn.

import { short } from './format';
import type { Graph, Node } from './graph';

const PAD = 40;
/** Pixels between two levels: the nearest, and where single records become bars. */
const SCALE_MAX = 132;
const SCALE_SINGLE = 7;
const LANE_MAX = 56;
/** Labels need so much room. */
const SCALE_LABELS = 84;
/** How far a line may come from beyond the right edge. */
const BEYOND = 24;
const NEW_MS = 1_600;
const RINGS_MAX = 12;

interface Colors {
  ink: string;
  muted: string;
  line: string;
  link: string;
  accent: string;
  bad: string;
  ground: string;
}

export class Picture {
  readonly canvas: HTMLCanvasElement;
  readonly map: HTMLCanvasElement;
  selected: Node | undefined;
  /** Whether the newest stay in sight. */
  following = true;
  onSelect: (node: Node | undefined) => void = () => {};
  onOpen: (node: Node) => void = () => {};
  onMove: () => void = () => {};

  private scale = 40;
  /** The level at the right edge. */
  private right = 0;
  private hover: Node | undefined;
  /** What is selected, and all on top of it. */
  private above: Set<number> | undefined;
  private colors: Colors | undefined;
  private frame = 0;
  private ended = false;
  private readonly still = matchMedia('(prefers-reduced-motion: reduce)');
  private readonly dark = matchMedia('(prefers-color-scheme: dark)');
  private readonly sized = new ResizeObserver(() => this.draw());
  private readonly recolor = () => {
    this.colors = undefined;
    this.draw();
  };

  constructor(private readonly graph: Graph) {
    this.canvas = document.createElement('canvas');
    this.canvas.className = 'graph';
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'application');
    this.canvas.setAttribute('aria-roledescription', 'graph of records');
    this.map = document.createElement('canvas');
    this.map.className = 'map';
    this.map.setAttribute('aria-hidden', 'true');
    this.sized.observe(this.canvas);
    this.dark.addEventListener('change', this.recolor);
    this.listen();
  }

  stop(): void {
    this.ended = true;
    cancelAnimationFrame(this.frame);
    this.sized.disconnect();
    this.dark.removeEventListener('change', this.recolor);
  }

  /** All in sight, if single records still can be told apart; else the newest. */
  fit(): void {
    const levels = Math.max(1, this.graph.levels.length);
    const whole = (this.width - 2 * PAD) / Math.max(1, levels - 1);
    this.scale = Math.max(22, Math.min(SCALE_MAX, whole));
    this.following = true;
    this.right = this.newest;
    this.draw();
  }

  /** 0 is all there is in sight, 1 as near as can be. */
  get zoom(): number {
    return Math.log(this.scale / this.least) / Math.log(SCALE_MAX / this.least);
  }

  set zoom(zoom: number) {
    this.scaleTo(this.least * (SCALE_MAX / this.least) ** Math.max(0, Math.min(1, zoom)), this.width);
  }

  get single(): boolean {
    return this.scale >= SCALE_SINGLE;
  }

  followNewest(): void {
    this.following = true;
    this.draw();
  }

  select(node: Node | undefined): void {
    this.selected = node;
    this.above = node && this.graph.above(node);
    if (node) this.show(node);
    this.onSelect(node);
    this.draw();
  }

  /** Draws soon. */
  draw(): void {
    if (this.frame || this.ended) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (this.paint()) this.draw();
      this.onMove();
    });
  }

  private get width(): number {
    return this.canvas.clientWidth || 800;
  }

  private get least(): number {
    return Math.min(SCALE_MAX / 2, (this.width - 2 * PAD) / Math.max(1, this.graph.levels.length - 1));
  }

  private get newest(): number {
    return Math.max(0, this.graph.levels.length - 1);
  }

  private scaleTo(scale: number, around: number): void {
    const level = this.right - (this.width - this.margin - around) / this.scale;
    this.scale = Math.max(this.least, Math.min(SCALE_MAX, scale));
    this.right = level + (this.width - this.margin - around) / this.scale;
    this.bound();
    this.draw();
  }

  private pan(levels: number): void {
    this.right += levels;
    this.following = false;
    this.bound();
    this.draw();
  }

  private bound(): void {
    const span = (this.width - 2 * PAD) / this.scale;
    const least = Math.min(this.newest, span);
    this.right = Math.max(least, Math.min(this.newest, this.right));
    if (this.right >= this.newest - 0.01) this.following = true;
  }

  private show(node: Node): void {
    const span = (this.width - 2 * PAD) / this.scale;
    // With something around it on either side.
    if (node.level > this.right) this.right = node.level + span / 4;
    else if (node.level < this.right - span) this.right = node.level + (span * 3) / 4;
    else return;
    this.following = false;
    this.bound();
  }

  /** What is left free at the right: more where the whole is narrower than the picture, which then is in the middle. */
  private get margin(): number {
    return Math.max(PAD, (this.width - this.newest * this.scale) / 2);
  }

  private x(level: number): number {
    return this.width - this.margin - (this.right - level) * this.scale;
  }

  private get whole(): boolean {
    return this.newest * this.scale <= this.width - 2 * PAD + 1;
  }

  private laneGap = LANE_MAX;

  private y(lane: number): number {
    return this.canvas.clientHeight / 2 + lane * this.laneGap;
  }

  /** Paints; true if something still moves. */
  private paint(): boolean {
    const context = prepare(this.canvas);
    if (!context) return false;
    this.colors ??= readColors(this.canvas);
    let moving = false;
    if (this.following) {
      const rest = this.newest - this.right;
      if (this.still.matches || Math.abs(rest) < 0.02 || Math.abs(rest) > 60) this.right = this.newest;
      else {
        this.right += rest * 0.12;
        moving = true;
      }
    }
    const [width, height] = [this.width, this.canvas.clientHeight];
    context.clearRect(0, 0, width, height);
    if (this.graph.nodes.length > 0) {
      if (this.single) moving = this.paintSingle(context) || moving;
      else bars(context, this.graph, this.colors, width, height, level => this.x(level), this.scale, PAD);
    }
    this.paintMap();
    return moving;
  }

  private paintSingle(context: CanvasRenderingContext2D): boolean {
    const colors = this.colors as Colors;
    const height = this.canvas.clientHeight;
    const first = Math.max(0, Math.floor(this.right - this.width / this.scale) - 1);
    const last = Math.min(this.graph.levels.length - 1, Math.ceil(this.right) + 1);
    const seen: Node[] = [];
    let widest = 1;
    for (let level = first; level <= last; level++) {
      for (const node of this.graph.levels[level] ?? []) {
        seen.push(node);
        widest = Math.max(widest, Math.abs(node.lane));
      }
    }
    const wanted = Math.max(1.5, Math.min(LANE_MAX, (height - 2 * PAD) / (2 * widest)));
    let moving = false;
    if (this.still.matches || Math.abs(wanted - this.laneGap) < 0.2) this.laneGap = wanted;
    else {
      this.laneGap += (wanted - this.laneGap) * 0.2;
      moving = true;
    }
    const room = Math.min(this.scale * 0.42, Math.max(2, this.laneGap * 0.46), 13);
    const time = performance.now();

    // Lines first: also those of records a little beyond the right edge.
    const plain = new Path2D();
    const marked = new Path2D();
    const beyond: Node[] = [];
    for (let level = last + 1; level <= Math.min(last + BEYOND, this.graph.levels.length - 1); level++) {
      beyond.push(...(this.graph.levels[level] ?? []));
    }
    for (const node of [...seen, ...beyond]) {
      for (const link of node.links) {
        const target = this.graph.at(link);
        if (!target || (node.level > last && target.level > last)) continue;
        const path = this.above?.has(node.index) && this.above.has(link) ? marked : plain;
        const [x1, y1, x2, y2] = [this.x(target.level), this.y(target.lane), this.x(node.level), this.y(node.lane)];
        const bend = Math.min((x2 - x1) / 2, this.scale);
        // What passes levels goes around them.
        const over = node.level - target.level - 1;
        const bow = over > 0 && node.lane === target.lane ? Math.min(over, 3) * this.laneGap * 0.5 * (node.lane > 0 ? 1 : -1) : 0;
        path.moveTo(x1, y1);
        path.bezierCurveTo(x1 + bend, y1 + bow, x2 - bend, y2 + bow, x2, y2);
      }
    }
    context.lineWidth = 1;
    context.strokeStyle = colors.link;
    context.globalAlpha = this.above ? 0.35 : this.scale < 16 ? 0.55 : 1;
    context.stroke(plain);
    context.globalAlpha = 1;
    context.strokeStyle = colors.accent;
    context.lineWidth = 1.25;
    context.stroke(marked);

    // Rings show what is new where it can be seen one by one.
    const rings = !this.still.matches && seen.filter(node => node.born > 0 && time - node.born < NEW_MS).length <= RINGS_MAX;
    for (const node of seen) {
      const size = Math.min(room, room * (0.42 + 0.09 * Math.log2(Math.max(1, node.multiple))));
      if (node.radius === 0 || this.still.matches) node.radius = size;
      if (Math.abs(size - node.radius) > 0.05) {
        node.radius += (size - node.radius) * 0.08;
        moving = true;
      }
      const [x, y] = [this.x(node.level), this.y(node.lane)];
      if (x < -20 || x > this.width + 20) continue;
      const age = time - node.born;
      if (node.born > 0 && age < NEW_MS) {
        if (rings) {
          context.globalAlpha = 1 - age / NEW_MS;
          context.strokeStyle = colors.accent;
          context.lineWidth = 1.5;
          context.beginPath();
          context.arc(x, y, node.radius + 3 + (age / NEW_MS) * 12, 0, 7);
          context.stroke();
          moving = true;
        }
      }
      context.globalAlpha = this.above && !this.above.has(node.index) ? 0.3 : 1;
      shape(context, node.type, x, y, node.radius);
      const tip = node.linkers === 0 && node.good;
      context.fillStyle = node.good ? (tip ? colors.accent : colors.ink) : colors.ground;
      context.fill();
      if (!node.good) {
        context.strokeStyle = colors.bad;
        context.lineWidth = 2;
        context.stroke();
      }
      if (node === this.selected || node === this.hover) {
        context.globalAlpha = 1;
        context.strokeStyle = colors.accent;
        context.lineWidth = 2;
        context.beginPath();
        context.arc(x, y, node.radius + 4, 0, 7);
        context.stroke();
      }
    }
    context.globalAlpha = 1;
    if (this.scale >= SCALE_LABELS && this.laneGap >= 30) {
      context.font = `11px ${getComputedStyle(this.canvas).fontFamily}`;
      context.textAlign = 'center';
      for (const node of seen) {
        const [x, y] = [this.x(node.level), this.y(node.lane)];
        context.fillStyle = colors.muted;
        context.fillText(short(node.hash, 7), x, y + node.radius + 13);
      }
    }
    return moving;
  }

  private paintMap(): void {
    this.map.hidden = this.whole;
    if (this.whole) return;
    const context = prepare(this.map);
    if (!context || !this.colors) return;
    const [width, height] = [this.map.clientWidth, this.map.clientHeight];
    context.clearRect(0, 0, width, height);
    const scale = (width - 2) / Math.max(1, this.newest);
    bars(context, this.graph, this.colors, width, height, level => 1 + level * scale, scale, 4);
    const [from, to] = [this.right - (this.width - 2 * PAD) / this.scale, this.right];
    context.strokeStyle = this.colors.accent;
    context.lineWidth = 2;
    context.strokeRect(1 + from * scale, 1, Math.max(4, (to - from) * scale) - 1, height - 2);
  }

  /** The record under a point, or very near. */
  private find(x: number, y: number): Node | undefined {
    if (!this.single) return undefined;
    const level = this.right - (this.width - this.margin - x) / this.scale;
    let [best, least] = [undefined as Node | undefined, 16];
    for (const near of [Math.floor(level), Math.ceil(level)]) {
      for (const node of this.graph.levels[near] ?? []) {
        const distance = Math.hypot(this.x(node.level) - x, this.y(node.lane) - y);
        if (distance < least) [best, least] = [node, distance];
      }
    }
    return best;
  }

  private listen(): void {
    const { canvas, map } = this;
    let down: { x: number; right: number; moved: boolean } | undefined;
    canvas.addEventListener('pointerdown', event => {
      down = { x: event.offsetX, right: this.right, moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener('pointermove', event => {
      if (down) {
        if (Math.abs(event.offsetX - down.x) > 4) down.moved = true;
        if (down.moved) this.pan(down.right - (event.offsetX - down.x) / this.scale - this.right);
        return;
      }
      const found = this.find(event.offsetX, event.offsetY);
      canvas.style.cursor = found ? 'pointer' : 'grab';
      if (found !== this.hover) {
        this.hover = found;
        this.draw();
      }
    });
    canvas.addEventListener('pointerup', event => {
      if (down && !down.moved) this.select(this.find(event.offsetX, event.offsetY));
      down = undefined;
    });
    canvas.addEventListener('pointercancel', () => (down = undefined));
    canvas.addEventListener('pointerleave', () => {
      this.hover = undefined;
      this.draw();
    });
    canvas.addEventListener('dblclick', event => {
      const found = this.find(event.offsetX, event.offsetY);
      if (found) this.onOpen(found);
    });
    canvas.addEventListener(
      'wheel',
      event => {
        // Sideways is the picture's; up and down is the page's, but with Ctrl, which zooms.
        if (event.ctrlKey) this.scaleTo(this.scale * Math.exp(-event.deltaY / 200), event.offsetX);
        else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.pan(event.deltaX / this.scale);
        else return;
        event.preventDefault();
      },
      { passive: false },
    );
    canvas.addEventListener('keydown', event => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      if (this.key(event.key)) event.preventDefault();
    });
    const jump = (event: PointerEvent) => {
      const level = ((event.offsetX - 1) / Math.max(1, map.clientWidth - 2)) * this.newest;
      this.pan(level + (this.width - 2 * PAD) / this.scale / 2 - this.right);
    };
    map.addEventListener('pointerdown', event => {
      map.setPointerCapture(event.pointerId);
      jump(event);
    });
    map.addEventListener('pointermove', event => {
      if (map.hasPointerCapture(event.pointerId)) jump(event);
    });
  }

  private key(key: string): boolean {
    const { graph, selected } = this;
    const last = graph.nodes.at(-1);
    const beside = (step: number) => {
      const level = [...(graph.levels[selected?.level ?? 0] ?? [])].sort((a, b) => a.lane - b.lane);
      return selected && level[level.indexOf(selected) + step];
    };
    switch (key) {
      case 'ArrowLeft':
        this.select(selected ? (graph.at(selected.index - 1) ?? selected) : last);
        return true;
      case 'ArrowRight':
        this.select(selected ? (graph.at(selected.index + 1) ?? selected) : last);
        return true;
      case 'ArrowUp':
        this.select(selected ? (beside(-1) ?? selected) : last);
        return true;
      case 'ArrowDown':
        this.select(selected ? (beside(1) ?? selected) : last);
        return true;
      case 'Home':
        this.select(graph.nodes[0]);
        return true;
      case 'End':
        this.select(last);
        this.followNewest();
        return true;
      case 'Enter':
        if (selected) this.onOpen(selected);
        return true;
      case 'Escape':
        if (!selected) return false;
        this.select(undefined);
        return true;
      case '+':
      case '=':
        this.scaleTo(this.scale * 1.4, this.width);
        return true;
      case '-':
        this.scaleTo(this.scale / 1.4, this.width);
        return true;
    }
    return false;
  }
}

/** A bar for each column of pixels: as high as there are records; those of low reputation and tips in their colors. */
function bars(
  context: CanvasRenderingContext2D,
  graph: Graph,
  colors: Colors,
  width: number,
  height: number,
  x: (level: number) => number,
  scale: number,
  pad: number,
): void {
  const step = Math.max(1, Math.min(6, Math.floor(scale)));
  const columns = Math.ceil(width / step);
  const [all, low, tips] = [new Float64Array(columns), new Float64Array(columns), new Float64Array(columns)];
  for (const [level, nodes] of graph.levels.entries()) {
    const column = Math.floor(x(level) / step);
    if (column < 0 || column >= columns) continue;
    for (const node of nodes) {
      all[column]!++;
      if (!node.good) low[column]!++;
      else if (node.linkers === 0) tips[column]!++;
    }
  }
  const most = all.reduce((a, b) => Math.max(a, b), 1);
  const unit = (height - 2 * pad) / most;
  const gap = step > 2 ? 1 : 0;
  for (let column = 0; column < columns; column++) {
    const full = all[column]! * unit;
    if (full === 0) continue;
    const rise = Math.max(1, full);
    const top = (height - rise) / 2;
    context.fillStyle = colors.ink;
    context.globalAlpha = 0.62;
    context.fillRect(column * step, top, step - gap, rise);
    context.globalAlpha = 1;
    context.fillStyle = colors.bad;
    const lower = low[column]! * unit;
    context.fillRect(column * step, top + rise - lower, step - gap, lower);
    context.fillStyle = colors.accent;
    context.fillRect(column * step, top, step - gap, tips[column]! * unit);
  }
}

/** Data are circles, the genesis square, certificates and revocations diamonds, comments triangles. */
function shape(context: CanvasRenderingContext2D, type: number, x: number, y: number, r: number): void {
  context.beginPath();
  if (type === 1) context.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8);
  else if (type === 2) polygon(context, [x, y - r * 1.15, x + r * 1.1, y + r * 0.8, x - r * 1.1, y + r * 0.8]);
  else if (type === 3 || type === 4) polygon(context, [x, y - r * 1.2, x + r * 1.2, y, x, y + r * 1.2, x - r * 1.2, y]);
  else context.arc(x, y, r, 0, 7);
}

function polygon(context: CanvasRenderingContext2D, points: number[]): void {
  for (let i = 0; i < points.length; i += 2) context.lineTo(points[i]!, points[i + 1]!);
  context.closePath();
}

/** The canvas's context, with its pixels those of the screen. */
function prepare(canvas: HTMLCanvasElement): CanvasRenderingContext2D | null {
  const context = canvas.getContext('2d');
  const ratio = devicePixelRatio || 1;
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

function readColors(element: Element): Colors {
  const style = getComputedStyle(element);
  const of = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    ink: of('ink'),
    muted: of('muted'),
    line: of('line'),
    link: of('link'),
    accent: of('accent'),
    bad: of('bad'),
    ground: of('ground'),
  };
}
