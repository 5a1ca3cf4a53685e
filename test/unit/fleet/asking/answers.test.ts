/** Lists of boxes that say what cannot be. */
import { expect, test } from 'vitest';
import { catalogueOf, runningOf } from '../../../../src/fleet/asking/answers.ts';
import { Rates } from '../../../../src/fleet/rates/rates.ts';

const answer = (text: string) => ({ status: 200, headers: new Headers(), text });

test.each(['1e999', '-1', '"5"', 'null'])('a size of %s is none: nothing is learnt from it', (size) => {
  const [model] = catalogueOf(answer(`{"models":[{"name":"m","size":${size}}]}`))?.values() ?? [];
  const [runner] = runningOf(answer(`{"models":[{"name":"m","size":${size},"size_vram":${size}}]}`)) ?? [];
  expect([model?.sizeBytes, runner?.sizeBytes, runner?.vramBytes]).toEqual([0, 0, 0]);
  const rates = new Rates(() => 0);
  rates.learnLoad(model?.sizeBytes ?? 0, 5_000);
  expect(rates.seenBytesPerSecond).toBeUndefined();
});

test.each(['0', '-4096', '1e999', '"4096"'])('a context of %s is not known: no prompt is refused for it', (context) => {
  const [runner] = runningOf(answer(`{"models":[{"name":"m","context_length":${context}}]}`)) ?? [];
  expect(runner?.contextLength).toBeUndefined();
});
