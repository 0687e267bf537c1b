// The newest part of the graph as the page keeps it, and where each record stands in the picture: its level is one above
// the highest it links to, its lane is as near as can be to theirs. Nothing moves once it has its place.

import * as api from './api';
import { REPUTATION_GOOD, weightOf } from './format';
import * as live from './live';

export interface Node {
  index: number;
  hash: string;
  owner: string;
  timestamp: number;
  type: number;
  links: number[];
  /** What it and all above it score, in units of its own score: 1 for a tip. */
  multiple: number;
  score: number;
  good: boolean;
  reputation: number;
  size: number;
  selectors: number;
  level: number;
  lane: number;
  /** How many of those shown link to it. */
  linkers: number;
  /** When it came into the picture, if it came while the picture was there. */
  born: number;
  /** As large as it is drawn now: it grows slowly enough to be seen. */
  radius: number;
}

const PAGE = 2_000;
export const SHOWN_MAX = 10_000;

export class Graph {
  nodes: Node[] = [];
  /** Nodes of each level. */
  levels: Node[][] = [];
  linked = 0;
  tips = 0;
  private lanes: Lanes[] = [];

  get first(): number {
    return this.nodes[0]?.index ?? 0;
  }

  at(index: number): Node | undefined {
    return this.nodes[index - this.first];
  }

  get widest(): number {
    let widest = 0;
    for (const level of this.levels) for (const node of level) widest = Math.max(widest, Math.abs(node.lane));
    return widest;
  }

  /** Takes in what came since, and weights that grew; true if anything is new. */
  async follow(): Promise<boolean> {
    const before = this.nodes.length;
    if (before === 0) {
      this.add(await api.graph(PAGE), 0);
      return this.nodes.length > 0;
    }
    // Who was away for long begins again.
    if (live.linked() - (this.nodes.at(-1) as Node).index > SHOWN_MAX) {
      this.clear();
      this.add(await api.graph(PAGE), 0);
      return true;
    }
    for (;;) {
      const next = (this.nodes.at(-1) as Node).index + 1;
      const page = await api.graph(PAGE, next);
      if (page.Linked < next) {
        // Another database than before.
        this.clear();
        return this.follow();
      }
      this.add(page, performance.now());
      if (page.Records.length < PAGE) break;
    }
    if (this.nodes.length > SHOWN_MAX * 1.2) {
      this.nodes.splice(0, this.nodes.length - SHOWN_MAX);
      this.layout();
    }
    return this.nodes.length !== before;
  }

  /** One page further back; false if there is no more, or no place. */
  async older(): Promise<boolean> {
    const room = SHOWN_MAX - this.nodes.length;
    const count = Math.min(PAGE, this.first, room);
    if (count <= 0) return false;
    const end = this.first;
    const page = await api.graph(count, end - count);
    const older = page.Records.filter(record => record.Index < end).map(record => node(record, 0));
    this.nodes = [...older, ...this.nodes];
    this.layout();
    return this.first > 0 && this.nodes.length < SHOWN_MAX;
  }

  private weightsFrom = -1;
  /** Reads weights again: of the newest, and of another part of the rest each time. */
  async weigh(): Promise<void> {
    const part = 500;
    const newest = Math.max(this.first, this.linked - part);
    const pages = [api.graph(part, newest)];
    if (this.nodes.length > part) {
      const from = this.weightsFrom < this.first || this.weightsFrom >= newest ? this.first : this.weightsFrom;
      this.weightsFrom = from + PAGE;
      pages.push(api.graph(PAGE, from));
    }
    for (const page of await Promise.all(pages)) {
      for (const record of page.Records) {
        const known = this.at(record.Index);
        if (known && known.hash === record.Hash) {
          known.multiple = multiple(record);
          known.reputation = record.Reputation;
          known.good = record.Reputation >= REPUTATION_GOOD;
        }
      }
    }
  }

  private clear(): void {
    this.nodes = [];
    this.layout();
  }

  private add(page: api.GraphPage, born: number): void {
    this.linked = page.Linked;
    this.tips = page.Tips;
    for (const record of page.Records) {
      const next = this.nodes.length === 0 ? record.Index : (this.nodes.at(-1) as Node).index + 1;
      if (record.Index !== next) continue;
      const added = node(record, born);
      this.nodes.push(added);
      this.place(added);
    }
  }

  private layout(): void {
    this.levels = [];
    this.lanes = [];
    for (const node of this.nodes) node.linkers = 0;
    for (const node of this.nodes) this.place(node);
  }

  private place(node: Node): void {
    let level = -1;
    let lanes = 0;
    let known = 0;
    for (const link of node.links) {
      const target = this.at(link);
      if (!target || target === node) continue;
      target.linkers++;
      lanes += target.lane;
      known++;
      level = Math.max(level, target.level);
    }
    // What links only to what is not shown stands where it came.
    node.level = known > 0 ? level + 1 : Math.max(0, this.levels.length - 1);
    const levelNodes = (this.levels[node.level] ??= []);
    this.lanes[node.level] ??= new Lanes();
    node.lane = (this.lanes[node.level] as Lanes).take(known > 0 ? Math.round(lanes / known) : 0);
    levelNodes.push(node);
  }

  /** A record and all that lies on top of it, of what is shown. */
  above(of: Node): Set<number> {
    const above = new Set([of.index]);
    for (let i = of.index + 1; i < this.first + this.nodes.length; i++) {
      if (this.at(i)?.links.some(link => above.has(link))) above.add(i);
    }
    return above;
  }
}

function multiple(record: api.GraphRecord): number {
  return weightOf(record.Weight) / Math.max(1, record.Score);
}

function node(record: api.GraphRecord, born: number): Node {
  return {
    index: record.Index,
    hash: record.Hash,
    owner: record.Owner,
    timestamp: record.Timestamp,
    type: record.Type,
    links: record.Links,
    multiple: multiple(record),
    score: record.Score,
    good: record.Reputation >= REPUTATION_GOOD,
    reputation: record.Reputation,
    size: record.Size,
    selectors: record.Selectors,
    level: 0,
    lane: 0,
    linkers: 0,
    born,
    radius: 0,
  };
}

/** The lanes of one level that are taken. */
class Lanes {
  private readonly taken = new Set<number>();
  private low = 0;
  private high = -1;

  /** Takes the free lane nearest to a wanted one; of two, the one nearer to the middle. */
  take(wanted: number): number {
    const lane = this.nearest(wanted);
    this.taken.add(lane);
    this.low = this.taken.size === 1 ? lane : Math.min(this.low, lane);
    this.high = this.taken.size === 1 ? lane : Math.max(this.high, lane);
    return lane;
  }

  private nearest(wanted: number): number {
    if (!this.taken.has(wanted)) return wanted;
    // Without a gap, which is usual and may be thousands wide, only the ends are free.
    const gapless = this.high - this.low + 1 === this.taken.size;
    const start = gapless ? Math.min(wanted - this.low, this.high - wanted) + 1 : 1;
    for (let distance = start; ; distance++) {
      const [a, b] = wanted > 0 ? [wanted - distance, wanted + distance] : [wanted + distance, wanted - distance];
      if (!this.taken.has(a)) return a;
      if (!this.taken.has(b)) return b;
    }
  }
}
