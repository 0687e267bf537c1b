// The newest part of the graph: a picture, what is selected in it, and the same as a table.

import { explainError } from '../api';
import { append, fill, h, problem, say, svg, table, terms } from '../dom';
import { bytes, count, counted, figure, recordType, reputation, span, when } from '../format';
import { Graph, SHOWN_MAX, type Node } from '../graph';
import * as live from '../live';
import { Picture } from '../picture';
import { hashLink, ownerLink } from './parts';
import type { View } from './view';

const ROWS = 40;

export function graphView(): View {
  const graph = new Graph();
  const picture = new Picture(graph);
  const summary = h('p', { class: 'summary', id: 'graph-summary' });
  const trouble = h('div');
  const selection = h('div', { class: 'selection', 'aria-live': 'polite' });
  const rows = h('div');
  const zoom = h('input', { type: 'range', min: '0', max: '1', step: '0.01', 'aria-label': 'Zoom: from all to near' });
  const newest = h('button', { type: 'button', class: 'small', onclick: () => picture.followNewest() }, 'Newest');
  picture.canvas.setAttribute('aria-label', 'Graph of the newest records. Arrow keys select a record, Enter opens it, + and − zoom.');
  picture.canvas.setAttribute('aria-describedby', 'graph-summary');
  zoom.addEventListener('input', () => (picture.zoom = Number(zoom.value)));

  const element = h(
    'div',
    {},
    h(
      'p',
      { class: 'lead' },
      'Every record links to older ones. What is written later lies on top of what was there, and its work counts for all below: ' +
        'the more lies on a record, the harder it is to outweigh.',
    ),
    h('div', { class: 'heading' }, summary, h('div', { class: 'tools' }, h('span', { class: 'muted', 'aria-hidden': 'true' }, 'all'), zoom, h('span', { class: 'muted', 'aria-hidden': 'true' }, 'near'), newest)),
    trouble,
    h('div', { class: 'stage' }, picture.canvas, picture.map),
    legend(),
    selection,
    h('details', { class: 'table' }, h('summary', {}, 'The newest as a table'), rows),
  );

  picture.onMove = () => {
    newest.disabled = picture.following;
    if (document.activeElement !== zoom) zoom.value = String(picture.zoom);
  };
  picture.onOpen = node => (location.hash = `#/record/${node.hash}`);
  picture.onSelect = node => fill(selection, node && about(node));

  function about(node: Node): HTMLElement {
    const above = graph.above(node).size - 1;
    return h(
      'section',
      { 'aria-label': 'Selected record' },
      terms(
        ['Record', hashLink(node.hash, 22)],
        ['Type', recordType(node.type)],
        ['Owner', ownerLink(node.owner, 22)],
        ['Written', `${when(node.timestamp)} (${span((live.state.status?.Clock ?? Date.now() / 1000) - node.timestamp)} ago)`],
        ['Name', node.selectors === 0 ? 'none' : `${counted(node.selectors, 'name')}, hidden · ${reputation(node.reputation)}`],
        ['On top', above === 0 ? 'nothing yet: a tip' : `${counted(above, 'record')} of those shown · work × ${figure(node.multiple - 1)} of its own`],
        ['Links to', node.links.length === 0 ? 'nothing' : h('span', { class: 'list' }, node.links.map(index => {
          const target = graph.at(index);
          return target ? [hashLink(target.hash, 7), ' '] : ['an older one '];
        }))],
        ['Size', bytes(node.size)],
      ),
    );
  }

  function describe(): void {
    if (graph.nodes.length === 0) return say(summary, 'Nothing is here yet.');
    const shown = graph.nodes.length;
    const of = graph.linked > shown ? `the newest ${count(shown)} of ${count(graph.linked)} records` : counted(shown, 'record');
    say(summary, `${of[0]!.toUpperCase()}${of.slice(1)}, ${count(graph.levels.length)} deep · ${counted(graph.tips, 'tip')}`);
    fill(
      rows,
      table(
        'Newest records of the graph',
        [{ head: 'Record' }, { head: 'Age' }, { head: 'Type', wide: true }, { head: 'Links to' }, { head: 'Linked by', number: true }, { head: 'Work on top', number: true }],
        graph.nodes.slice(-ROWS).reverse().map(node => [
          hashLink(node.hash, 7),
          span((live.state.status?.Clock ?? Date.now() / 1000) - node.timestamp),
          recordType(node.type),
          h('span', { class: 'list' }, node.links.map(index => {
            const target = graph.at(index);
            return target ? [hashLink(target.hash, 5), ' '] : '… ';
          })),
          node.linkers,
          `× ${figure(node.multiple - 1)}`,
        ]),
      ),
    );
  }

  let [busy, stopped, seen] = [false, false, -1];
  async function follow(): Promise<void> {
    const linked = live.linked();
    if (busy || !live.state.reachable || (linked === seen && graph.nodes.length > 0)) return;
    busy = true;
    try {
      const before = graph.nodes.at(-1)?.index;
      await graph.follow();
      // All of it is new: at the start, and after a long absence.
      if (before === undefined || graph.first > before) {
        picture.fit();
        describe();
        while (!stopped && graph.nodes.length < SHOWN_MAX && (await graph.older())) picture.draw();
        picture.fit();
      } else await graph.weigh();
      seen = linked;
      fill(trouble);
      describe();
      picture.draw();
      if (picture.selected) {
        const again = graph.nodes.find(node => node.hash === picture.selected?.hash);
        if (again !== picture.selected) picture.select(again);
      }
    } catch (error) {
      if (live.state.reachable) fill(trouble, problem(explainError(error)));
    } finally {
      busy = false;
    }
  }

  let unlisten: (() => void) | undefined;
  return {
    title: 'Graph',
    place: '#/graph',
    element,
    start: () => (unlisten = live.listen(() => void follow())),
    stop: () => {
      stopped = true;
      unlisten?.();
      picture.stop();
    },
  };
}

function legend(): HTMLElement {
  const mark = (className: string, ...shapes: SVGElement[]) =>
    svg('svg', { viewBox: '0 0 14 14', class: `mark ${className}`, 'aria-hidden': 'true' }, shapes);
  const circle = (r = 5) => svg('circle', { cx: 7, cy: 7, r });
  const list = h('ul', { class: 'legend' });
  append(list, [
    h('li', {}, mark('tip', circle()), 'tip: nothing links to it yet'),
    h('li', {}, mark('', circle(3)), mark('', circle(6)), 'little, much work on top'),
    h('li', {}, mark('low', circle(4.5)), 'somebody else had its name first'),
    h('li', {}, mark('', svg('rect', { x: 2.5, y: 2.5, width: 9, height: 9 })), 'genesis'),
    h('li', {}, mark('', svg('path', { d: 'M7 1l6 6-6 6-6-6z' })), 'certificate'),
    h('li', {}, mark('', svg('path', { d: 'M7 2l6 10H1z' })), 'oracle’s comment'),
  ]);
  return list;
}

