// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is the YAML's own way to name a variable.
import { describe, expect, it } from 'vitest';
import { excerptOf, formatDiagnostic, nearestOf, stepsOf, yamlPathOf } from '../../../src/config/diagnostic.ts';

describe('formatDiagnostic', () => {
  it('points at the place', () => {
    expect(
      formatDiagnostic({
        file: 'gateway.yaml',
        line: 7,
        column: 5,
        path: 'binds[0].listeners[0].routs',
        message: 'unknown key; did you mean "routes"?',
        excerpt: '    routs:',
      }),
    ).toBe('gateway.yaml:7:5 binds[0].listeners[0].routs: unknown key; did you mean "routes"?\n  7 |     routs:\n          ^');
  });

  it('keeps tabs, and does without path and line', () => {
    expect(formatDiagnostic({ file: 'f', line: 2, column: 2, path: '', message: 'm', excerpt: '\tx' })).toBe(
      'f:2:2 m\n  2 | \tx\n      \t^',
    );
    expect(formatDiagnostic({ file: 'f', line: 1, column: 1, path: '', message: 'm' })).toBe('f:1:1 m');
  });
});

describe('excerptOf', () => {
  it.each([
    ['  - key: sk-12345', '  - key: …'],
    ['    apiKey: "sk-12345"', '    apiKey: …'],
    ['"password": hunter2,', '"password": …'],
    ['  key: $ALICE_KEY', '  key: $ALICE_KEY'],
    ['  key: {file: /run/key}', '  key: {file: /run/key}'],
    ['  keys:', '  keys:'],
    ['  key: |', '  key: |'],
    ['  port: 3000\r', '  port: 3000'],
    ['- {name: a, apiKey: sk-1, b: $C}', '- {name: a, apiKey: …'],
    ['- {key: $A, apiKey: sk-1}', '- {key: …'],
    ['apiKey: {keys: [{key: sk-1}]}', 'apiKey: …'],
    ['  key: "${A:-b}"  # comment', '  key: "${A:-b}"  # comment'],
    ['  adminToken: abc', '  adminToken: …'],
  ])('%j → %j', (line, shown) => {
    expect(excerptOf(line)).toBe(shown);
  });

  it('cuts long lines', () => {
    expect(excerptOf('x'.repeat(1_000))).toBe(`${'x'.repeat(160)}…`);
  });
});

describe('nearestOf', () => {
  const keys = ['allowOrigins', 'allowHeaders', 'routes', 'pathPrefix', 'port', 'name'];
  it.each([
    ['routs', 'routes'],
    ['ruotes', 'routes'],
    ['allow_origins', 'allowOrigins'],
    ['alloworigin', 'allowOrigins'],
    ['PORT', 'port'],
    ['prt', 'port'],
    ['nmae', 'name'],
    ['prefix', 'pathPrefix'],
    ['xyzzy', undefined],
    ['x', undefined],
    ['', undefined],
    ['r'.repeat(10_000), undefined],
  ])('%s → %s', (word, nearest) => {
    expect(nearestOf(word, keys)).toBe(nearest);
  });
});

describe('paths', () => {
  it.each([
    [['binds', 0, 'listeners', 12, 'routes'], 'binds[0].listeners[12].routes'],
    [['policies', 'ai', 'routes', '/v1/x'], 'policies.ai.routes["/v1/x"]'],
    [['gateways', 'a.b', 'port'], 'gateways["a.b"].port'],
    [['gateways', 'a"]\\b', 'port'], 'gateways["a\\"]\\\\b"].port'],
    [['my-gateway'], 'my-gateway'],
    [[], ''],
  ])('%j', (steps, text) => {
    expect(yamlPathOf(steps)).toBe(text);
    expect(stepsOf(text)).toEqual(steps);
  });
});
