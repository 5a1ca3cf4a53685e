/** Lets a few things that cost much run at once, a bounded number wait their turn, and turns the others away. */
export interface WorkGate {
  /** Undefined: too many wait already, `work` was not begun. */
  run<Result>(work: () => Result | Promise<Result>): Promise<Result> | undefined;
  readonly waiting: number;
}

export function createWorkGate({
  maxRunning,
  maxWaiting,
}: {
  readonly maxRunning: number;
  readonly maxWaiting: number;
}): WorkGate {
  const queue: (() => void)[] = [];
  let running = 0;

  /** The place goes from hand to hand: given back and taken again, somebody could slip in between. */
  const leave = (): void => {
    const next = queue.shift();
    if (next === undefined) running--;
    else next();
  };

  const enter = async <Result>(work: () => Result | Promise<Result>): Promise<Result> => {
    try {
      return await work();
    } finally {
      leave();
    }
  };

  return {
    get waiting() {
      return queue.length;
    },
    run(work) {
      if (running < maxRunning) {
        running++;
        return enter(work);
      }
      if (queue.length >= maxWaiting) return undefined;
      return new Promise<void>((resolve) => queue.push(resolve)).then(() => enter(work));
    },
  };
}
