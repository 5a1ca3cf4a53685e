/** The gateways that the herd is reached through, and how each is told of the boxes, as its documentation has it. */
import { randomUUID } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { has } from '../processes.ts';
import { contestants } from '../servers.ts';
import { models } from './traces.ts';

export interface HerdSite {
  readonly port: number;
  /** Of the boxes, without a path. */
  readonly urls: readonly string[];
  readonly folder: string;
  readonly factor: number;
}

export interface HerdGateway {
  readonly name: string;
  /** The reason why it cannot run here, or undefined. */
  prepare(): Promise<string | undefined>;
  launch(site: HerdSite): { readonly command: readonly string[]; readonly env: Record<string, string>; readonly cwd: string };
  headersFor?(urls: readonly string[]): Readonly<Record<string, string>>;
  readonly startsWithinMs: number;
}

const root = dirname(dirname(import.meta.dirname));
const bun = `${root}/node_modules/.bin/bun`;

const corral: HerdGateway = {
  name: 'corral',
  prepare: async () => (existsSync(bun) ? undefined : `${bun} is missing (npm install)`),
  launch: ({ port, urls, factor }) => ({
    command: [
      bun,
      '--preload',
      `${import.meta.dirname}/faster.ts`,
      'src/index.ts',
      '--port',
      String(port),
      '--host',
      '127.0.0.1',
    ],
    env: {
      HERD_FACTOR: String(factor),
      CORRAL_CONFIG: ['fleet:', '  placement: {explain: always}', '  boxes:', ...urls.map((url) => `  - url: ${url}`)].join('\n'),
    },
    cwd: root,
  }),
  startsWithinMs: 10_000,
};

function nginx(name: string, method: string): HerdGateway {
  return {
    name,
    prepare: async () => (has('nginx') ? undefined : 'nginx is not installed (apt-get install nginx-light)'),
    launch: ({ port, urls, folder }) => {
      const file = `${folder}/nginx.conf`;
      const servers = urls.map((url) => `server ${new URL(url).host};`).join(' ');
      // As root nginx would hand its worker to another user, who may not write here.
      const user = process.getuid?.() === 0 ? 'user root;' : '';
      writeFileSync(
        file,
        `${user} worker_processes 1; daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log warn;
events { worker_connections 8192; }
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  client_max_body_size 64m;
  upstream boxes { ${method} ${servers} keepalive 64; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://boxes; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_read_timeout 3600s;
    }
  }
}
`,
      );
      return { command: ['nginx', '-p', folder, '-c', file], env: {}, cwd: folder };
    },
    startsWithinMs: 5_000,
  };
}

const portkeyBench = contestants.find(({ name }) => name === 'portkey');

const portkey: HerdGateway = {
  name: 'portkey',
  prepare: async () => (portkeyBench === undefined ? 'bench/servers.ts knows no portkey' : await portkeyBench.prepare()),
  launch: ({ port, folder }) => {
    const launch = portkeyBench?.launch({ port, mockPort: 0, folder, profileFolder: undefined });
    if (launch === undefined) throw new Error('portkey cannot be started');
    return { ...launch, env: { ...launch.env } };
  },
  headersFor: (urls) => ({
    'x-portkey-config': JSON.stringify({
      strategy: { mode: 'loadbalance' },
      retry: { attempts: 2 },
      targets: urls.map((url) => ({ provider: 'ollama', custom_host: url, api_key: 'none', weight: 1 })),
    }),
  }),
  startsWithinMs: 15_000,
};

/** It does not start without one. */
const liteLlmKey = `sk-${randomUUID()}`;
const liteLlmProgram = process.env.LITELLM ?? 'litellm';

const liteLlm: HerdGateway = {
  name: 'litellm',
  prepare: async () =>
    existsSync(liteLlmProgram) || has(liteLlmProgram)
      ? undefined
      : "litellm is not installed (pip install 'litellm[proxy]' into a virtual environment, and LITELLM=its bin/litellm)",
  launch: ({ port, urls, folder }) => {
    const file = `${folder}/litellm.yaml`;
    const list = models.flatMap(({ name }) =>
      urls.map(
        (url) => `- model_name: "${name}"\n  litellm_params: {model: "openai/${name}", api_base: "${url}/v1", api_key: none}`,
      ),
    );
    const more = 'router_settings: {routing_strategy: least-busy, num_retries: 2}\nlitellm_settings: {telemetry: false}';
    const key = `general_settings: {master_key: ${liteLlmKey}}`;
    writeFileSync(file, `model_list:\n${list.join('\n')}\n${more}\n${key}\n`);
    const env = { LITELLM_LOCAL_MODEL_COST_MAP: 'True', LITELLM_LOG: 'ERROR' };
    return { command: [liteLlmProgram, '--config', file, '--host', '127.0.0.1', '--port', String(port)], env, cwd: folder };
  },
  headersFor: () => ({ authorization: `Bearer ${liteLlmKey}` }),
  startsWithinMs: 90_000,
};

export const gateways: readonly HerdGateway[] = [
  corral,
  nginx('nginx', ''),
  nginx('nginx-least', 'least_conn;'),
  portkey,
  liteLlm,
];
