/** What counts as a failed request, and waiting with a limit. */
import type { Answer } from './connection.ts';

export class Failures {
  count = 0;
  first = '';

  add(reason: string): void {
    if (this.count === 0) this.first = reason;
    this.count += 1;
  }
}

/** Why an answer does not count, or undefined. Quick answers are worth nothing when they are not whole. */
export function faultOf(answer: Answer, chunks: number): string | undefined {
  if (answer.status !== 200) return `status ${answer.status}: ${answer.complaint}`;
  if (answer.marks !== chunks) return `${answer.marks} chunks instead of ${chunks}`;
  return answer.bodyBytes < 900 ? `only ${answer.bodyBytes} bytes` : undefined;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Whether `work` was done in time. */
export async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const inTime = await Promise.race([work.then(() => true), late]);
  clearTimeout(timer);
  return inTime;
}
