/** Prints the start: the addresses at once, the boxes as they answer. */
import type { BoxReport } from '../fleet/fleet.ts';
import type { Clock } from '../platform.ts';
import { boxLines, curlLine } from './banner.ts';
import type { Trial } from './try-it.ts';

export interface Announcement {
  readonly version: string;
  readonly runtime: string;
  /** Complete URLs. */
  readonly listening: readonly string[];
  readonly admin: string | undefined;
  readonly configName: string;
  readonly startedMs: number;
  readonly describe: () => readonly BoxReport[];
  /** What is strange about the boxes, once they have answered: models that none of them has. */
  readonly remarks?: () => readonly string[];
  readonly hasDemo: boolean;
  /** Undefined: there is nothing to try. */
  readonly trial: Trial | undefined;
  /** Whether `CORRAL_API_KEY` is what every listener asks for. */
  readonly hasCommonKey: boolean;
  readonly clock: Clock;
  readonly print: (line: string) => void;
}

/** A start that waits for a sleeping laptop looks broken: after this the rest is told when it is known. */
const patienceMs = 1_000;
const lookEveryMs = 20;
const giveUpMs = 10_000;

/** Returns at once; the promise is for tests and settles when everything has been said. */
export async function announce(announcement: Announcement): Promise<void> {
  const { clock, print, listening, admin, describe } = announcement;
  print(
    `Corral ${announcement.version} on ${announcement.runtime}, configuration ${announcement.configName}, ready in ${Math.round(clock.now() - announcement.startedMs)} ms`,
  );
  for (const url of listening) print(`listening on ${url}`);
  if (admin !== undefined) print(`admin on ${admin}`);

  await untilKnown(describe, clock, patienceMs);
  const told = describe();
  for (const line of boxLines(told)) print(line);
  const { trial, hasDemo, hasCommonKey } = announcement;
  const url = trial === undefined ? undefined : (listening.find((one) => one.endsWith(`:${trial.port}`)) ?? listening[0]);
  if (trial !== undefined && url !== undefined) {
    const local = url.replace('//0.0.0.0:', '//localhost:').replace('//[::]:', '//localhost:');
    const keyVariable = hasCommonKey ? 'CORRAL_API_KEY' : 'KEY';
    print(`try it:\n${curlLine({ url: local, trial, boxes: told, hasDemo, keyVariable })}`);
  }

  const remarks = new Set<string>();
  const remark = () => {
    for (const one of announcement.remarks?.() ?? []) {
      if (!remarks.has(one)) print(`warning: ${one}`);
      remarks.add(one);
    }
  };
  remark();
  const missing = new Set(told.filter((box) => box.isAlive === undefined).map((box) => box.name));
  if (missing.size === 0) return;
  await untilKnown(() => describe().filter((box) => missing.has(box.name)), clock, giveUpMs);
  for (const line of boxLines(describe().filter((box) => missing.has(box.name)))) print(line);
  remark();
}

async function untilKnown(describe: () => readonly BoxReport[], clock: Clock, limitMs: number): Promise<void> {
  const endMs = clock.now() + limitMs;
  while (describe().some(isUnknown) && clock.now() < endMs)
    await new Promise<void>((resolve) => clock.after(lookEveryMs, resolve));
}

/** Alive comes first, the list of models a moment later. */
function isUnknown(box: BoxReport): boolean {
  return box.isAlive === undefined || (box.isAlive && box.models === undefined && box.why === undefined);
}
