import { describe, expect, test } from 'vitest';
import { JsonTree, treeOf } from '../../../src/json/tree.ts';

describe('a tree', () => {
  test('replaces strings and leaves every other byte', () => {
    const tree = new JsonTree(' {"a" : "x\\u0041", "n":12345678901234567890,"l":[ "one" ,{"b":"two"}, 3 ]} ');
    expect(tree.root.member('a')?.string).toBe('xA');
    const list = tree.root.member('l')?.elements() ?? [];
    expect(list.map(({ kind }) => kind)).toEqual(['string', 'object', 'other']);
    const two = list[1]?.member('b');
    if (two !== undefined) two.string = 'z"\n';
    const [one] = list;
    if (one !== undefined) one.string = 'one';
    expect(tree.write()).toBe(' {"a" : "x\\u0041", "n":12345678901234567890,"l":[ "one" ,{"b":"z\\"\\n"}, 3 ]} ');
  });

  test('untouched it is the text itself', () => {
    const text = '{"a":[],"b":{}}';
    const tree = new JsonTree(text);
    expect(tree.root.member('a')?.elements()).toEqual([]);
    expect([...(tree.root.member('b')?.members() ?? [])]).toEqual([]);
    expect(tree.isChanged).toBe(false);
    expect(tree.write()).toBe(text);
  });

  test('an object that was looked into leaves without its losing spellings, others as they are', () => {
    const tree = new JsonTree('{"m":[{"content":"fine","CONTENT":"secret","x":1}],"raw":{"a":1,"A":2}}');
    const content = tree.root.member('m')?.elements()[0]?.member('content');
    expect(content?.string).toBe('secret');
    if (content !== undefined) content.string = 'masked';
    expect(tree.write()).toBe('{"m":[{"CONTENT":"masked","x":1}],"raw":{"a":1,"A":2}}');
  });

  test('reads small values; asks of the wrong kind find nothing', () => {
    const { root } = new JsonTree('{"i":3,"t":true}');
    expect([root.valueOf('i'), root.valueOf('t'), root.valueOf('u')]).toEqual([3, true, undefined]);
    expect(root.member('i')?.member('x')).toBeUndefined();
    expect(root.member('i')?.elements()).toEqual([]);
    expect(root.member('i')?.string).toBeUndefined();
  });
});

test('a text that is no JSON object has no tree', () => {
  expect([treeOf('[1]'), treeOf('{"a":'), treeOf('x'), treeOf('')]).toEqual([undefined, undefined, undefined, undefined]);
  expect(treeOf('{}')?.root.kind).toBe('object');
});
