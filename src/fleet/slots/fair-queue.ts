/**
 * Whose turn it is: start-time fair queueing (Goyal, Vin, Cheng, 1996) with calls as the unit. Each sharer has a virtual time at
 * which its next call starts; the earliest is served, and its sharer's time moves on by 1/weight. So whoever sends a hundred
 * calls waits for its own, and others pass them, in proportion to the weights. Interactive calls go before bulk; of eight calls
 * one is bulk nevertheless, as long as there is any, so that nobody waits for ever.
 */
export interface Queued {
  readonly sharer: string;
  readonly weight: number;
  readonly urgency: 'interactive' | 'bulk';
}

/** Interactive calls that may go before a bulk one. */
const interactiveInRow = 7;
/** Names that are told apart; whoever comes beyond that shares with all others who do. */
export const maxSharers = 1_024;
const everybodyElse = '\0';

interface Sharer<Item> {
  /** Virtual time at which its next call starts. */
  start: number;
  weight: number;
  readonly items: Set<Item>;
}

/** Calls of one urgency. */
class Lane<Item extends Queued> {
  readonly sharers = new Map<string, Sharer<Item>>();
  size = 0;
  #virtual = 0;

  push(item: Item): void {
    const sharer = this.#sharerOf(item);
    if (sharer.items.size === 0) sharer.start = Math.max(sharer.start, this.#virtual);
    sharer.weight = item.weight;
    sharer.items.add(item);
    this.size++;
  }

  /** Takes it out without serving it. False: it was not there. */
  remove(item: Item): boolean {
    const isOut = this.sharerWith(item)?.items.delete(item) === true;
    if (isOut) this.#shrink();
    return isOut;
  }

  /** Takes it out because it is its turn: its sharer has had one. */
  serve(item: Item): void {
    const sharer = this.sharerWith(item);
    if (sharer?.items.delete(item) !== true) return;
    this.#virtual = Math.max(this.#virtual, sharer.start);
    sharer.start += 1 / item.weight;
    this.#shrink();
  }

  first(): Item | undefined {
    let next: Sharer<Item> | undefined;
    // Of equals the first in the map: whoever came first, as long as nobody has left in between.
    for (const sharer of this.sharers.values()) {
      if (sharer.items.size > 0 && (next === undefined || sharer.start < next.start)) next = sharer;
    }
    return next?.items.values().next().value;
  }

  /** All, in the order in which they would be served if nobody came and nobody went. */
  inOrder(): Item[] {
    const turns: { readonly item: Item; readonly start: number }[] = [];
    for (const { items, start, weight } of this.sharers.values()) {
      let index = 0;
      for (const item of items) turns.push({ item, start: start + index++ / weight });
    }
    return turns.sort((one, other) => one.start - other.start).map(({ item }) => item);
  }

  /** How many would be served before it; -1: it is not here. What `inOrder` says, without putting everybody in order. */
  aheadOf(item: Item): number {
    const own = this.sharerWith(item);
    let ahead = own === undefined ? -1 : indexIn(own.items, item);
    if (own === undefined || ahead < 0) return -1;
    const start = own.start + ahead / own.weight;
    let isEarlier = true;
    for (const sharer of this.sharers.values()) {
      if (sharer === own) isEarlier = false;
      else ahead += countBefore(sharer, start, isEarlier);
    }
    return ahead;
  }

  /** The newest call of whoever has most here for its weight; undefined where that is no more than `own` would have with one more. */
  newestOfMost(own?: Queued): Item | undefined {
    let most: Sharer<Item> | undefined;
    let mostShare = own === undefined ? 0 : ((this.sharers.get(own.sharer)?.items.size ?? 0) + 1) / own.weight;
    for (const sharer of this.sharers.values()) {
      const share = sharer.items.size / sharer.weight;
      if (share <= mostShare) continue;
      most = sharer;
      mostShare = share;
    }
    return [...(most?.items ?? [])].at(-1);
  }

  sharerWith(item: Item): Sharer<Item> | undefined {
    const own = this.sharers.get(item.sharer);
    return own?.items.has(item) === true ? own : this.sharers.get(everybodyElse);
  }

  #sharerOf({ sharer: name, weight }: Item): Sharer<Item> {
    const known = this.sharers.get(name);
    if (known !== undefined) return known;
    if (this.sharers.size >= maxSharers) this.#dropIdle();
    if (this.sharers.size >= maxSharers && name !== everybodyElse) {
      return this.sharers.get(everybodyElse) ?? this.#add(everybodyElse, 1);
    }
    return this.#add(name, weight);
  }

  #add(name: string, weight: number): Sharer<Item> {
    const sharer: Sharer<Item> = { start: this.#virtual, weight, items: new Set() };
    this.sharers.set(name, sharer);
    return sharer;
  }

  #dropIdle(): void {
    for (const [name, { items, start }] of this.sharers) {
      if (items.size === 0 && start <= this.#virtual) this.sharers.delete(name);
    }
  }

  /** When nobody waits any more, nobody is owed anything. */
  #shrink(): void {
    if (--this.size > 0) return;
    this.sharers.clear();
    this.#virtual = 0;
  }
}

function indexIn<Item>(items: ReadonlySet<Item>, item: Item): number {
  let index = 0;
  for (const one of items) {
    if (one === item) return index;
    index++;
  }
  return -1;
}

/** How many of a sharer's calls start before that time; `orAt`: or at it. */
function countBefore({ start, weight, items }: Sharer<unknown>, time: number, orAt: boolean): number {
  const isBefore = (index: number) => {
    const own = start + index / weight;
    return own < time || (orAt && own === time);
  };
  let count = Math.min(items.size, Math.max(0, Math.ceil((time - start) * weight)));
  // Multiplied and divided, a number may be a hair's breadth off.
  while (count < items.size && isBefore(count)) count++;
  while (count > 0 && !isBefore(count - 1)) count--;
  return count;
}

export class FairQueue<Item extends Queued> {
  readonly #interactive = new Lane<Item>();
  readonly #bulk = new Lane<Item>();
  /** Interactive calls served since bulk had its turn, while bulk waited. */
  #inRow = 0;

  get size(): number {
    return this.#interactive.size + this.#bulk.size;
  }

  /** Sharers that are remembered: a leak shows here. */
  get sharers(): number {
    return this.#interactive.sharers.size + this.#bulk.sharers.size;
  }

  push(item: Item): void {
    this.#laneOf(item).push(item);
  }

  /** Somebody leaves. False: it was not in the queue. */
  remove(item: Item): boolean {
    return this.#laneOf(item).remove(item);
  }

  /**
   * Who has to make room for a newcomer where there is no more: bulk for what is interactive, as long as bulk has more than its
   * eighth; else somebody who has more than the newcomer would have, by weight. Undefined: it is the newcomer who has too much.
   */
  displacedBy(newcomer: Queued): Item | undefined {
    if (newcomer.urgency === 'bulk') return this.#bulk.newestOfMost(newcomer);
    const hasMuchBulk = this.#bulk.size * (interactiveInRow + 1) > this.size;
    return hasMuchBulk ? this.#bulk.newestOfMost() : this.#interactive.newestOfMost(newcomer);
  }

  /** Whose turn it is. */
  first(): Item | undefined {
    const isBulkDue = this.#inRow >= interactiveInRow;
    const [lane, other] = isBulkDue ? [this.#bulk, this.#interactive] : [this.#interactive, this.#bulk];
    return lane.first() ?? other.first();
  }

  /** Takes out somebody whose turn has come. */
  serve(item: Item): void {
    if (item.urgency === 'bulk') this.#inRow = 0;
    else if (this.#bulk.size > 0) this.#inRow++;
    this.#laneOf(item).serve(item);
    if (this.#bulk.size === 0) this.#inRow = 0;
  }

  /** 1 is next, by what is known now; 0: it does not wait. */
  positionOf(item: Item): number {
    const ahead = this.#laneOf(item).aheadOf(item);
    if (ahead < 0) return 0;
    const inRow = Math.min(this.#inRow, interactiveInRow);
    const ofOthers =
      item.urgency === 'bulk'
        ? Math.min(this.#interactive.size, interactiveInRow * (ahead + 1) - inRow)
        : Math.min(this.#bulk.size, Math.floor((inRow + ahead) / interactiveInRow));
    return ahead + ofOthers + 1;
  }

  /** Everybody in the order of turns, by what is known now. */
  inOrder(): readonly Item[] {
    const interactive = this.#interactive.inOrder();
    const bulk = this.#bulk.inOrder();
    const order: Item[] = [];
    let inRow = this.#inRow;
    for (let first = 0, second = 0; first < interactive.length || second < bulk.length; ) {
      const isBulkDue = first >= interactive.length || (second < bulk.length && inRow >= interactiveInRow);
      const item = isBulkDue ? bulk[second++] : interactive[first++];
      inRow = isBulkDue ? 0 : inRow + 1;
      if (item !== undefined) order.push(item);
    }
    return order;
  }

  #laneOf({ urgency }: Item): Lane<Item> {
    return urgency === 'bulk' ? this.#bulk : this.#interactive;
  }
}
