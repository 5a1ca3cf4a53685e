/// <reference types="node" />
/** Corral on Node, 22.19 or later: older ones cannot read TypeScript. */
import process from 'node:process';
import { serve } from '../cli/serve.ts';
import { nodeDoors } from './node-door.ts';
import { createNodePlatform } from './node-platform.ts';

const platform = createNodePlatform();
await serve({ runtime: `Node ${process.versions.node}`, platform, openDoor: nodeDoors(platform.takeRelay), startedMs: 0 });

export default undefined;
