import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Client, come, createSlotStage } from '../waiting.ts';

const steps = fc.array(
  fc.record({
    do: fc.constantFrom('come' as const, 'come' as const, 'end' as const, 'begin' as const, 'leave' as const, 'wait' as const),
    who: fc.nat({ max: 30 }),
    ms: fc.nat({ max: 3_000 }),
  }),
  { maxLength: 120 },
);

describe('T11: whatever comes, ends and leaves', () => {
  it.each([
    ['by the end of another call', true],
    ['by looking for itself', false],
  ])(
    'never more than the slots are taken, nobody is lost, nobody is served twice, and all ends empty (%s)',
    async (_, hasBackground) => {
      await fc.assert(
        fc.asyncProperty(
          steps,
          fc.integer({ min: 1, max: 3 }),
          fc.integer({ min: 0, max: 6 }),
          async (all, slots, maxWaiting) => {
            const stage = createSlotStage({ slots, hasBackground, tuning: { maxWaiting, maxWaitMs: 10_000 } });
            const clients: Client[] = [];
            const gone = new Set<Client>();
            const over = new Set<Client>();
            const busy = () => clients.filter((one) => one.slot !== undefined && !over.has(one)).length;
            const check = () => {
              // A client whose promise has been settled as it left holds a slot that its exchange gives back.
              for (const one of clients) if (gone.has(one) && one.slot !== undefined && !over.has(one)) finish(one);
              expect(busy()).toBeLessThanOrEqual(slots);
              expect(stage.slots.busy()).toBe(busy());
              // A slot that is free is somebody's who waits, where nobody has told them yet.
              expect(busy() + stage.slots.waiting()).toBeLessThanOrEqual(slots + maxWaiting);
              if (hasBackground) expect(stage.slots.waiting()).toBeLessThanOrEqual(maxWaiting);
            };
            const finish = (one: Client) => {
              over.add(one);
              one.slot?.end();
            };
            for (const { do: what, who, ms } of all) {
              if (what === 'come')
                clients.push(
                  come(stage, { sharer: `s${who % 4}`, weight: 1 + (who % 3), urgency: who % 5 === 0 ? 'bulk' : 'interactive' }),
                );
              else if (what === 'wait') await stage.clock.advance(ms);
              else {
                const active = clients.filter(
                  (one) =>
                    !over.has(one) &&
                    !gone.has(one) &&
                    (what === 'leave' ? one.slot === undefined && one.error === undefined : one.slot !== undefined),
                );
                const one = active[who % Math.max(1, active.length)];
                if (one === undefined) continue;
                if (what === 'begin') one.slot?.began();
                else if (what === 'end') finish(one);
                else {
                  gone.add(one);
                  one.leave();
                }
              }
              await stage.clock.settle();
              check();
            }
            for (let round = 0; round < 200; round++) {
              for (const one of clients) if (one.slot !== undefined && !over.has(one)) finish(one);
              await stage.clock.advance(50);
            }
            await stage.clock.advance(10_000);
            for (const one of clients) {
              const outcomes = [one.slot !== undefined, one.error !== undefined, gone.has(one)].filter(Boolean).length;
              expect(outcomes).toBe(1);
            }
            expect([stage.slots.busy(), stage.slots.waiting(), stage.clock.pending]).toEqual([0, 0, 0]);
          },
        ),
        { numRuns: 150 },
      );
    },
  );
});
