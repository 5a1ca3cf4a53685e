import { describe } from 'vitest';
import { bodies } from '../conformance/bodies.ts';
import { config } from '../conformance/config.ts';
import { drain } from '../conformance/drain.ts';
import { failover } from '../conformance/failover.ts';
import { http } from '../conformance/http.ts';
import { lists } from '../conformance/lists.ts';
import { log } from '../conformance/log.ts';
import { protocols } from '../conformance/protocols.ts';
import { safety } from '../conformance/safety.ts';
import { sdks } from '../conformance/sdks.ts';
import { seedPage } from '../conformance/seed-page.ts';
import { type Stage, useStage } from '../conformance/stage.ts';
import { streams } from '../conformance/streams.ts';
import { testedRuntimes } from '../support/runtimes/index.ts';

const subjects: readonly ((stage: Stage) => void)[] = [
  seedPage,
  protocols,
  lists,
  streams,
  failover,
  safety,
  bodies,
  http,
  sdks,
  config,
  log,
  drain,
];

describe.each(testedRuntimes())('on $name', (runtime) => {
  for (const subject of subjects) {
    // A Worker has no signals.
    if (subject === drain && runtime.name === 'workerd') continue;
    describe(subject.name, () => subject(useStage(runtime)));
  }
});
