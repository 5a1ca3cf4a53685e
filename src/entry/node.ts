/// <reference types="node" />
/**
 * Corral on Node, 22.19 or later: older ones cannot read TypeScript. What Node makes of the files, 400 of TypeScript, is kept in
 * node_modules/.cache, where there is one: that halves the time of the next start. So the rest is imported afterwards.
 */
import { existsSync } from 'node:fs';
// As a whole: on older ones, which have no compile cache, the bundle must still get to say that they are too old.
import * as nodeModule from 'node:module';
import { fileURLToPath } from 'node:url';

// As far away from src/entry as from dist/node. Nobody else may write there who could not change Corral itself.
const modules = fileURLToPath(new URL('../../node_modules', import.meta.url));
// Fails without a word where nothing may be written.
if (existsSync(modules)) nodeModule.enableCompileCache(`${modules}/.cache/corral`);

const { serveOnNode } = await import('./node-serve.ts');
await serveOnNode();

export default undefined;
