import { expect, test } from 'vitest';
import { NotLoaded, onDemand, withModules } from '../../../src/fields/on-demand.ts';

test('what is not there yet stops the work, which is begun anew once it is', async () => {
  const begun: string[] = [];
  const one = onDemand(() => Promise.resolve('one'));
  const other = onDemand(() => Promise.resolve('other'));
  const given = await withModules(() => {
    begun.push('begun');
    const first = one();
    begun.push(first);
    return [first, other()];
  });
  expect(given).toEqual(['one', 'other']);
  expect(begun).toEqual(['begun', 'begun', 'one', 'begun', 'one']);
  expect(one()).toBe('one');
});

test('nothing is loaded that nobody needs', async () => {
  let loads = 0;
  const never = onDemand(() => {
    loads++;
    return Promise.resolve('x');
  });
  expect(await withModules(() => 'done')).toBe('done');
  expect(loads).toBe(0);
  expect(() => never()).toThrow(NotLoaded);
  expect(loads).toBe(1);
  expect(await never.load()).toBe('x');
});

test('other errors pass, and so does a module that cannot be loaded', async () => {
  await expect(
    withModules(() => {
      throw new Error('not valid');
    }),
  ).rejects.toThrow('not valid');
  const broken = onDemand(() => Promise.reject(new Error('no such file')));
  await expect(withModules(() => broken())).rejects.toThrow('no such file');
});
