/** What has been done for one model on one box. */
export interface WarmTry {
  isUnderWay: boolean;
  startedMs: number;
  /** On the clock: its keep_alive was set last. */
  renewedMs: number;
  failures: number;
  /** On the clock: after a failure, not before. */
  againMs: number;
  /** What keeps it from being loaded, so that the log hears it once. */
  told: string | undefined;
}
