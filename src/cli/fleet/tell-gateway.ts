/** After a command has changed what boxes have: a running Corral is asked to look again, instead of within ten seconds. */
import type { CompiledPlan } from '../../compile/compile.ts';
import type { CommandScope } from '../command.ts';
import { openAdminLine } from './admin-line.ts';
import { adminUrlOf } from './session.ts';

/** Nobody minds when none runs. */
export async function tellGateway(plan: Pick<CompiledPlan, 'settings'>, { surroundings, platform }: CommandScope): Promise<void> {
  const url = adminUrlOf(plan);
  if (url === undefined) return;
  await openAdminLine(url, surroundings.env('CORRAL_ADMIN_TOKEN'), platform).post('/refresh', {}, 6_000);
}
