import { describe, expect, it } from 'vitest';
import { celField } from '../../../src/cel/cel-field.ts';
import { compileCel } from '../../../src/cel/compile-cel.ts';
import { CelFailure, CelMissing } from '../../../src/cel/expression.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';
import { sceneOf } from './scene.ts';

function mistakeIn(source: string): string {
  const parsed = celField('x').safeParse(source);
  return parsed.success ? 'none' : parsed.error.issues.map(({ message }) => message).join(' / ');
}

describe('mistakes in expressions', () => {
  it.each([
    ['1 +', 'column 4: Unexpected token: EOF'],
    ['request.path ==\n  && true', 'line 2, column 3: Unexpected token: AND'],
    ['reqest.path', 'column 1: there is no variable "reqest"; did you mean "request"?'],
    ['request.path == foo', 'column 17: there is no variable "foo"'],
    ['jsn("x")', 'column 1: there is no function "jsn"; did you mean "json"?'],
    ['true && "x".matchez("y")', 'column 9: there is no function "matchez"; did you mean "matches"?'],
    ['"x".matches("a)(")', 'column 13: the pattern is not valid: error parsing regexp: unexpected ): `a)(`'],
    ['size(true)', "column 1: found no matching overload for 'size(bool)'"],
    ['1 == "a"', 'column 1: no such overload: int == string'],
    [`"${'a'.repeat(16_383)}"`, 'column 16385: an expression may have 16384 characters at most'],
    [`${'('.repeat(200)}1${')'.repeat(200)}`, 'column 65: Exceeded maxDepth (64)'],
  ])('%s', (source, message) => {
    expect(mistakeIn(source)).toBe(message);
  });

  it('are told for what is no text', () => {
    const parsed = celField('x').safeParse(true);
    expect(parsed.error?.issues[0]?.message).toBe('expected a CEL expression as text; put numbers and true or false in quotes');
  });

  it('one character below the limits there are none', () => {
    expect(mistakeIn(`"${'a'.repeat(16_382)}"`)).toBe('none');
    expect(mistakeIn(`${'('.repeat(50)}1${')'.repeat(50)}`)).toBe('none');
  });
});

describe('what an expression reads', () => {
  it.each([
    ['request.path', []],
    ['request.headers["x"]', []],
    ['json(request.body).model', ['requestBody']],
    ['request["body"] == b""', ['requestBody']],
    ['toJson(request)', ['requestBody']],
    ['llmRequest.model', ['requestBody']],
    ['response.code == 200', ['response']],
    ['size(response.body)', ['responseBody', 'response']],
    ['llm.requestModel', ['llm']],
    ['llm.prompt[0].content', ['llm', 'prompt']],
    ['llm.completion[0]', ['llm', 'completion']],
    ['["x"].exists(v, v == default(llm.toolCalls[0].name, ""))', ['llm', 'completion']],
    ['variables()', ['requestBody', 'responseBody', 'response', 'llm', 'prompt', 'completion']],
    ['"request.body" == "llm"', []],
  ])('%s', (source, needs) => {
    const found = Object.entries(compileCel(source).needs).filter(([, isNeeded]) => isNeeded);
    expect(found.map(([name]) => name)).toEqual(needs);
  });

  it('is listed with the first member', () => {
    const { reads } = compileCel('jwt.sub == request.headers["a.b"] && has(source.address) && llmRequest.x.y == backend');
    expect([...reads].sort()).toEqual(['backend', 'jwt.sub', 'llmRequest.x', 'request.headers', 'source.address']);
  });
});

describe('evaluating', () => {
  it('gives the value, the text and the truth', async () => {
    const exchange = await sceneOf();
    const expression = compileCel('request.method == "POST"');
    expect(expression.source).toBe('request.method == "POST"');
    expect([expression.evaluate(exchange), expression.holds(exchange), expression.textOf(exchange)]).toEqual([
      true,
      true,
      'true',
    ]);
  });

  it('takes only true for true', async () => {
    const exchange = await sceneOf();
    expect(['"true"', '1', '[true]', 'jwt.none', 'jwt.none || true'].map((source) => compileCel(source).holds(exchange))).toEqual(
      [false, false, false, false, true],
    );
  });

  it('prints what is no text', async () => {
    const exchange = await sceneOf();
    const texts = ['1', '1.5', 'false', '[1, "a"]', '{"a": {"b": null}}', 'b"hi"', 'null', 'jwt.none', 'jwt.rawToken'];
    expect(texts.map((source) => compileCel(source).textOf(exchange))).toEqual([
      '1',
      '1.5',
      'false',
      '[1,"a"]',
      '{"a":{"b":null}}',
      'aGk=',
      undefined,
      undefined,
      '<redacted>',
    ]);
  });

  it.each([
    ['jwt.none', CelMissing, 'column 5: "none" is not there'],
    ['extauthz.x', CelMissing, 'column 1: "extauthz" is not there'],
    ['request.headers["no-such"]', CelMissing, 'column 1: "no-such" is not there'],
    ['request.headers[jwt.sub]', CelMissing, 'column 1: a member of this name is not there'],
    ['apiKey.user + 1', CelFailure, 'column 1: no such overload'],
    ['1 / (apiKey.level - 3)', CelFailure, 'column 1: division by zero'],
    ['json(apiKey.user)', CelFailure, 'this is no valid JSON'],
    ['int(apiKey.user)', CelFailure, 'column 1: int conversion error'],
    ['mcp.tool', CelMissing, 'column 1: "mcp" is not there'],
  ])('%s fails in words, without values', async (source, Failure, message) => {
    const exchange = await sceneOf();
    const evaluate = () => compileCel(source).evaluate(exchange);
    expect(evaluate).toThrow(Failure);
    expect(evaluate).toThrow(expect.objectContaining({ message }) as Error);
  });

  it('reads no body that nobody has read', () => {
    expect(() => compileCel('request.body').evaluate(fakeExchange({ body: 'x' }))).toThrow(CelMissing);
  });

  it('does not let what it reads be changed through it, nor see another request', async () => {
    const [first, second] = [await sceneOf(), await sceneOf({ method: 'GET' })];
    const expression = compileCel('[request.method].map(m, m + json(request.body).model)');
    expect([expression.evaluate(first), expression.evaluate(second)]).toEqual([['POSTllama3.2'], ['GETllama3.2']]);
  });

  it('mixes kinds of values where agentgateway does', async () => {
    const exchange = await sceneOf();
    const mixed = ['true ? "a" : 1', 'false ? "a" : (true ? 2 : [3])', '[1, "a", 2.5]', '[1].map(x, x > 1 ? "big" : x)'];
    expect(mixed.map((source) => compileCel(source).textOf(exchange))).toEqual(['a', '2', '[1,"a",2.5]', '[1]']);
  });
});
