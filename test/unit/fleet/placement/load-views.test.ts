import { describe, expect, it } from 'vitest';
import type { RunningModel } from '../../../../src/fleet/asking/answers.ts';
import type { Box } from '../../../../src/fleet/box.ts';
import { isLeaving, loadViewOf } from '../../../../src/fleet/placement/load-views.ts';
import { Capacity } from '../../../../src/fleet/rates/capacity.ts';
import { Rates } from '../../../../src/fleet/rates/rates.ts';

const wallMs = Date.UTC(2026, 0, 1);

function running(bytes: number): RunningModel {
  const expiresAt = new Date(wallMs + 300_000).toISOString();
  return { name: '', digest: '', item: '', sizeBytes: bytes, vramBytes: bytes, contextLength: 4_096, expiresAt };
}

/** A box that has `first` and `second` in memory, of which Ollama would push out `first`; each model has 10 bytes. */
function boxWith(given: { loading?: string; maxLoaded?: number; vramBytes?: number; seen?: readonly string[] } = {}): Box {
  const capacity = new Capacity();
  const look = (models: readonly string[]) => capacity.saw(new Map(models.map((model) => [model, running(10)])), 0, wallMs);
  if (given.seen !== undefined) look(given.seen);
  look(['first', 'second']);
  const { loading, maxLoaded, vramBytes } = given;
  const box = {
    upstream: { box: { weight: 1, reserveBytes: 0, slots: undefined, maxLoaded, vramBytes, headers: {} } },
    loads: { underWay: () => (loading === undefined ? [] : [{ model: loading, startedMs: 0 }]) },
    memory: { capacity },
    slots: { busy: () => 0, waiting: () => 0 },
    rates: new Rates(() => 0),
    catalogue: new Map(['first', 'second', 'third'].map((model) => [model, { sizeBytes: 10 }])),
    blobOf: (model: string) => ({ first: '1', second: '2', third: '3' })[model],
    isOwnedElsewhere: false,
  };
  return box as unknown as Box;
}

const leaving = (box: Box) => ['first', 'second', 'third'].filter((model) => isLeaving(box, model, 0));

describe('what a load that is under way pushes out', () => {
  it('is gone, though it was there at the last look: who goes first, where the memory is full', () => {
    expect(leaving(boxWith({ loading: 'third', maxLoaded: 2 }))).toEqual(['first']);
    expect(leaving(boxWith({ loading: 'third', maxLoaded: 1 }))).toEqual(['first', 'second']);
  });

  it('is nobody where all fit, where nothing is loaded, and where it is only possible', () => {
    expect(leaving(boxWith({ loading: 'third', maxLoaded: 3 }))).toEqual([]);
    expect(leaving(boxWith({ maxLoaded: 2 }))).toEqual([]);
    expect(leaving(boxWith({ loading: 'third' }))).toEqual([]);
  });

  it('is who goes first where as many models were too many before', () => {
    // The third of them went when the first one came: too many bytes or too many models, nobody knows.
    const seen = ['second', 'third'];
    expect(leaving(boxWith({ loading: 'third', seen }))).toEqual(['first']);
  });
});

describe('what might go for a load', () => {
  it('is who goes first, by how likely it is that one must', () => {
    const { victims, doubtful } = loadViewOf(boxWith(), 'third', [], 0);
    expect([victims, doubtful?.share, doubtful?.victim.model]).toEqual([[], 0.5, 'first']);
  });

  it('is nothing where it is known', () => {
    const full = loadViewOf(boxWith({ maxLoaded: 2 }), 'third', [], 0);
    expect([full.victims.map(({ model }) => model), full.doubtful]).toEqual([['first'], undefined]);
    expect(loadViewOf(boxWith({ maxLoaded: 3, vramBytes: 100 }), 'third', [], 0).doubtful).toBeUndefined();
  });
});
