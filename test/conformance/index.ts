import { describe } from 'vitest';
import { type RuntimeName, testedRuntimes } from '../support/runtimes/index.ts';
import { auth } from './auth.ts';
import { bodies } from './bodies.ts';
import { coldLoads } from './cold-loads.ts';
import { config } from './config.ts';
import { drain } from './drain.ts';
import { embeddings } from './embeddings.ts';
import { expressions } from './expressions.ts';
import { failover } from './failover.ts';
import { fleet } from './fleet.ts';
import { guards } from './guards.ts';
import { http } from './http.ts';
import { lists } from './lists.ts';
import { log } from './log.ts';
import { options } from './options.ts';
import { protocols } from './protocols.ts';
import { queue } from './queue.ts';
import { resilience } from './resilience.ts';
import { safety } from './safety.ts';
import { sdks } from './sdks.ts';
import { seedPage } from './seed-page.ts';
import { type Stage, useStage } from './stage.ts';
import { streams } from './streams.ts';
import { telemetry } from './telemetry.ts';
import { traffic } from './traffic.ts';
import { translation } from './translation.ts';
import { truncation } from './truncation.ts';

const subjects: readonly ((stage: Stage) => void)[] = [
  seedPage,
  protocols,
  options,
  lists,
  streams,
  coldLoads,
  failover,
  truncation,
  resilience,
  queue,
  embeddings,
  fleet,
  safety,
  auth,
  expressions,
  traffic,
  guards,
  bodies,
  http,
  sdks,
  translation,
  config,
  log,
  telemetry,
  drain,
];

/** The whole suite on one runtime, where it is installed and asked for. */
export function conform(name: RuntimeName): void {
  describe.each(testedRuntimes().filter((runtime) => runtime.name === name))('conformance on $name', (runtime) => {
    for (const subject of subjects) {
      // A Worker has no signals.
      if (subject === drain && name === 'workerd') continue;
      describe(subject.name, () => subject(useStage(runtime)));
    }
  });
}
