/** What the people behind the counter ask of the herd: how it is, look again, take a box out of service, keep models warm. */
import type { Platform } from '../platform.ts';
import { within } from './asking/ask.ts';
import type { Box } from './box.ts';
import type { Boxes } from './boxes.ts';
import { driftOf } from './drift.ts';
import { drained } from './duty.ts';
import { type FleetReport, fleetReportOf } from './report.ts';
import { keepWarm, type WarmRule } from './warm.ts';

export interface Keeper {
  report(): FleetReport;
  /** Asks all boxes anew, 5 s at most. Never rejects. */
  refresh(): Promise<Refreshed>;
  /** Undefined: no box is called so. */
  cordon(name: string): DutyState | undefined;
  uncordon(name: string): DutyState | undefined;
  /** Takes the box out of service and waits until it has nothing to do, `waitMs` at most. */
  drain(name: string, waitMs: number): Promise<DutyState | undefined>;
  /** One round over `fleet.warm`; settles when everything that it began is over. */
  keepWarm(): Promise<void>;
  /** How many models are not the same on all boxes. */
  readonly driftingModels: number;
  /** Of all boxes, in the order of the configuration. */
  readonly names: readonly string[];
}

export interface Refreshed {
  readonly answered: readonly string[];
  readonly silent: readonly string[];
}

export interface DutyState {
  readonly box: string;
  readonly isCordoned: boolean;
  /** Whether this call has changed that. */
  readonly hasChanged: boolean;
  readonly inFlight: number;
  readonly waiting: number;
}

export interface KeeperSetting {
  readonly boxes: readonly Box[];
  readonly all: Pick<Boxes, 'shows'>;
  readonly rules: readonly WarmRule[];
  readonly platform: Platform;
}

const refreshLimitMs = 5_000;

export function createKeeper({ boxes, all: { shows }, rules, platform }: KeeperSetting): Keeper {
  const { clock } = platform;
  let drift = { key: '', count: 0 };
  const named = (name: string): Box | undefined => boxes.find(({ upstream }) => upstream.name === name);
  const stateOf = (box: Box, hasChanged: boolean): DutyState => ({
    box: box.upstream.name,
    isCordoned: box.duty.isCordoned,
    hasChanged,
    inFlight: box.inFlight,
    waiting: box.slots.waiting(),
  });
  const cordoned = (box: Box): boolean => {
    const hasChanged = box.duty.cordon(clock.now());
    if (hasChanged)
      platform.report('info', `${box.upstream.name} is out of service: ${underWayText(box)}; new work goes elsewhere`);
    return hasChanged;
  };
  const canGenerate = (box: Box, model: string): boolean => {
    const digest = box.catalogue?.get(model)?.digest ?? '';
    const capabilities = shows.of(digest)?.capabilities;
    return capabilities === undefined || capabilities.includes('completion') || !capabilities.includes('embedding');
  };
  return {
    report: () => fleetReportOf(boxes, rules, shows, { ms: clock.now(), wallMs: clock.wallTime() }),
    async refresh() {
      await within(clock, refreshLimitMs, Promise.all(boxes.map((box) => box.lookAgain())));
      const namesWhere = (isAlive: boolean) =>
        boxes.filter((box) => (box.isAlive === true) === isAlive).map(({ upstream }) => upstream.name);
      return { answered: namesWhere(true), silent: namesWhere(false) };
    },
    cordon(name) {
      const box = named(name);
      return box === undefined ? undefined : stateOf(box, cordoned(box));
    },
    uncordon(name) {
      const box = named(name);
      if (box === undefined) return undefined;
      const hasChanged = box.duty.uncordon();
      if (hasChanged) platform.report('info', `${name} is back in service`);
      return stateOf(box, hasChanged);
    },
    async drain(name, waitMs) {
      const box = named(name);
      if (box === undefined) return undefined;
      const hasChanged = cordoned(box);
      await drained(() => ({ inFlight: box.inFlight, waiting: box.slots.waiting() }), clock, waitMs);
      return stateOf(box, hasChanged);
    },
    keepWarm: () =>
      rules.length === 0
        ? Promise.resolve()
        : keepWarm(rules, boxes, { clock, report: (level, message) => platform.report(level, message), canGenerate }),
    get driftingModels() {
      const key = boxes.map(({ revision }) => revision).join();
      if (key !== drift.key)
        drift = { key, count: driftOf(boxes.map(({ upstream: { name }, catalogue }) => ({ name, catalogue }))).length };
      return drift.count;
    },
    names: boxes.map(({ upstream }) => upstream.name),
  };
}

function underWayText({ inFlight }: Box): string {
  if (inFlight === 0) return 'nothing is under way there';
  return inFlight === 1 ? 'one call under way finishes' : `${inFlight} calls under way finish`;
}
