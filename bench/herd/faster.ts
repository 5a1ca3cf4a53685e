/**
 * Preloaded into Corral, where the boxes' time is compressed: its clock then runs as fast as theirs. Its speeds, patience and probes
 * are those of real boxes, and would be all wrong for boxes that load in a tenth of a second.
 */
const factor = Number(process.env.HERD_FACTOR ?? '1');
const realNow = performance.now.bind(performance);
const realDate = Date.now.bind(Date);
const realTimeout = globalThis.setTimeout;
const startMs = realDate();

performance.now = () => realNow() * factor;
Date.now = () => startMs + (realDate() - startMs) * factor;
globalThis.setTimeout = ((task: () => void, delayMs = 0, ...rest: []) =>
  realTimeout(task, delayMs / factor, ...rest)) as typeof setTimeout;
