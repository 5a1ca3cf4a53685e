import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';

const errorsIn = (given: object) => errorsOf(JSON.stringify(given).slice(1, -1));

/** `yaml`: the members of the file, without binds. */
function errorsOf(yaml: string): string[] {
  const loaded = loadConfig(yaml.startsWith('"') ? `{${yaml}, "binds": []}` : `${yaml}\nbinds: []\n`, {
    name: 'x.yaml',
    env: () => undefined,
  });
  return loaded.ok ? [] : loaded.errors.map(({ path, message }) => `${path}: ${message}`);
}

describe('what cannot be meant is an error that names the place and the mend', () => {
  test.each([
    ['config: {histograms: native}', 'config.histograms: Corral writes classic histograms only; leave it out, or say classic'],
    [
      'config: {metrics: {fields: {add: {le: "1"}}}}',
      'config.metrics.fields.add.le: the metrics have a label "le" already; choose another name',
    ],
    [
      'config: {metrics: {fields: {add: {__x: "1"}}}}',
      'config.metrics.fields.add.__x: a label is made of letters, digits and "_", and begins with a letter',
    ],
    ['config: {metrics: {fields: {add: {a: "1 +"}}}}', /^config\.metrics\.fields\.add\.a: column 4: /],
    ['config: {logging: {database: {url: x}}}', /^config\.logging\.database: known to agentgateway, not supported: .*access log/],
    ['frontendPolicies: {accessLog: {otlp: {host: "a:1"}}}', /^frontendPolicies\.accessLog\.otlp: .*standard output/],
    ['frontendPolicies: {accessLog: {add: {"a b": "1"}}}', /a name has no blanks/],
    [
      'frontendPolicies: {accessLog: {}, logging: {}}',
      /^frontendPolicies\.logging: accessLog and logging are two names of one thing/,
    ],
    ['frontendPolicies: {tracing: {}}', /^frontendPolicies\.tracing: expected exactly one of: host, backend$/],
    [
      'frontendPolicies: {tracing: {host: "a:1", protocol: grpc}}',
      /^frontendPolicies\.tracing\.protocol: .*OTLP over HTTP, not gRPC/,
    ],
    ['frontendPolicies: {tracing: {host: "a:1", randomSampling: 1.5}}', /a part of the requests is a number from 0 to 1/],
    ['frontendPolicies: {tracing: {host: "a:1", randomSampling: "nope("}}', /^frontendPolicies\.tracing\.randomSampling: /],
    [
      'frontendPolicies: {tracing: {host: "a:1", path: traces}}',
      /^frontendPolicies\.tracing\.path: expected a path, from "\/" on$/,
    ],
    ['config: {tracing: {otlpEndpoint: "localhost:4317"}}', /^config\.tracing\.otlpEndpoint: expected a URL/],
  ])('%s', (yaml, error) => {
    expect(errorsOf(yaml)).toEqual([typeof error === 'string' ? error : expect.stringMatching(error)]);
  });

  test('there is an end of what may be asked for', () => {
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`f${index}`, '1']));
    const labels = (count: number) => errorsIn({ config: { metrics: { fields: { add: many(count) } } } });
    const fields = (count: number) => errorsIn({ frontendPolicies: { accessLog: { add: many(count) } } });
    expect([labels(16), fields(64)].map((errors) => errors.filter((error) => error.includes('at most')))).toEqual([[], []]);
    expect(labels(17).some((error) => error.includes('at most 16 labels'))).toBe(true);
    expect(fields(65).some((error) => error.includes('at most 64 fields'))).toBe(true);
  });
});

test('nothing is asked for by itself', () => {
  const loaded = loadConfig('binds: []', { name: 'x.yaml', env: () => undefined });
  expect(loaded.ok && loaded.config.config).toMatchObject({
    metrics: { remove: [], fields: { add: {} } },
    histograms: 'classic',
    standardAttributes: {},
    sensitiveHeaders: [],
    logging: { fields: { add: {}, remove: [] } },
  });
  expect(loaded.ok && loaded.config.frontendPolicies.tracing).toBeUndefined();
});
