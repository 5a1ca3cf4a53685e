import { describe, expect, test } from 'vitest';
import { dedupeText, editMember, memberObject, memberObjects } from '../../../src/json/nested.ts';
import { readObject } from '../../../src/json/read-object.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const read = (text: string) => readObject(bytesOf(text));
const written = (draft: { bytes(): Uint8Array }) => new TextDecoder().decode(draft.bytes());

describe('reading', () => {
  test('names fold, the last spelling wins', () => {
    const object = read('{"model":"nope","MODEL":"gemma3:270m","meſſages":[1],"\\u004deta":{},"\u212aeep_alive":0}');
    expect(object.get('model')).toBe('gemma3:270m');
    expect(object.get('messages')).toEqual([1]);
    expect(object.has('meta')).toBe(true);
    expect(object.get('keep_alive')).toBe(0);
    expect([object.has('stream'), object.get('stream'), object.textOf('stream')]).toEqual([false, undefined, undefined]);
  });

  test('any of several members, in whatever spelling', () => {
    const object = read('{"model":"x","TEMPERATURE":1}');
    expect(object.hasAny(new Set(['top_p', 'temperature']))).toBe(true);
    expect(object.hasAny(new Set(['top_p', 'seed']))).toBe(false);
    expect(object.hasAny(new Set())).toBe(false);
  });

  test('a last null wins too: what is forwarded has nothing else', () => {
    const object = read('{"stream":true,"stream":null}');
    expect(object.get('stream')).toBe(null);
    expect(written(object.draft())).toBe('{"stream":null}');
  });

  test('textOf is exact where get is rounded', () => {
    const object = read('{"seed": 12345678901234567890 , "t":1.0, "s":"\\u0041\\ud800"}');
    expect(object.textOf('seed')).toBe('12345678901234567890');
    expect(object.textOf('t')).toBe('1.0');
    expect(object.textOf('s')).toBe('"\\u0041\\ud800"');
    expect(object.get('s')).toBe('A\ud800');
  });

  test('a name with an escape is read right although V8 was taught another one (nodejs/node issue 63785)', () => {
    for (let times = 0; times < 3; times++) read('{"a":1,"\\\\u006":1}').get('a');
    const text = '{"a":1,"\\u006dodel":"x"}';
    JSON.parse('{"a":1,"\\\\u006":1}');
    expect(read(text).get('model')).toBe('x');
    const nested = read(`{"o":${text},"l":[${text}, "\\"model\\": \\u006dodel"]}`);
    expect(nested.get('o')).toEqual({ a: 1, model: 'x' });
    expect(nested.get('l')).toEqual([{ a: 1, model: 'x' }, '"model": model']);
    expect(memberObject(nested, 'o')?.get('model')).toBe('x');
    const draft = nested.draft();
    draft.setText('p', text);
    expect(draft.get('p')).toEqual({ a: 1, model: 'x' });
  });

  test('names of the object prototype are names like others', () => {
    const object = read('{"__proto__":{"a":1},"constructor":2,"toString":3}');
    expect(object.get('__proto__')).toEqual({ a: 1 });
    expect(object.get('constructor')).toBe(2);
    expect(read('{}').get('constructor')).toBe(undefined);
    expect(read('{}').has('__proto__')).toBe(false);
  });
});

describe('writing', () => {
  test('the very bytes, when nothing changes', () => {
    const bytes = bytesOf(' {"MODEL" : "é", "x":1.0 }\n');
    const object = readObject(bytes);
    object.get('model');
    expect(object.draft().bytes()).toBe(bytes);
  });

  test.each([
    ['{"model":"a","MODEL":"b"}', '{"MODEL":"b"}'],
    ['{"model":"a", "x":1, "MODEL":"b"}', '{"x":1, "MODEL":"b"}'],
    ['{ "x":1 , "x":2 , "x":3 }', '{ "x":3 }'],
    ['{"a":1,"x":1,"b":2,"X":2,"c":3}', '{"a":1,"b":2,"X":2,"c":3}'],
    ['{"x":"é","X":"ü","y":"日本"}', '{"X":"ü","y":"日本"}'],
  ])('losers go: %s', (text, expected) => {
    expect(written(read(text).draft())).toBe(expected);
  });

  test.each([
    ['{"model":"a", "x":1.0}', '{"model":"b", "x":1.0}'],
    ['{ "x" : 1.0 }', '{ "x" : 1.0,"model":"b" }'],
    ['{}', '{"model":"b"}'],
    ['{ }', '{"model":"b" }'],
    ['{"x":1,"MODEL" : "a"}', '{"x":1,"model":"b"}'],
    ['{"model":"a","x":1,"MODEL":"c"}', '{"x":1,"model":"b"}'],
    ['{"mod\\u0065l":"a"}', '{"mod\\u0065l":"b"}'],
    ['{"x":"日本"}', '{"x":"日本","model":"b"}'],
  ])('set in %s', (text, expected) => {
    const draft = read(text).draft();
    draft.set('model', 'b');
    expect(written(draft)).toBe(expected);
    expect([draft.has('model'), draft.get('model'), draft.textOf('model')]).toEqual([true, 'b', '"b"']);
  });

  test.each([
    ['{"x":1}', '{}'],
    ['{ "x":1 }', '{  }'],
    ['{"x":1,"a":2}', '{"a":2}'],
    ['{"a":2 , "x":1 }', '{"a":2 }'],
    ['{"X":1,"x":2}', '{}'],
    ['{"a":1}', '{"a":1}'],
  ])('delete from %s', (text, expected) => {
    const draft = read(text).draft();
    draft.delete('x');
    expect(written(draft)).toBe(expected);
    expect([draft.has('x'), draft.get('x'), draft.textOf('x')]).toEqual([false, undefined, undefined]);
  });

  test('several edits, the last one of a name counts, and undefined deletes', () => {
    const draft = read('{"a":1,"b":2,"c":3}').draft();
    draft.set('b', undefined);
    draft.setText('d', '1.50');
    draft.set('a', 5);
    draft.set('a', 12345678901234567890n);
    draft.set('maxTokens', 7);
    draft.delete('c');
    expect(written(draft)).toBe('{"d":1.50,"maxTokens":7}'.replace('{', '{"a":12345678901234567890,'));
  });

  test('all members replaced by new ones', () => {
    const draft = read('{ "a":1, "b":2 }').draft();
    draft.delete('a');
    draft.delete('b');
    draft.set('c', 3);
    expect(JSON.parse(written(draft))).toEqual({ c: 3 });
  });

  test('drafts of one object do not see each other', () => {
    const object = read('{"model":"a"}');
    const first = object.draft();
    first.set('model', 'b');
    expect(object.draft().get('model')).toBe('a');
    expect(object.get('model')).toBe('a');
  });

  test('a lone surrogate that Corral sets stays an escape', () => {
    const draft = read('{}').draft();
    draft.set('model', 'a\ud800');
    expect(written(draft)).toBe('{"model":"a\\ud800"}');
  });

  test('an emoji before, between and behind edits moves no byte', () => {
    for (const times of [1, 2_000]) {
      const [p, q, r] = ['🦊🦊🦊', '🦊', '🦊é'].map((text) => text.repeat(times));
      const draft = read(`{"p":"${p}","model":"a","q":"${q}","n":1,"r":"${r}"}`).draft();
      draft.set('model', 'bcd');
      draft.set('n', '🐔');
      draft.set('z', true);
      expect(written(draft)).toBe(`{"p":"${p}","model":"bcd","q":"${q}","n":"🐔","r":"${r}","z":true}`);
    }
  });
});

describe('objects inside', () => {
  test('what was looked into is forwarded as it was read', () => {
    const object = read('{"stream_options": {"include_usage":false, "x":1.0,"Include_Usage":true} ,"n":1}');
    expect(memberObject(object, 'stream_options')?.get('include_usage')).toBe(true);
    expect(object.textOf('stream_options')).toBe('{"x":1.0,"Include_Usage":true}');
    expect(object.get('stream_options')).toEqual({ x: 1, Include_Usage: true });
    expect(written(object.draft())).toBe('{"stream_options": {"x":1.0,"Include_Usage":true} ,"n":1}');
  });

  test('a value read before its member was opened is not kept', () => {
    const object = read('{"options":{"num_ctx":1,"NUM_CTX":2}}');
    expect(object.get('options')).toEqual({ num_ctx: 1, NUM_CTX: 2 });
    memberObject(object, 'options');
    expect(object.get('options')).toEqual({ NUM_CTX: 2 });
  });

  test('what nobody looks into is data: names that differ in case stay apart', () => {
    const text =
      '{"tools":[{"type":"function","function":{"parameters":{"properties":{"a":{},"A":{}}}}}],"metadata":{"x":1,"X":2}}';
    const object = read(text);
    expect(memberObjects(object, 'tools')?.map((tool) => tool?.get('type'))).toEqual(['function']);
    expect(written(object.draft())).toBe(text);
  });

  test('objects of an array, one by one', () => {
    const object = read('{"tools":[ {"type":"function","TYPE":"web_search"}, 3, null, "x,]", [{"type":1}], {"type":"b"} ]}');
    const tools = memberObjects(object, 'tools');
    expect(tools?.map((tool) => tool?.get('type'))).toEqual(['web_search', undefined, undefined, undefined, undefined, 'b']);
    expect(written(object.draft())).toBe('{"tools":[ {"TYPE":"web_search"}, 3, null, "x,]", [{"type":1}], {"type":"b"} ]}');
    expect(memberObjects(read('{"tools":[ ]}'), 'tools')).toEqual([]);
  });

  test('level by level', () => {
    const object = read('{"text":{"format":{"type":"a","TYPE":"b"},"x":[1]}}');
    const text = memberObject(object, 'text');
    expect(text && memberObject(text, 'format')?.get('type')).toBe('b');
    expect(object.get('text')).toEqual({ format: { TYPE: 'b' }, x: [1] });
    expect(written(object.draft())).toBe('{"text":{"format":{"TYPE":"b"},"x":[1]}}');
  });

  test('an edit of the member itself comes before what was read', () => {
    const object = read('{"options":{"num_ctx":1,"NUM_CTX":2}}');
    memberObject(object, 'options');
    const draft = object.draft();
    draft.set('options', { num_ctx: 3 });
    expect(written(draft)).toBe('{"options":{"num_ctx":3}}');
  });

  test('nothing there, or something else', () => {
    const object = read('{"a":1,"b":null,"c":[],"d":{}}');
    expect(['a', 'b', 'c', 'e'].map((name) => memberObject(object, name))).toEqual([undefined, undefined, undefined, undefined]);
    expect(['a', 'b', 'd', 'e'].map((name) => memberObjects(object, name))).toEqual([undefined, undefined, undefined, undefined]);
  });

  test('editMember changes one number and nothing else', () => {
    const object = read('{"options":{ "seed":12345678901234567890, "NUM_CTX":2, "t":1.0},"x":1}');
    const draft = object.draft();
    editMember(draft, 'options', (options) => options.set('num_ctx', 4096));
    expect(written(draft)).toBe('{"options":{ "seed":12345678901234567890, "num_ctx":4096, "t":1.0},"x":1}');
  });

  test.each([['{}'], ['{"stream_options":null}'], ['{"stream_options":7}']])('editMember makes the object in %s', (text) => {
    const draft = read(text).draft();
    editMember(draft, 'stream_options', (options) => options.set('include_usage', true));
    expect(draft.get('stream_options')).toEqual({ include_usage: true });
    expect(written(draft)).toBe('{"stream_options":{"include_usage":true}}');
  });

  test('editMember that edits nothing adds nothing', () => {
    const draft = read('{"a":1}').draft();
    editMember(draft, 'options', (options) => options.delete('num_ctx'));
    expect(written(draft)).toBe('{"a":1}');
  });

  test.each([
    ['{"a":1,"A":2}', '{"A":2}'],
    [' [{"a":1,"A":2},{"b":{"c":1,"C":2}}] ', '[{"A":2},{"b":{"c":1,"C":2}}] '],
    ['"text"', '"text"'],
    ['', ''],
  ])('dedupeText of %j', (json, expected) => {
    expect(dedupeText(json).trim()).toBe(expected.trim());
  });
});
