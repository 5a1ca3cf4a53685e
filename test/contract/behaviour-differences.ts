/** Steps in which Corral does something else than agentgateway's program, and why. docs/differences.md says the same to people. */
export interface Difference {
  readonly reason: string;
  /** Numbers of steps, from 0; `start`: whether the configuration is accepted at all. */
  readonly steps: readonly (number | 'start')[];
}

function because(reason: string, ...steps: readonly (number | 'start')[]): Difference {
  return { reason, steps };
}

const modelIsDefault = 'on boxes the model of the configuration is a default, which the request overrides';
const pathDecides = 'the path decides the protocol: embeddings, responses, messages, lists work without ai.routes';
const pathsAreListed = 'unknown paths are not handed to boxes';
const pathIsTheProtocols = "a box gets the protocol's own path, however the client spelled it";
const bytesStay = 'bodies pass as they came: nulls, numbers and shapes are judged by the upstream, which knows its models';
const credentialsStay = "clients' credentials never reach a box";
const failsOver = 'failover happens within the request';
const isTotal = 'retry.attempts counts all tries, as documented; the program makes one more';
const isLocal = 'routes without a lock serve programs and pages of this machine only';
const answersPass = "an upstream's answer is the client's, whatever is in it";
const optionsArrive = 'num_ctx and other options of Ollama reach a box, by way of its own paths; on /v1 it drops them';
const usageIsAsked = 'usage is always asked for, and taken out again unless the client wants it';

export const differences: Readonly<Record<string, readonly Difference[]>> = {
  'ai-alias-with-provider-model': [because(modelIsDefault, 0)],
  'ai-anthropic-provider': [
    because("translated calls go to the upstream's own path", 0),
    because('Messages reach an Anthropic upstream as they came', 1),
  ],
  'ai-custom-provider': [because(pathDecides, 2)],
  'ai-defaults-overrides': [because(bytesStay, 2), because(pathDecides, 3), because(optionsArrive, 0, 1)],
  'ai-model-aliases': [because(pathDecides, 4)],
  'ai-pathoverride': [because(pathDecides, 1)],
  'ai-pathprefix-override': [because(pathDecides, 1, 2)],
  'ai-prefix-no-rewrite': [because(pathIsTheProtocols, 0), because(pathDecides, 1, 2), because(pathsAreListed, 3)],
  'ai-prompts': [because(pathDecides, 2)],
  'ai-routes-detect': [because(modelIsDefault, 0), because(pathDecides, 2), because(pathsAreListed, 3), because(bytesStay, 5)],
  'ai-routes-explicit': [because(pathDecides, 2, 3), because(pathsAreListed, 4, 5)],
  'apikey-default-mode': [because('the mode is strict unless it says otherwise', 0)],
  'apikey-optional': [because(credentialsStay, 3, 5, 7)],
  'apikey-strict': [because('keys are read from x-api-key as well', 5)],
  'bad-bodies': [because(bytesStay, 6, 7, 8, 10, 12, 13, 14, 17), because(modelIsDefault, 9, 11, 16)],
  'basicauth-optional': [because(credentialsStay, 5)],
  'body-fidelity': [because(bytesStay, 0, 1, 2, 3, 6, 7, 8, 9, 10, 14)],
  'cfgerr-port-in-use': [because('ports are opened later than this test goes', 'start')],
  cors: [because(isLocal, 1, 5)],
  'failover-429': [because(failsOver, 0, 1, 2)],
  'failover-health': [
    because(failsOver, 1),
    because('an eviction is over after its duration; this test does not wait as the observer did', 5),
  ],
  'failover-health-retry': [because(failsOver, 0)],
  'failover-no-health': [because(failsOver, 1, 2, 3, 4)],
  'failover-refused-retry': [because(failsOver, 0, 1, 2)],
  'host-backend': [because('a connection that closes before an answer is a bad gateway, 502', 5)],
  'llm-simple': [
    because("model names compare as Ollama's do", 7),
    because('a request without a model gets the first one that the configuration names', 9),
    because(pathDecides, 13),
    because(pathsAreListed, 14, 15, 20, 24),
    because('boxes speak Messages themselves', 17),
    because('the model is renamed on every path', 19),
    because('a wrong method gets 405', 23),
    because(failsOver, 25, 26),
  ],
  'jwt-optional': [because('a token that is not valid yet is refused', 7), because(credentialsStay, 13)],
  'jwt-permissive': [because(credentialsStay, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14)],
  'model-none-anywhere': [because('an empty model is none', 2)],
  'no-route-match': [because('host names are compared without regard to case (RFC 9110 §4.2.3)', 4)],
  observability: [because(modelIsDefault, 2, 7), because(pathDecides, 5, 6)],
  'paths-get-ai-backend': [
    because(pathDecides, 0, 1, 2, 3, 4, 8),
    because(pathsAreListed, 5, 9),
    because('a wrong method gets 405', 6, 7),
  ],
  'paths-post-ai-backend': [
    because(pathsAreListed, 0, 2, 9, 10, 11, 12, 13, 14, 24),
    because('a wrong method gets 405', 1, 3),
    because(pathDecides, 7, 22),
    because(pathIsTheProtocols, 15, 16, 17, 18, 23),
  ],
  'paths-post-ai-backend-typed': [because(pathDecides, 0, 3, 4), because(modelIsDefault, 2)],
  'ratelimit-tokens': [
    because('the bucket fills with time; this test does not wait as the observer did', 4),
    because(pathDecides, 6),
  ],
  'request-headers-forwarding': [because(isLocal, 0)],
  'request-mirror': [because('copies carry the body', 0)],
  'retry-503': [because(isTotal, 2, 4)],
  'retry-attempts-1': [because(isTotal, 0)],
  'retry-attempts-2': [because(isTotal, 0)],
  'seed1-basic': [because(modelIsDefault, 1), because(optionsArrive, 3)],
  'seed2-two-routes': [because(modelIsDefault, 1), because(pathsAreListed, 3)],
  'seed4-embeddings': [because(pathDecides, 0, 1, 2, 3)],
  'seed4-embeddings-with-ai-routes': [
    because(modelIsDefault, 2),
    because(bytesStay, 3),
    because('token numbers are refused: Ollama would answer 400 without saying what to send instead', 4),
    because(answersPass, 9, 11),
    because(pathIsTheProtocols, 12),
  ],
  stream: [because(modelIsDefault, 1), because(usageIsAsked, 4), because(bytesStay, 5)],
  'stream-upstream-oddities': [because(answersPass, 6, 7)],
  'upstream-errors-embeddings': [because(pathDecides, 0, 1, 2, 3)],
  'virtual-failover-health': [because(failsOver, 0)],
  'urlrewrite-path-ai': [because(pathDecides, 1, 2)],
};
