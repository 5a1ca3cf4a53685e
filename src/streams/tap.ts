/** Taps: byte observers that the platform drives (platform.ts). Bytes pass as they come; what was learnt is told at the end. */
export { type AnswerTapOptions, createAnswerTap } from './answer-tap.ts';
export { createEventTap, type EventTapOptions } from './event-tap.ts';
export { createPlainTap } from './plain-tap.ts';
export type { TapListeners, TapReport } from './report.ts';
