import { serve } from '../cli/serve.ts';
import { openBunDoor } from './bun-door.ts';
import { createBunPlatform } from './bun-platform.ts';
import { bun } from './bun-runtime.ts';

export async function serveOnBun(): Promise<void> {
  await serve({ runtime: `Bun ${bun.version}`, platform: createBunPlatform(), openDoor: openBunDoor, startedMs: 0 });
}
