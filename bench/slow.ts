/** Many slow streams at once: what a gateway costs while models think and type. */
import { Connection } from './connection.ts';
import { Failures, faultOf, pause, within } from './faults.ts';
import { cpuMsOf, rssKbOf } from './processes.ts';
import { type RequestPlan, requestBytes } from './requests.ts';
import { quantile } from './statistics.ts';
import { nowMicros } from './wire.ts';

export interface SlowJob {
  readonly kind: 'slow';
  readonly request: RequestPlan;
  readonly streams: number;
  /** The streams begin evenly over this time. Shorter than a stream lasts. */
  readonly rampMs: number;
  readonly chunks: number;
  readonly perSecond: number;
  readonly pids: readonly number[];
}

export interface SlowFigures {
  readonly done: number;
  readonly errors: number;
  readonly firstError: string;
  readonly firstByteP50Ms: number;
  readonly firstByteP99Ms: number;
  /** From the mock's write to the client's read. */
  readonly chunkP50Ms: number;
  readonly chunkP99Ms: number;
  /** Between two chunks of one stream. */
  readonly gapP99Ms: number;
  readonly cpuPercent: number;
  readonly cpuMicrosPerChunk: number;
  readonly rssKbPerStream: number;
}

class Tally {
  readonly firstBytes: number[] = [];
  readonly delays: number[] = [];
  readonly gaps: number[] = [];
  readonly failures = new Failures();
  received = 0;
  done = 0;
}

class SlowStream {
  readonly connection: Connection;
  readonly finished: Promise<void>;
  private sentAt = 0;
  private lastAt = 0;

  constructor(job: SlowJob, bytes: Buffer, tally: Tally, delayMs: number) {
    let finish = () => {};
    this.finished = new Promise((resolve) => {
      finish = resolve;
    });
    const close = (fault: string | undefined) => {
      if (fault === undefined) tally.done += 1;
      else tally.failures.add(fault);
      finish();
    };
    this.connection = new Connection(job.request.port, true, {
      begun: () => tally.firstBytes.push(performance.now() - this.sentAt),
      chunk: (writtenMicros) => this.take(tally, writtenMicros),
      ended: (answer) => close(faultOf(answer, job.chunks)),
      broke: close,
    });
    setTimeout(() => {
      this.sentAt = performance.now();
      this.connection.send(bytes);
    }, delayMs);
  }

  private take(tally: Tally, writtenMicros: number): void {
    const at = nowMicros();
    tally.received += 1;
    tally.delays.push((at - writtenMicros) / 1000);
    if (this.lastAt > 0) tally.gaps.push((at - this.lastAt) / 1000);
    this.lastAt = at;
  }
}

/** Runs one job. CPU and memory are taken while all streams are under way. */
export async function runSlow(job: SlowJob): Promise<SlowFigures> {
  const tally = new Tally();
  const bytes = requestBytes(job.request);
  const rssBefore = rssKbOf(job.pids);
  const streams = Array.from(
    { length: job.streams },
    (_, index) => new SlowStream(job, bytes, tally, (index * job.rampMs) / job.streams),
  );
  await pause(job.rampMs + 100);
  const cpuBefore = cpuMsOf(job.pids);
  const receivedBefore = tally.received;
  const startedAt = performance.now();
  await pause((job.chunks * 1000) / job.perSecond - job.rampMs - 200);
  const elapsedMs = performance.now() - startedAt;
  const cpuMs = cpuMsOf(job.pids) - cpuBefore;
  const received = tally.received - receivedBefore;
  const rssKbPerStream = (rssKbOf(job.pids) - rssBefore) / job.streams;
  const allDone = await within(job.rampMs + 15_000, Promise.all(streams.map((stream) => stream.finished)));
  if (!allDone) tally.failures.add('streams still open 15 s after their end');
  for (const stream of streams) stream.connection.close();
  return {
    done: tally.done,
    errors: tally.failures.count,
    firstError: tally.failures.first,
    firstByteP50Ms: quantile(tally.firstBytes, 0.5),
    firstByteP99Ms: quantile(tally.firstBytes, 0.99),
    chunkP50Ms: quantile(tally.delays, 0.5),
    chunkP99Ms: quantile(tally.delays, 0.99),
    gapP99Ms: quantile(tally.gaps, 0.99),
    cpuPercent: (cpuMs * 100) / elapsedMs,
    cpuMicrosPerChunk: (cpuMs * 1000) / received,
    rssKbPerStream,
  };
}
