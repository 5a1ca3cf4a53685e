/** Closed loop: each connection sends its next request when the answer to the last has come. */
import { type Answer, Connection } from './connection.ts';
import { Failures, faultOf, pause, within } from './faults.ts';
import { cpuMsOf } from './processes.ts';
import { type RequestPlan, requestBytes } from './requests.ts';
import { quantile } from './statistics.ts';

export interface LoopJob {
  readonly kind: 'loop';
  readonly request: RequestPlan;
  readonly concurrency: number;
  /** Not counted. 0: everything counts, from the first request to the last answer, which is fairer to few heavy requests. */
  readonly warmupMs: number;
  readonly durationMs: number;
  /** Content chunks that every answer must have; 0 for answers that are no streams. */
  readonly chunks: number;
  /** The server's processes, whose CPU is counted. */
  readonly pids: readonly number[];
}

export interface LoopFigures {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly firstByteP50Ms: number;
  readonly chunksPerSecond: number;
  readonly cpuMicrosPerRequest: number;
  readonly errors: number;
  readonly firstError: string;
}

const patienceMs = 30_000;

/** What all lanes of one job write into. */
class Tally {
  readonly latencies: number[] = [];
  readonly firstBytes: number[] = [];
  readonly failures = new Failures();
  counting = false;
  running = true;
}

class Lane {
  readonly connection: Connection;
  readonly finished: Promise<void>;
  private finish: () => void = () => {};
  private readonly job: LoopJob;
  private readonly bytes: Buffer;
  private readonly tally: Tally;
  private sentAt = 0;
  private begunAt = 0;

  constructor(job: LoopJob, bytes: Buffer, tally: Tally) {
    this.job = job;
    this.bytes = bytes;
    this.tally = tally;
    this.finished = new Promise((resolve) => {
      this.finish = resolve;
    });
    this.connection = new Connection(job.request.port, false, {
      begun: () => {
        this.begunAt = performance.now();
      },
      chunk: () => {},
      ended: (answer) => this.take(answer),
      broke: (reason) => this.fail(reason),
    });
    this.next();
  }

  private next(): void {
    if (!this.tally.running) {
      this.finish();
      return;
    }
    this.sentAt = performance.now();
    this.connection.send(this.bytes);
  }

  private take(answer: Answer): void {
    const fault = faultOf(answer, this.job.chunks);
    if (fault !== undefined) {
      this.fail(fault);
      return;
    }
    if (this.tally.counting) {
      this.tally.latencies.push(performance.now() - this.sentAt);
      this.tally.firstBytes.push(this.begunAt - this.sentAt);
    }
    this.next();
  }

  /** A refusal comes quickly: going on at once would turn one fault into a storm. */
  private fail(reason: string): void {
    this.tally.failures.add(reason);
    setTimeout(() => this.next(), 5);
  }
}

/** Runs one job. Requests under way at the end of the time are waited for, not cut; without warm-up they count too. */
export async function runLoop(job: LoopJob): Promise<LoopFigures> {
  const tally = new Tally();
  const bytes = requestBytes(job.request);
  const whole = job.warmupMs === 0;
  const cpuAtStart = cpuMsOf(job.pids);
  const begunAt = performance.now();
  tally.counting = whole;
  const lanes = Array.from({ length: job.concurrency }, () => new Lane(job, bytes, tally));
  const allDone = within(job.warmupMs + job.durationMs + patienceMs, Promise.all(lanes.map((lane) => lane.finished)));
  if (!whole) await pause(job.warmupMs);
  tally.counting = true;
  const cpuBefore = whole ? cpuAtStart : cpuMsOf(job.pids);
  const startedAt = whole ? begunAt : performance.now();
  await pause(job.durationMs);
  tally.counting = whole;
  tally.running = false;
  if (whole) await allDone;
  const seconds = (performance.now() - startedAt) / 1000;
  const cpuMs = cpuMsOf(job.pids) - cpuBefore;
  if (!(await allDone)) tally.failures.add(`requests still open ${patienceMs / 1000} s after the end`);
  for (const lane of lanes) lane.connection.close();
  const answered = tally.latencies.length;
  return {
    requestsPerSecond: answered / seconds,
    p50Ms: quantile(tally.latencies, 0.5),
    p99Ms: quantile(tally.latencies, 0.99),
    firstByteP50Ms: quantile(tally.firstBytes, 0.5),
    chunksPerSecond: (answered * job.chunks) / seconds,
    cpuMicrosPerRequest: (cpuMs * 1000) / answered,
    errors: tally.failures.count,
    firstError: tally.failures.first,
  };
}
