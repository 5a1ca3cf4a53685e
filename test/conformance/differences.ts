/**
 * Recordings of a real Ollama that Corral answers differently on purpose. The same rows stand in docs/differences.md; a test holds
 * the two together, and one that a row here still differs.
 */
export interface Difference {
  /** As in docs/differences.md. */
  readonly reason: string;
  readonly status: number;
  /** In the body that the client gets. */
  readonly says: RegExp;
  /** The runtimes on which it differs; all, unless given. */
  readonly only?: readonly string[];
}

interface Group {
  readonly reason: string;
  readonly status: number;
  readonly says: RegExp;
  readonly recordings: readonly string[];
  readonly only?: readonly string[];
}

const groups: readonly Group[] = [
  {
    reason: 'A stream without its terminator ends in an error event of its protocol instead of ending as if it were whole',
    status: 200,
    says: /"error":\{|event: response\.failed/,
    recordings: [
      'crash-anthropic-stream',
      'crash-responses-stream',
      'crash-v1-chat-stream',
      'crash-v1-completions-stream',
      'jinja-crash-v1',
      'server-sigkill-v1-stream',
      'server-sigterm-v1-stream',
    ],
  },
  {
    reason: 'The words of "model not found" name the models that are there, the nearest one, and the command that pulls it',
    status: 404,
    says: /not found[\s\S]*ollama pull/,
    recordings: [
      'anthropic-unknown-model',
      'chat-model-tagless-miss',
      'chat-unknown-model',
      'embed-unknown-model',
      'embeddings-unknown-model',
      'embeddings-uppercase',
      'generate-unknown-model',
      'keepalive-2',
      'show-missing',
      'v1-chat-unknown-model',
      'v1-chat-unknown-model-stream',
      'v1-completions-unknown-model',
      'v1-embeddings-unknown-model',
      'v1-model-missing',
      'v1-responses-unknown-model',
    ],
  },
  {
    reason: 'A full queue is told with the name of the box and what to do',
    status: 503,
    says: /desk is busy: server busy, please try again/,
    recordings: [
      'queue-full-anthropic',
      'queue-full-embed',
      'queue-full-native-chat',
      'queue-full-native-generate',
      'queue-full-responses-stream',
      'queue-full-v1-chat',
      'queue-full-v1-chat-stream',
      'queue-full-v1-embeddings',
    ],
  },
  {
    reason: 'Corral reads bodies itself, so it says in its own words what is wrong with one',
    status: 400,
    says: /body|must be a string/,
    recordings: [
      'anthropic-empty-body',
      'anthropic-malformed',
      'chat-empty-body',
      'chat-malformed',
      'form-content-type',
      'generate-empty-body',
      'generate-malformed',
      'generate-wrong-type',
      'v1-chat-array-body',
      'v1-chat-empty-body',
      'v1-chat-malformed',
      'v1-chat-null-body',
    ],
  },
  {
    reason: 'A request without a model gets 400 on every path, and the setting that would give it one',
    status: 400,
    says: /names no model and the configuration has no default/,
    recordings: [
      'anthropic-no-model',
      'chat-missing-model',
      'generate-missing-model',
      'show-empty-model',
      'v1-chat-missing-model',
    ],
  },
  {
    reason: 'A call that only unloads a model takes the admin scope: others may be using it',
    status: 403,
    says: /scopes: \[admin\]/,
    recordings: ['chat-unload', 'generate-unload', 'v1-chat-cold'],
  },
  {
    reason:
      'num_ctx and other options reach the box from /v1, too, by way of /api/chat (where the replayed box has not got the model)',
    status: 404,
    says: /not found/,
    recordings: ['v1-chat-keepalive-ignored'],
  },
  {
    reason: 'Token numbers are refused with the client setting that sends text instead',
    status: 400,
    says: /check_embedding_ctx_length=False/,
    recordings: ['embed-bad-input', 'v1-embeddings-tokens'],
  },
  {
    reason: 'A previous_response_id is refused: Ollama would drop the conversation without a word',
    status: 400,
    says: /previous_response_id/,
    recordings: ['v1-responses-items'],
  },
  {
    reason: 'Tokens are estimated, and marked so, where Ollama cannot count them',
    status: 200,
    says: /^\{"input_tokens":\d+\}$/,
    recordings: ['anthropic-count-tokens'],
  },
  {
    reason: "Models of Ollama's cloud stay in the house, and are refused in the shape of the protocol",
    status: 403,
    says: /runs on Ollama's cloud/,
    recordings: ['generate-cloud-model', 'nocloud-anthropic', 'nocloud-native', 'nocloud-v1', 'v1-chat-cloud-model'],
  },
  {
    reason: "Models of Ollama's cloud are not listed while they are refused",
    status: 200,
    says: /^(?![\s\S]*rec-remote)/,
    recordings: ['tags-with-remote'],
  },
  {
    reason: "Anthropic's clients (header anthropic-version) get Anthropic's list",
    status: 200,
    says: /"has_more":false/,
    recordings: ['anthropic-models'],
  },
  {
    reason: 'A list without models is [] and not null',
    status: 200,
    says: /"data":\[\]/,
    recordings: ['empty-v1-models'],
  },
  {
    reason: 'Names with a slash can be retrieved',
    status: 200,
    says: /"id":"library\/gemma3:270m"/,
    recordings: ['v1-model-slash', 'v1-model-slash-encoded'],
  },
  {
    reason: 'Paths that a box has not, or that Corral does not know, are refused with the switch that opens them',
    status: 404,
    says: /is not a path that Corral hands to an Ollama box.*fleet\.openPaths/,
    recordings: [
      'http-404',
      'http-404-api',
      'http-404-v1',
      'options-no-origin-unknown-path',
      'v1-images',
      'v1-images-edits',
      'v1-moderations',
      'v1-responses-get',
    ],
  },
  {
    reason: 'A wrong method is told in the shape of the protocol',
    status: 405,
    says: /takes (POST|GET, HEAD), not (GET|POST|PUT|OPTIONS)/,
    recordings: ['http-405-get-chat', 'http-405-get-v1-chat', 'http-405-post-tags', 'http-405-put', 'options-no-origin'],
  },
  {
    reason: 'Other spellings of a path are answered instead of redirected or not found',
    status: 200,
    says: /"models":\[/,
    recordings: ['http-case', 'http-double-slash', 'http-trailing-slash'],
  },
  {
    reason: 'A POST to a path with a slash at its end is answered, not redirected (this one names no model)',
    status: 400,
    says: /names no model/,
    recordings: ['http-trailing-slash-post'],
  },
  {
    reason: "/api/status tells of the box's account and needs the admin scope",
    status: 403,
    says: /admin/,
    recordings: ['nocloud-status', 'status'],
  },
  {
    reason: 'A page of a foreign origin is refused as by Ollama, with the reason and the mend in the body',
    status: 403,
    says: /web page of|asked for the host/,
    recordings: [
      'cors-chrome-ext',
      'cors-ipv6-loopback',
      'cors-null-origin',
      'cors-post-evil',
      'cors-preflight-evil',
      'cors-same-host-origin-foreign',
      'cors-simple-evil',
      'origins-env-unlisted',
    ],
  },
  {
    reason: 'A foreign Host is refused as by Ollama, with the reason and the mend in the body',
    status: 403,
    says: /asked for the host|handed on by a proxy/,
    recordings: [
      'host-forbidden-404',
      'host-forbidden-post',
      'host-forbidden-xfh',
      'host-linklocal-ip',
      'host-ngrok',
      'host-public',
      'host-public-ip',
      'host-single-label',
      'host-tailscale',
      'host-tailscale-ip',
      'host-trailing-dot',
      'host-trycloudflare',
      'origins-star-foreign-host',
    ],
  },
  {
    reason:
      'Forwarding headers mean that a proxy or tunnel speaks for somebody else: refused without a lock, where Ollama does not look',
    status: 403,
    says: /handed on by a proxy or tunnel/,
    recordings: ['host-ok-xfh'],
  },
  {
    reason: '[::1] without a port is this machine, too',
    status: 200,
    says: /"version"/,
    recordings: ['host-ipv6-loopback-noport'],
  },
  {
    reason: 'An empty Host header is refused on Bun and workerd: no URL can be made of it',
    status: 400,
    says: /Host header makes no URL|Bad Request/,
    recordings: ['host-empty'],
    only: ['bun', 'workerd'],
  },
];

/** By the recording's name. */
export const differences: Readonly<Record<string, Difference>> = Object.fromEntries(
  groups.flatMap(({ recordings, ...difference }) => recordings.map((name) => [name, difference])),
);
