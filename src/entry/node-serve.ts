/// <reference types="node" />
import process from 'node:process';
import { serve } from '../cli/serve.ts';
import { nodeDoors } from './node-door.ts';
import { createNodePlatform } from './node-platform.ts';

export async function serveOnNode(): Promise<void> {
  const platform = createNodePlatform();
  await serve({ runtime: `Node ${process.versions.node}`, platform, openDoor: nodeDoors(platform.takeRelay), startedMs: 0 });
}
