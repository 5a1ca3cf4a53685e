import { describe, expect, it } from 'vitest';
import {
  type BoxView,
  type CallView,
  furtherHomeFor,
  placeCall,
  predictOne,
  type VictimView,
} from '../../../../src/fleet/placement/predict.ts';

/** An idle box with the model in memory, which reads 1,000 tokens a second and takes 2 s for a call. */
function view(place: string, given: Partial<BoxView> = {}): BoxView {
  return {
    place,
    weight: 1,
    isResident: true,
    busy: 0,
    waiting: 0,
    slots: 1,
    othersBusy: 0,
    leftMs: [],
    crowd: { reading: 0, saying: 0, sayingOthers: 0 },
    conversationsSince: undefined,
    callMs: 2_000,
    fullLoadMs: 0,
    loadAgeMs: undefined,
    otherLoadsMs: 0,
    victims: [],
    doubtful: undefined,
    neighbours: 0,
    fits: true,
    tokensPerSecond: 1_000,
    leastMs: 100,
    tokensFactor: 1,
    hitShare: 1,
    callsPerSecond: 0,
    ...given,
  };
}

const cold = { isResident: false, fullLoadMs: 10_000 };
const call: CallView = { promptTokens: 400, earlierTokens: 0, key: undefined };
const rules = { secondHome: true, affinity: true, affinityMaxLoad: 1.25 };

function victim(given: Partial<VictimView> = {}): VictimView {
  return { model: 'other', reloadMs: 8_000, isBusy: false, idleMs: 0, callsPerSecond: 0, otherHomes: 0, ...given };
}

/** Places in the order in which they are asked. */
function order(views: readonly BoxView[], asked: CallView = call, given: Partial<typeof rules> = {}): string[] {
  const placed = placeCall(views, asked, { ...rules, ...given });
  return views
    .map(({ place }, index) => [placed[index]?.rank ?? -1, place] as const)
    .sort(([a], [b]) => a - b)
    .map(([, place]) => place);
}

describe('the time to the first token', () => {
  const parts = (given: Partial<BoxView>, asked = call, isHome = false) => predictOne(view('a', given), asked, isHome);

  it('is the prompt alone where the model is in memory and idle', () => {
    expect(parts({})).toEqual({ totalMs: 500, queueMs: 0, loadMs: 0, evictionMs: 0, promptMs: 500, cachedMs: 0 });
  });

  it('counts those ahead beyond the free slots', () => {
    expect(parts({ busy: 1 }).queueMs).toBe(2_000);
    expect(parts({ busy: 1, waiting: 2 }).queueMs).toBe(6_000);
    expect(parts({ busy: 3, slots: 4 }).queueMs).toBe(0);
    // Four are done at once, then the two that wait have their turn, and there is room for two more.
    expect(parts({ busy: 4, waiting: 2, slots: 4 }).queueMs).toBe(2_000);
    expect(parts({ busy: 4, waiting: 4, slots: 4 }).queueMs).toBe(4_000);
  });

  it('counts of those under way only what is left', () => {
    expect(parts({ busy: 1, leftMs: [300] }).queueMs).toBe(300);
    expect(parts({ busy: 2, leftMs: [300, 900], slots: 2 }).queueMs).toBe(300);
    expect(parts({ busy: 2, leftMs: [300, 900], slots: 2, waiting: 1 }).queueMs).toBe(900);
    // More than the box serves at once: the third waits in the box itself.
    expect(parts({ busy: 3, leftMs: [300, 900, 1_000], slots: 2 }).queueMs).toBe(900);
    // Of one nothing is known.
    expect(parts({ busy: 2, leftMs: [300] }).queueMs).toBe(2_300);
    expect(parts({ busy: 5_000, waiting: 5_000, slots: 4 }).queueMs).toBe(5_000_000);
  });

  it('counts the load, those before it, and of one under way only what is left', () => {
    expect(parts(cold).loadMs).toBe(10_000);
    expect(parts({ ...cold, otherLoadsMs: 3_000 }).loadMs).toBe(13_000);
    expect(parts({ ...cold, loadAgeMs: 4_000, otherLoadsMs: 3_000 }).loadMs).toBe(6_000);
    expect(parts({ ...cold, loadAgeMs: 60_000 }).loadMs).toBe(1_000);
  });

  it('counts what others lose, by how likely they want it again', () => {
    const lost = (one: Partial<VictimView>) => parts({ ...cold, victims: [victim(one)] }).evictionMs;
    expect(lost({})).toBe(8_000);
    expect(lost({ idleMs: 300_000 })).toBe(4_000);
    expect(lost({ idleMs: undefined })).toBe(4_000);
    expect(lost({ idleMs: 3_000_000, callsPerSecond: 0.001 })).toBeCloseTo(2_400);
    expect(lost({ otherHomes: 1 })).toBe(4_000);
    expect(lost({ isBusy: true })).toBe(3_600_000);
    expect(parts({ ...cold, loadAgeMs: 1_000, victims: [victim()] }).evictionMs).toBe(0);
  });

  it('reads slower beside others, and where the model does not fit', () => {
    const beside = (crowd: Partial<BoxView['crowd']>) => parts({ crowd: { reading: 0, saying: 0, sayingOthers: 0, ...crowd } });
    expect(beside({ reading: 2 }).promptMs).toBe(100 + 1_200);
    expect(beside({ saying: 2 }).promptMs).toBeCloseTo(100 + 520);
    expect(beside({ sayingOthers: 2 }).promptMs).toBe(100 + 800);
    // When its turn comes, the prompts of now have been read.
    expect(parts({ busy: 2, slots: 2, crowd: { reading: 2, saying: 0, sayingOthers: 0 } }).promptMs).toBeCloseTo(100 + 460);
    expect(parts({ ...cold, fits: false }).promptMs).toBe(100 + 1_600);
    expect(parts({ tokensFactor: 1.5 }).promptMs).toBe(700);
  });

  it('leaves out at home what earlier turns have brought', () => {
    const later = { ...call, earlierTokens: 300 };
    expect(parts({}, later, true)).toMatchObject({ totalMs: 200, promptMs: 500, cachedMs: 300 });
    expect(parts({ hitShare: 0.5 }, later, true).cachedMs).toBe(150);
    expect(parts({}, later, false).cachedMs).toBe(0);
  });
});

describe('the order', () => {
  it('is warm before cold, idle before busy', () => {
    expect(order([view('cold', cold), view('busy', { busy: 2 }), view('idle')])).toEqual(['idle', 'busy', 'cold']);
  });

  it('never evicts a busy model where another box can serve, however long its line (T5)', () => {
    const evicting = view('evicting', { ...cold, victims: [victim({ isBusy: true })] });
    expect(order([evicting, view('queue', { busy: 1, waiting: 99 })])).toEqual(['queue', 'evicting']);
    expect(order([evicting, view('empty', { ...cold, otherLoadsMs: 60_000 })])).toEqual(['empty', 'evicting']);
  });

  it('goes to a further home when the queue outweighs the load, sooner when the demand will last', () => {
    const second = view('second', cold);
    const waitingFor = (count: number, callsPerSecond: number) =>
      order([view('home', { busy: 1, waiting: count - 1, callsPerSecond }), second])[0];
    // The home serves half a call a second.
    expect([waitingFor(4, 0.25), waitingFor(7, 0.25), waitingFor(8, 0.25)]).toEqual(['home', 'home', 'second']);
    expect([waitingFor(4, 2), waitingFor(2, 2), waitingFor(6, 0.5), waitingFor(3, 0.5)]).toEqual([
      'second',
      'home',
      'second',
      'home',
    ]);
  });

  it('keeps to the first home where a second one is not wanted', () => {
    const views = [view('home', { busy: 1, waiting: 50, callsPerSecond: 2 }), view('second', cold)];
    expect(order(views, call, { secondHome: false })).toEqual(['home', 'second']);
    expect(order([view('a', cold), view('b', { ...cold, fullLoadMs: 5_000 })], call, { secondHome: false })).toEqual(['b', 'a']);
  });

  it('among those that are alike: less to do for its weight, fewer calls lately for its weight, the order of the file', () => {
    expect(
      order([view('a', { slots: 4, busy: 1, tokensPerSecond: 1e6 }), view('b', { slots: 4, tokensPerSecond: 1e6 })]),
    ).toEqual(['b', 'a']);
    expect(order([view('a', { callsPerSecond: 1 }), view('b', { callsPerSecond: 1.5, weight: 2 })])).toEqual(['b', 'a']);
    expect(order([view('a'), view('b')])).toEqual(['a', 'b']);
    expect(order([view('a', { ...cold, neighbours: 1 }), view('b', cold)])).toEqual(['b', 'a']);
  });

  it('splits calls without a conversation by weight (T3)', () => {
    const counts = { a: 0, b: 0, c: 0 };
    for (let number = 0; number < 300; number++) {
      const views = [view('a', { callsPerSecond: counts.a }), view('b', { callsPerSecond: counts.b, weight: 2 })];
      const [first] = order([...views, view('c', { callsPerSecond: counts.c, weight: 3 })]);
      if (first === 'a' || first === 'b' || first === 'c') counts[first]++;
    }
    expect(counts).toEqual({ a: 50, b: 100, c: 150 });
  });
});

describe('home', () => {
  const key = 'team\nconversation 1';
  const three = ['a', 'b', 'c'];
  const homeOf = (views: readonly BoxView[], asked: CallView = { ...call, key }, given: Partial<typeof rules> = {}) =>
    placeCall(views, asked, { ...rules, ...given }).flatMap(({ isHome }, index) => (isHome ? [views[index]?.place] : []))[0];

  it('is one of the boxes that need no load, the same for every turn', () => {
    const warm = three.map((place) => view(place));
    const home = homeOf(warm);
    expect(three).toContain(home);
    expect(homeOf(warm, { promptTokens: 9_000, earlierTokens: 8_000, key })).toBe(home);
    const without = warm.map((one) => (one.place === home ? { ...one, ...cold } : one));
    expect(homeOf(without)).not.toBe(home);
    expect(homeOf(without)).toBeDefined();
  });

  it('is nowhere without a conversation, with affinity off, or while nobody has the model', () => {
    const warm = three.map((place) => view(place));
    expect(homeOf(warm, call)).toBeUndefined();
    expect(homeOf(warm, { ...call, key }, { affinity: false })).toBeUndefined();
    expect(homeOf(three.map((place) => view(place, cold)))).toBeUndefined();
  });

  it('is left for the next one while it has more than its share under way', () => {
    const warm = three.map((place) => view(place, { slots: 8 }));
    const home = homeOf(warm);
    const with_ = (busy: number, others: number) => warm.map((one) => ({ ...one, busy: one.place === home ? busy : others }));
    // A third of what is under way, a quarter more, and one call: 1.25 × 6 ÷ 3 + 1.
    expect(homeOf(with_(2, 2))).toBe(home);
    expect(homeOf(with_(4, 1))).not.toBe(home);
    expect(homeOf(with_(1, 0))).toBe(home);
    expect(homeOf(with_(2, 0))).not.toBe(home);
    expect(homeOf(with_(2, 0), { ...call, key }, { affinityMaxLoad: 3 })).toBe(home);
  });

  it('is worth nine tenths of a later prompt, and half of a first one', () => {
    const [one, other] = [view('a'), view('b')];
    const home = homeOf([one, other]);
    const first = { promptTokens: 5_000, earlierTokens: 0, key };
    const orders = (asked: CallView) =>
      Object.fromEntries(placeCall([one, other], asked, rules).map(({ isHome, orderMs }) => [String(isHome), orderMs]));
    expect(home).toBeDefined();
    expect(orders(first)).toEqual({ true: 2_550, false: 5_100 });
    expect(orders({ ...first, earlierTokens: 1_000 })).toEqual({ true: expect.closeTo(510), false: 5_100 });
    expect(orders({ ...first, earlierTokens: 4_900 })).toEqual({ true: 200, false: 5_100 });
  });

  it('is where it was served last, as far as known: while the cache has it, and no longer', () => {
    const key_ = { promptTokens: 1_000, earlierTokens: 900, key };
    const cachedOf = (given: Partial<BoxView>, other: Partial<BoxView> = {}) =>
      placeCall([view('a', given), view('b', other)], key_, rules).map(({ prediction }) => prediction.cachedMs);
    expect(cachedOf({ conversationsSince: 0 })).toEqual([900, 0]);
    expect(cachedOf({}, { conversationsSince: 0 })).toEqual([0, 900]);
    // Another one has come into its only slot since, or will have.
    expect(cachedOf({ conversationsSince: 1 })).toEqual([0, 0]);
    expect(cachedOf({ conversationsSince: 0, waiting: 1 })).toEqual([0, 0]);
    expect(cachedOf({ conversationsSince: 1, slots: 2 })).toEqual([900, 0]);
    // Nobody knows: perhaps another gateway has sent it home.
    expect(Math.max(...cachedOf({}))).toBe(900);
    const off = placeCall([view('a', { conversationsSince: 0 })], key_, { ...rules, affinity: false });
    expect(off[0]?.prediction.cachedMs).toBe(0);
  });
});

describe('a further home beside the call', () => {
  const busy = { busy: 1, callsPerSecond: 0.1 };
  const further = (views: readonly BoxView[], given: Partial<typeof rules> = {}) => {
    const placed = placeCall(views, call, { ...rules, ...given });
    return furtherHomeFor(views, placed, call, { ...rules, ...given });
  };

  it('is loaded when the callers of the next minute would wait for longer than the load takes', () => {
    // Six calls that wait 2 s each, for a load of 10 s, for which nobody waits; at half of that it does not pay.
    expect(further([view('home', busy), view('empty', cold)])).toBe(1);
    expect(further([view('home', { ...busy, callsPerSecond: 0.05 }), view('empty', cold)])).toBeUndefined();
    expect(further([view('home', { ...busy, leftMs: [800] }), view('empty', cold)])).toBeUndefined();
    expect(further([view('home', { callsPerSecond: 5 }), view('empty', cold)])).toBeUndefined();
  });

  it('is where it costs least, and nowhere at the cost of a busy model', () => {
    const home = view('home', { ...busy, callsPerSecond: 0.5 });
    const slow = view('slow', { ...cold, fullLoadMs: 20_000 });
    expect(further([home, slow, view('fast', cold)])).toBe(2);
    expect(further([home, view('full', { ...cold, victims: [victim()] })])).toBeUndefined();
    expect(further([home, view('full', { ...cold, victims: [victim({ isBusy: true })] })])).toBeUndefined();
    const spare = view('spare', { ...cold, victims: [victim({ otherHomes: 1, reloadMs: 2_000 })] });
    expect(further([home, spare])).toBe(1);
  });

  it('counts what might have to go by how likely that is', () => {
    const doubting = (share: number, given = {}) => view('other', { ...cold, doubtful: { share, victim: victim(given) } });
    expect(further([view('home', busy), doubting(0.01)])).toBe(1);
    expect(further([view('home', busy), doubting(0.5)])).toBeUndefined();
    expect(further([view('home', busy), doubting(0.5, { otherHomes: 2, reloadMs: 2_000 })])).toBe(1);
    expect(further([view('home', busy), doubting(0.01, { isBusy: true })])).toBeUndefined();
  });

  it('is one at a time, on a box that loads nothing else, and never where second homes are not wanted', () => {
    const home = view('home', { ...busy, callsPerSecond: 0.5 });
    expect(further([home, view('loading', { ...cold, loadAgeMs: 100 }), view('empty', cold)])).toBeUndefined();
    expect(further([home, view('empty', { ...cold, otherLoadsMs: 1 })])).toBeUndefined();
    expect(further([home, view('empty', cold)], { secondHome: false })).toBeUndefined();
  });
});
