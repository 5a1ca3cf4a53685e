import { describe, expect, it } from 'vitest';
import { compileCel } from '../../../src/cel/compile-cel.ts';
import { CelFailure } from '../../../src/cel/expression.ts';
import type { Flattened } from '../../../src/cel/flattened.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';
import { sceneOf } from './scene.ts';

/** Expected values from agentgateway's own tests and documentation (celx/src, schema/cel-functions.md) where it has them. */
const table: readonly (readonly [source: string, text: string])[] = [
  ['toJson({"hello": "world", "n": 1})', '{"hello":"world","n":1}'],
  ['json("{\\"a\\": [1, 2.5]}").a[1]', '2.5'],
  ['jsonField("{\\"a\\": 1}", "a")', '1'],
  ['b"{\\"a\\": 7}".json().a + 1', '8'],
  ['unvalidatedJwtPayload("e30.eyJzdWIiOiJ4In0.sig").sub', 'x'],
  ['{"a": 1}.with(m, m.a + m.a)', '2'],
  ['{"a": 1, "b": 2}.mapValues(v, v * 10)', '{"a":10,"b":20}'],
  ['{"a": 1, "b": 2}.filterKeys(k, k == "a")', '{"a":1}'],
  ['{"a": 2, "k": "v"}.merge({"a": 3})', '{"a":3,"k":"v"}'],
  ['base64.encode("hello")', 'aGVsbG8='],
  ['string(base64.decode("aGVsbG8"))', 'hello'],
  ['base64Encode(b"\\xff")', '/w=='],
  ['url.encode("hello world/?x=1")', 'hello%20world%2F%3Fx%3D1'],
  ['url.encode("a-_.~!\'()*")', 'a-_.~%21%27%28%29%2A'],
  ['url.decode("hello%20world+%zz")', 'hello world+%zz'],
  ['form.decode("a=1&a=2&b=x+y")', '{"a":["1","2"],"b":"x y"}'],
  ['form.encode({"scope": "openid profile", "b": ["1", "2"], "n": null})', 'b=1&b=2&scope=openid+profile'],
  ['sha1.encode("hello")', 'aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d'],
  ['sha256.encode(b"hello")', '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'],
  ['md5.encode("hello")', '5d41402abc4b2a76b9719d911017c592'],
  ['"/id/1234/data".regexReplace("/id/[0-9]*/", "/id/{id}/")', '/id/{id}/data'],
  [`"aXbX".regexReplace("(?P<last>X)", "<\${last}$1$$$none>")`, 'a<XX$>bX'],
  ['"abc".matches("B") || "abc".matches("(?i)B.*") && matches("abc", "^a")', 'true'],
  ['"abc".charAt(1)', 'b'],
  ['"tacocat".substring(0, 4)', 'taco'],
  ['"hello mellow".indexOf("ello")', '1'],
  ['"hello mellow".lastIndexOf("ello")', '7'],
  ['["hello", "mellow"].join(" ")', 'hello mellow'],
  ['"TacoCÆt Xii".lowerAscii()', 'tacocÆt xii'],
  ['"TacoCÆt ﬁ".upperAscii()', 'TACOCÆT ﬁ'],
  [
    '"hello".stripPrefix("he") + "hello".stripPrefix("x") + "hello".stripSuffix("lo") + "hello".stripSuffix("")',
    'llohellohelhello',
  ],
  ['"hello hello".replace("he", "we")', 'wello wello'],
  ['"hello hello".replace("he", "we", 1)', 'wello hello'],
  ['"hello hello".replace("he", "we", 0)', 'hello hello'],
  ['"ab".replace("", "_")', '_a_b_'],
  ['"hello hello hello".split(" ")', '["hello","hello","hello"]'],
  ['"hello hello hello".split(" ", 0)', '[]'],
  ['"hello hello hello".split(" ", 1)', '["hello hello hello"]'],
  ['"hello hello hello".split(" ", 2)', '["hello","hello hello"]'],
  ['"hello hello hello".split(" ", 9)', '["hello","hello","hello"]'],
  ['"hello hello hello".split(" ", -1)', '["hello","hello","hello"]'],
  ['"abc".split("")', '["a","b","c"]'],
  ['"a$b".replace("$", "$&")', 'a$&b'],
  ['math.greatest(1, 2.5, 2) + math.least([3, 1])', '3.5'],
  ['math.ceil(1.2) + math.floor(1.8) + math.trunc(-1.5)', '2'],
  ['[math.round(2.5), math.round(-2.5), math.sqrt(9), math.abs(-1.5)]', '[3,-3,3,1.5]'],
  [
    '[math.abs(-2), math.sign(-9), math.bitAnd(12, 10), math.bitOr(12, 10), math.bitXor(12, 10), math.bitNot(0)]',
    '[2,-1,8,14,6,-1]',
  ],
  ['[math.bitShiftLeft(1, 4), math.bitShiftLeft(1, 64), math.bitShiftRight(-1, 60)]', '[16,0,15]'],
  ['math.isNaN(0.0 / 0.0) && math.isInf(1.0 / 0.0) && math.isFinite(1.0)', 'true'],
  ['min(json("{\\"max_tokens\\": 4096}").max_tokens, 1024)', '1024'],
  ['max(1, 2.5)', '2.5'],
  ['isIP("10.0.0.1") && isIP("::1") && !isIP("10.1") && !isIP("x")', 'true'],
  ['ip("10.0.0.1").family() + ip("::1").family()', '10'],
  ['ip("127.0.0.9").isLoopback() && ip("::").isUnspecified() && ip("169.254.1.1").isLinkLocalUnicast()', 'true'],
  ['ip("224.0.0.1").isLinkLocalMulticast() && !ip("127.0.0.1").isGlobalUnicast() && ip("10.0.0.1").isGlobalUnicast()', 'true'],
  ['cidr("10.0.0.0/8").containsIP("10.255.0.1") && !cidr("10.0.0.0/8").containsIP(ip("11.0.0.1"))', 'true'],
  ['cidr("10.0.0.0/8").containsIP("::ffff:10.1.2.3") && !cidr("::/0").containsIP("10.0.0.1")', 'true'],
  ['cidr("10.0.0.0/8").containsCIDR(cidr("10.1.0.0/16")) && !cidr("10.1.0.0/16").containsCIDR(cidr("10.0.0.0/8"))', 'true'],
  ['string(cidr("10.1.2.3/8").masked()) + " " + string(cidr("10.1.2.3/8").ip())', '10.0.0.0/8 10.1.2.3'],
  ['cidr("2001:db8::/33").prefixLength()', '33'],
  ['"http://h/p?a=1&a=2".query("a")', '["1","2"]'],
  ['"/p?a=1".addQuery("b", "x y") + " " + "/p".addQuery("b", "1")', '/p?a=1&b=x+y /p?b=1'],
  ['"/p?a=1&a=2&b=3".setQuery("a", "9")', '/p?b=3&a=9'],
  ['[1, 2].contains(2.0) && {"a": 1}.contains("a")', 'true'],
  ['timestamp("2024-01-15T14:30:00Z") + duration("1h") == timestamp("2024-01-15T15:30:00Z")', 'true'],
];

describe('functions', () => {
  it.each(table)('%s', (source, text) => {
    expect(compileCel(source).textOf(fakeExchange())).toBe(text);
  });

  it('make random things', () => {
    const exchange = fakeExchange();
    const uuid = compileCel('uuid()');
    expect(uuid.textOf(exchange)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(uuid.textOf(exchange)).not.toBe(uuid.textOf(exchange));
    expect(compileCel('random() >= 0.0 && random() <= 1.0').holds(exchange)).toBe(true);
  });

  it('show all variables at once', async () => {
    const exchange = await sceneOf();
    expect(compileCel('variables().request.method + variables().apiKey.user').textOf(exchange)).toBe('POSTbob');
    expect(compileCel('"response" in variables()').textOf(exchange)).toBe('false');
  });

  it.each([
    'fail("no")',
    '"x".charAt(1)',
    'base64.decode("***")',
    'url.decode("%ff")',
    'unvalidatedJwtPayload("a.b")',
    'ip("10.0.0")',
    'cidr("10.0.0.0/33")',
    'cidr("10.0.0.0")',
    'math.abs(-9223372036854775807 - 1)',
    'math.bitShiftLeft(1, -1)',
    'max([])',
    'min("a", 1)',
    '"/p?a=1".query("b")',
    'request.headers.cookie("none")',
    '{"a": 1}.filterKeys(k, k)',
    'form.encode([1])',
    'flatten("x")',
    'coalesce(jwt.a, jwt.b)',
  ])('%s fails', (source) => {
    expect(() => compileCel(source).evaluate(fakeExchange())).toThrow(CelFailure);
  });
});

describe('values for what is not there', () => {
  it.each([
    ['default(request.headers["none"], "guest")', 'guest'],
    ['default(jwt.sub, "guest")', 'guest'],
    ['default(json("{}").a.b, "x")', 'x'],
    ['default(null, "x")', 'x'],
    ['default("a", fail("not asked"))', 'a'],
    ['default(1 / 0, "x")', undefined],
    ['coalesce(1 / 0, null, jwt.sub, "x")', 'x'],
    ['coalesce(null, jwt.sub)', undefined],
    ['coalesce("first", fail("not asked"))', 'first'],
    ['["a", "b"].map(k, default({"a": "1"}[k], "none"))', '["1","none"]'],
  ])('%s', (source, text) => {
    expect(compileCel(source).textOf(fakeExchange())).toBe(text);
  });

  it('of coalesce is null when everything that could be evaluated is', () => {
    expect(compileCel('coalesce(null, jwt.sub)').evaluate(fakeExchange())).toBeNull();
  });
});

describe('flatten', () => {
  const value = (source: string) => compileCel(source).evaluate(fakeExchange()) as Flattened;

  it('stands for a field for each member', () => {
    expect(value('flatten({"a": 1, "b": {"c": [true]}, "n": null})').fieldsOf('x')).toEqual([
      ['x.a', '1'],
      ['x.b', '{"c":[true]}'],
    ]);
  });

  it('goes on in the members when it is recursive', () => {
    expect(value('flattenRecursive({"a": 1, "b": {"c": [true, "t"]}})').fieldsOf('x')).toEqual([
      ['x.a', '1'],
      ['x.b.c.0', 'true'],
      ['x.b.c.1', 't'],
    ]);
  });

  it('stops at 256 fields, and is the whole where there is one place only', () => {
    const many = compileCel('flatten(json(request.headers.x))').evaluate(
      fakeExchange({ headers: { x: JSON.stringify(Array(300).fill(1)) } }),
    ) as Flattened;
    expect(many.fieldsOf('x')).toHaveLength(256);
    expect(compileCel('flatten({"a": 1})').textOf(fakeExchange())).toBe('{"a":1}');
  });
});
