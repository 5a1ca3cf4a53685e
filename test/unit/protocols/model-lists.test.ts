import { describe, expect, it } from 'vitest';
import type { KnownModel } from '../../../src/exchange.ts';
import {
  anthropicModel,
  anthropicModels,
  ollamaPs,
  ollamaTags,
  openaiModel,
  openaiModels,
} from '../../../src/protocols/model-lists.ts';
import { bodyTextOf, recordingOf } from '../../support/recordings.ts';

interface Tag {
  readonly name: string;
  readonly digest: string;
  readonly size: number;
  readonly modified_at: string;
}

/** The models of the recorded box. */
const models: readonly KnownModel[] = (JSON.parse(bodyTextOf(recordingOf('tags'))).models as Tag[]).map((tag) => ({
  name: tag.name,
  digest: tag.digest,
  tag: JSON.stringify(tag),
  sizeBytes: tag.size,
  modifiedAt: tag.modified_at,
  remoteHost: undefined,
}));

function modelOf(name: string): KnownModel {
  const model = models.find((one) => one.name === name);
  if (model === undefined) throw new Error(name);
  return model;
}

describe('openaiModels', () => {
  it('says of every model what Ollama says', () => {
    const byId = (one: { id: string }, other: { id: string }) => (one.id < other.id ? -1 : 1);
    const ours = JSON.parse(openaiModels(models));
    const theirs = JSON.parse(bodyTextOf(recordingOf('v1-models')));
    expect(ours.object).toBe('list');
    expect(ours.data.toSorted(byId)).toEqual(theirs.data.toSorted(byId));
  });

  it('is an empty list, not null, without models', () => {
    expect(openaiModels([])).toBe('{"object":"list","data":[]}\n');
  });

  it('ends with the names that only Corral knows', () => {
    const gemma = modelOf('gemma3:270m');
    expect(JSON.parse(openaiModels([gemma], [{ name: 'fast', target: gemma }, { name: 'smart' }])).data).toEqual([
      { id: 'gemma3:270m', object: 'model', created: 1795368550, owned_by: 'library' },
      { id: 'fast', object: 'model', created: 1795368550, owned_by: 'library' },
      { id: 'smart', object: 'model', created: 0, owned_by: 'corral' },
    ]);
  });

  it('has each name once, in any spelling', () => {
    const gemma = modelOf('gemma3:270m');
    const list = openaiModels([gemma, { ...gemma, name: 'GEMMA3:270M' }], [{ name: 'library/gemma3:270m' }]);
    expect(JSON.parse(list).data).toHaveLength(1);
  });

  it('takes a date that cannot be read as 0', () => {
    expect(JSON.parse(openaiModels([{ ...modelOf('gemma3:270m'), modifiedAt: 'soon' }])).data[0].created).toBe(0);
  });

  it('shows one as Ollama does, under the name that was asked for', () => {
    expect(openaiModel('gemma3:270m', modelOf('gemma3:270m'))).toBe(bodyTextOf(recordingOf('v1-model')));
    expect(JSON.parse(openaiModel('acme/gemma3:270m', modelOf('acme/gemma3:270m')))).toMatchObject({ owned_by: 'acme' });
    expect(JSON.parse(openaiModel('Fast', undefined))).toMatchObject({ id: 'Fast', owned_by: 'corral' });
  });
});

describe('anthropicModels', () => {
  const named = (name: string): KnownModel => ({ ...modelOf('gemma3:270m'), name });
  const five = ['a:1', 'b:1', 'c:1', 'd:1', 'e:1'].map(named);
  const page = (given: object) => {
    const { data, ...rest } = JSON.parse(anthropicModels(five, [], given));
    return { ids: data.map((one: { id: string }) => one.id).join(' '), ...rest };
  };

  it('has display names and dates', () => {
    expect(JSON.parse(anthropicModels([modelOf('gemma3:270m')]))).toEqual({
      data: [{ type: 'model', id: 'gemma3:270m', display_name: 'gemma3:270m', created_at: '2026-11-22T17:29:10.522Z' }],
      has_more: false,
      first_id: 'gemma3:270m',
      last_id: 'gemma3:270m',
    });
    expect(JSON.parse(anthropicModel('x', undefined))).toEqual({
      type: 'model',
      id: 'x',
      display_name: 'x',
      created_at: '1970-01-01T00:00:00.000Z',
    });
  });

  it('is empty without models', () => {
    expect(JSON.parse(anthropicModels([]))).toEqual({ data: [], has_more: false, first_id: null, last_id: null });
  });

  it.each([
    [{}, 'a:1 b:1 c:1 d:1 e:1', false],
    [{ limit: '2' }, 'a:1 b:1', true],
    [{ limit: '2', afterId: 'b:1' }, 'c:1 d:1', true],
    [{ limit: '2', afterId: 'd:1' }, 'e:1', false],
    [{ limit: '5', afterId: 'e:1' }, '', false],
    [{ limit: '2', beforeId: 'e:1' }, 'c:1 d:1', true],
    [{ limit: '2', beforeId: 'c:1' }, 'a:1 b:1', false],
    [{ limit: '2', beforeId: 'a:1' }, '', false],
    [{ afterId: 'unknown' }, '', false],
    [{ beforeId: 'unknown' }, '', false],
    [{ limit: '0' }, 'a:1', true],
    [{ limit: 'many' }, 'a:1 b:1 c:1 d:1 e:1', false],
  ])('pages %j to %s', (given, ids, hasMore) => {
    expect(page(given)).toMatchObject({ ids, has_more: hasMore });
  });

  it('gives 20 when not told, 1000 at most', () => {
    const many = Array.from({ length: 1001 }, (_, index) => named(`m${index}:1`));
    expect(JSON.parse(anthropicModels(many)).data).toHaveLength(20);
    expect(JSON.parse(anthropicModels(many, [], { limit: '5000' })).data).toHaveLength(1000);
  });
});

describe('ollamaTags', () => {
  it('gives the boxes items exactly', () => {
    expect(ollamaTags(models)).toBe(bodyTextOf(recordingOf('tags')));
    expect(ollamaTags([])).toBe(bodyTextOf(recordingOf('empty-tags')));
  });

  it('an alias is its target under its own name, exact in the rest', () => {
    const target = { ...modelOf('gemma3:270m'), tag: '{"name":"gemma3:270m","model":"gemma3:270m","size":9007199254740993}' };
    expect(ollamaTags([], [{ name: 'fast', target }])).toBe(
      '{"models":[{"name":"fast","model":"fast","size":9007199254740993}]}',
    );
  });

  it('a virtual model has a digest long enough for the ollama command to cut', () => {
    const [tag] = JSON.parse(ollamaTags([], [{ name: 'smart' }])).models;
    expect(tag).toMatchObject({ name: 'smart', model: 'smart', size: 0, modified_at: '1970-01-01T00:00:00Z' });
    expect(tag.digest).toHaveLength(64);
  });
});

it('ollamaPs puts exact items together', () => {
  expect(ollamaPs([])).toBe('{"models":[]}');
  expect(ollamaPs(['{"size":1.0}', '{"size":2}'])).toBe('{"models":[{"size":1.0},{"size":2}]}');
});
