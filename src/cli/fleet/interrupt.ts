/** Ctrl-C as a signal: what is under way is let go, and the command ends with what it has to say. */
import { exitCodes } from '../command.ts';
import type { Terminal } from '../terminal.ts';

/** Resolves with what `work` does, or with 130 when Ctrl-C ended it. */
export async function untilInterrupted(
  terminal: Terminal,
  work: (signal: AbortSignal) => Promise<number>,
  onInterrupt: () => void,
): Promise<number> {
  const controller = new AbortController();
  const forget = terminal.onInterrupt(() => controller.abort(new Error('interrupted')));
  try {
    return await work(controller.signal);
  } catch (thrown) {
    if (!controller.signal.aborted) throw thrown;
    onInterrupt();
    return exitCodes.interrupted;
  } finally {
    forget();
  }
}
