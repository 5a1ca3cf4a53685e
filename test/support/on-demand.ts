/**
 * What only some configurations load (src/fields/on-demand.ts) is there from the start for the tests that read options and plans,
 * which do so without the gateway's opening around them. The others are not made to wait for it.
 */
import { expect } from 'vitest';

const others = /test\/unit\/(?:backends|fleet|http|json|protocols|scripts|state|streams|support)\//;

if (!others.test(expect.getState().testPath ?? '')) {
  const [{ cel }, { re2 }, { phone }, { jwtCheck }, { croner }] = await Promise.all([
    import('../../src/cel/cel-field.ts'),
    import('../../src/fields/rust-regex.ts'),
    import('../../src/policies/guards/builtins.ts'),
    import('../../src/policies/jwtAuth.ts'),
    import('../../src/fields/cron.ts'),
  ]);
  await Promise.all([cel.load(), re2.load(), phone.load(), jwtCheck.load(), croner.load()]);
}
