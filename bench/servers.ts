/** The contestants: how each is prepared, started and spoken to. */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { bares } from './bare.ts';
import type { Contestant, Site } from './contestant.ts';
import { corrals } from './corral.ts';
import { has } from './processes.ts';

const benchFolder = import.meta.dirname;

export const direct: Contestant = {
  name: 'direct',
  byDefault: true,
  headersFor: () => ({}),
  prepare: async () => undefined,
  launch: () => undefined,
};

const nginxConfig = (site: Site, user: string) => `
${user}
worker_processes 1;
daemon off;
pid ${site.folder}/nginx.pid;
error_log ${site.folder}/error.log warn;
events { worker_connections 8192; }
http {
  access_log ${site.folder}/access.log;
  client_body_temp_path ${site.folder}/body;
  proxy_temp_path ${site.folder}/proxy;
  fastcgi_temp_path ${site.folder}/fastcgi;
  uwsgi_temp_path ${site.folder}/uwsgi;
  scgi_temp_path ${site.folder}/scgi;
  keepalive_requests 1000000000;
  client_max_body_size 64m;
  upstream box { server 127.0.0.1:${site.mockPort}; keepalive 1024; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${site.port} backlog=2048;
    location / {
      proxy_pass http://box;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 3600s;
    }
  }
}
`;

const nginx: Contestant = {
  name: 'nginx',
  byDefault: true,
  headersFor: () => ({}),
  prepare: async () => (has('nginx') ? undefined : 'nginx is not installed (apt-get install nginx-light)'),
  launch: (site) => {
    const file = `${site.folder}/nginx.conf`;
    // As root nginx would hand its worker to another user, who may not write here.
    writeFileSync(file, nginxConfig(site, process.getuid?.() === 0 ? 'user root;' : ''));
    return { command: ['nginx', '-p', site.folder, '-c', file], env: {}, cwd: site.folder };
  },
};

const portkeyStart = `${benchFolder}/node_modules/@portkey-ai/gateway/build/start-server.js`;

function installPortkey(): string | undefined {
  if (existsSync(portkeyStart)) return undefined;
  process.stderr.write('installing @portkey-ai/gateway into bench/node_modules …\n');
  try {
    execFileSync('npm', ['ci', '--prefix', benchFolder, '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: benchFolder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  } catch (error) {
    return `npm could not install @portkey-ai/gateway: ${error instanceof Error ? error.message : String(error)}`;
  }
  return existsSync(portkeyStart) ? undefined : '@portkey-ai/gateway has no build/start-server.js';
}

const portkey: Contestant = {
  name: 'portkey',
  byDefault: true,
  headersFor: (mockPort) => ({
    'x-portkey-provider': 'ollama',
    'x-portkey-custom-host': `http://127.0.0.1:${mockPort}`,
  }),
  prepare: async () => installPortkey(),
  launch: (site) => ({
    command: [process.execPath, portkeyStart, `--port=${site.port}`, '--headless'],
    env: { NODE_ENV: 'production' },
    cwd: benchFolder,
  }),
};

/** In the order in which they take turns. */
export const contestants: readonly Contestant[] = [direct, nginx, portkey, ...bares, ...corrals];
