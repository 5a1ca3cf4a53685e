/** Loaded only where a configuration has times (cron.ts). */
export { Cron } from 'croner';
