import type { Exchange } from '../exchange.ts';
import type { CelExtras } from './expression.ts';

/** What one evaluation reads from. */
export interface Scene {
  readonly exchange: Exchange;
  readonly extras: CelExtras;
}
